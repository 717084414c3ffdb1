"""What a run stores in its trace besides exchanges, so that the trace can be read and judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from conformance import __version__
from conformance.model.exchange import Exchange
from conformance.model.report import Report
from conformance.model.sentence import Sentence
from conformance.trace import Trace

Key = tuple[str, str | None]
"""Identifies a result: the rule's id, and the case's name (None where a rule has a single case)."""

OUTSIDE_CASES = ""
"""Stands for the case of what was sent outside the cases, as before the suite."""

NO_FUZZ = Sentence("turned off (--fuzz 0)")
NOTHING_PASSED = Sentence(
    "No rule that was chosen passed: a verdict needs one that does (--rules names too few)."
)


def exchange_counts(exchanges: Iterable[Exchange]) -> dict[str, Any]:
    """How many exchanges there are in all, and for each case those that its result rests on: a trace from
    which some were removed must not be judged as if it were whole."""
    total, cases = 0, Counter[str]()
    for total, exchange in enumerate(exchanges, 1):  # noqa: B007 - the last one is the total
        if not exchange.superseded:
            cases[exchange.name or OUTSIDE_CASES] += 1
    return {"total": total, "cases": dict(cases)}


def mark_superseded(trace: Trace, final: Mapping[Key, Sequence[Exchange]]) -> None:
    """Mark the exchanges of a case that are not among its `final` ones: the case was run again."""
    judged = {exchange.id for exchanges in final.values() for exchange in exchanges}
    trace.exchanges = [
        replace(exchange, superseded=True)
        if (exchange.rule, exchange.case) in final and exchange.id not in judged
        else exchange
        for exchange in trace
    ]


def describe_report(report: Report) -> dict[str, Any]:
    """What a report says of its run as a whole: the part of `schemas/run.schema.json` that a report knows."""
    return {
        "hookproof": __version__,
        "side": report.side,
        "target": report.target,
        "dialect": report.dialect,
        "spoken": report.spoken,
        "seed": report.seed,
        "verdict": report.verdict.value,
        "cause": report.cause.as_data(),
        "started": report.started,
        "seconds": report.seconds,
    }
