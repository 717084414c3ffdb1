"""What a run stores in its trace besides exchanges, so that the trace can be read and judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from conformance import __version__
from conformance.model.exchange import Exchange, Headers
from conformance.model.report import Report
from conformance.model.sentence import Sentence
from conformance.scenario.records import Scenario
from conformance.trace import Trace

Key = tuple[str, str | None]
"""Identifies a result: the rule's id, and the case's name (None where a rule has a single case)."""

NO_FUZZ = Sentence("turned off (--fuzz 0)")
NOTHING_PASSED = Sentence(
    "No rule that was chosen passed: a verdict needs one that does (--rules names too few)."
)


def exchange_counts(exchanges: Iterable[Exchange]) -> dict[str, Any]:
    """How many exchanges there are in all, and for each case those that its result rests on: a trace from
    which some were removed must not be judged as if it were whole."""
    recorded = list(exchanges)
    cases = Counter(each.name for each in recorded if each.rule and not each.superseded)
    return {"total": len(recorded), "cases": dict(cases)}


def mark_superseded(
    trace: Trace, keys: Iterable[Key], final: Mapping[Key, Sequence[Exchange]]
) -> None:
    """Mark the exchanges of a case that are not among its `final` ones: the case was run again."""
    cases = set(keys)
    judged = {exchange.id for exchanges in final.values() for exchange in exchanges}
    trace.exchanges = [
        replace(exchange, superseded=True)
        if (exchange.rule, exchange.case) in cases and exchange.id not in judged
        else exchange
        for exchange in trace
    ]


def add_metadata(  # noqa: PLR0913 - one record of the run will take their place
    report: Report,
    scenarios: Iterable[Scenario],
    profile: Mapping[str, Any],
    *,
    epoch: float,
    complete: bool,
    strict: bool,
    headers: Headers = (),
) -> None:
    """Add to the report's trace what judging it again needs, in the form of `schemas/run.schema.json`.

    `profile` is the target's profile as JSON data. `epoch` is the Unix time at which the clock of the
    exchanges stood at 0. `headers` are the secret ones; only their names are stored.
    """
    trace = report.trace
    trace.results = report.results
    trace.rules = {scenario.rule.id: scenario.record for scenario in scenarios}
    trace.run = {
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
        "epoch": epoch,
        "complete": complete,
        "strict": strict,
        "headers": [name.decode() for name, _ in headers],
        "redacted": False,
        "exchanges": exchange_counts(trace),
        "profile": profile,
    }
