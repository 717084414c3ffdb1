"""What a run found: results by rule, the verdict, and the report that other tools read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from conformance import __version__
from conformance.model.exchange import Exchange
from conformance.model.result import Result as Result
from conformance.model.rules import Outcome, Verdict
from conformance.model.text import NO_TEXT, Text

EXIT_STATUS = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.ERROR: 3}


class Recording(Protocol):
    """What a report asks of the trace of its run (see `conformance.trace.Trace`)."""

    run: Mapping[str, Any] | None
    rules: Mapping[str, Mapping[str, Any]]
    results: tuple[Result, ...]

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Exchange]: ...

    def __getitem__(self, number: int) -> Exchange: ...

    def redacted(self) -> Self: ...

    def save(self, path: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run, as data. `started` is UTC in ISO 8601, `seconds` the wall time; `dialect` was asked
    for and `spoken` is the one that the target speaks (None when that was not found out).
    `cause` says why nothing, or not all, could be judged."""

    side: str
    target: str
    dialect: str
    spoken: str | None
    seed: int
    verdict: Verdict
    started: str
    seconds: float
    results: tuple[Result, ...]
    trace: Recording = field(repr=False, compare=False)
    cause: Text = NO_TEXT
    language: str = "en"

    @property
    def failures(self) -> list[Result]:
        """The results that are `fail`, in the catalogue's order."""
        return self.having(Outcome.FAIL)

    @property
    def exit_status(self) -> int:
        """The command's exit status for this verdict."""
        return EXIT_STATUS[self.verdict]

    def having(self, *outcomes: Outcome) -> list[Result]:
        """The results with one of `outcomes`, in the catalogue's order."""
        return [each for each in self.results if each.outcome in outcomes]

    def summary(self) -> dict[Outcome, int]:
        """How many results have each outcome."""
        return {outcome: len(self.having(outcome)) for outcome in Outcome}

    def as_json(self, language: str | None = None) -> dict[str, Any]:
        """The report as `schemas/report.schema.json` describes it, texts in `language`."""
        language = language or self.language
        return {
            "hookproof": __version__,
            "side": self.side,
            "target": self.target,
            "dialect": self.dialect,
            "seed": self.seed,
            "verdict": self.verdict.value,
            "spoken": self.spoken,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "summary": {outcome.value: number for outcome, number in self.summary().items()},
            "results": [_result(each, language) for each in self.results],
        }


def _result(each: Result, language: str) -> dict[str, Any]:
    return {
        "rule": each.rule.id,
        "case": each.case,
        "level": each.level.value,
        "outcome": each.outcome.value,
        "message": each.message.in_(language),
        "source": each.rule.source,
        "fix": each.rule.fix.in_(language),
        "seconds": round(each.seconds, 4),
        "exchanges": list(each.exchanges),
        "reproduce": each.reproduce,
    }


def in_order(
    results: Iterable[Result], order: dict[tuple[str, str | None], int]
) -> tuple[Result, ...]:
    """Results in the catalogue's order, whatever the order in which they came."""
    return tuple(sorted(results, key=lambda each: order[each.rule.id, each.case]))
