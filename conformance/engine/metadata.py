"""What a run leaves in its trace, so that others can look into it and judge it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from conformance import __version__
from conformance.model.exchange import Exchange, Headers
from conformance.model.report import Report
from conformance.model.text import Text
from conformance.scenario.records import Scenario
from conformance.trace import Trace

Key = tuple[str, str | None]

NO_FUZZ = Text("turned off (--fuzz 0)", "已關閉（--fuzz 0）")
TIME_RAN_OUT = Text(
    "the time ran out before this was judged (--timeout)", "時間用盡，未能判定（--timeout）"
)
NOTHING_PASSED = Text(
    "No rule that was chosen passed: a verdict needs one that does (--rules names too few).",
    "所選的規則沒有一條通過：至少要有一條通過才能下結論（--rules 選得太少）。",
)


def mark_superseded(
    trace: Trace, keys: Iterable[Key], final: Mapping[Key, Sequence[Exchange]]
) -> None:
    """Mark what was sent for a case and is none of its `final` exchanges: it was run once more."""
    known = set(keys)
    judged = {each.id for exchanges in final.values() for each in exchanges}
    trace.exchanges = [
        replace(each, superseded=True)
        if (each.rule, each.case) in known and each.id not in judged
        else each
        for each in trace
    ]


def conclude(
    report: Report,
    scenarios: Iterable[Scenario],
    profile: Mapping[str, Any],
    *,
    epoch: float,
    complete: bool,
    strict: bool,
    headers: Headers = (),
) -> None:
    """Give the report's trace what judging again needs, as `schemas/run.schema.json` describes it.
    `profile` are data, `epoch` is the Unix time at which the exchanges' clock stood at 0, `headers` are
    the secret ones, of which the names are kept."""
    trace = report.trace
    trace.results = report.results
    trace.rules = {each.rule.id: each.record for each in scenarios}
    trace.run = {
        "hookproof": __version__,
        "side": report.side,
        "target": report.target,
        "dialect": report.dialect,
        "spoken": report.spoken,
        "seed": report.seed,
        "verdict": report.verdict.value,
        "cause": {"en": report.cause.en, "zh": report.cause.zh},
        "started": report.started,
        "seconds": report.seconds,
        "epoch": epoch,
        "complete": complete,
        "strict": strict,
        "headers": [name.decode() for name, _ in headers],
        "redacted": False,
        "facts": profile,
    }
