"""The report of a run: results by rule, the verdict, and the JSON that other tools read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from conformance import __version__
from conformance.model.exchange import Exchange
from conformance.model.language import ENGLISH, Language
from conformance.model.load import LoadFigures
from conformance.model.result import Result as Result
from conformance.model.rules import Outcome, Verdict
from conformance.model.sentence import EMPTY, Sentence

FORMAT = 2
"""Counts the changes of the JSON report's shape."""
EXIT_STATUS = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.ERROR: 3}


class Recording(Protocol):
    """What a report needs from the trace of its run (see `conformance.trace.Trace`)."""

    @property
    def run(self) -> Mapping[str, Any] | None: ...

    @property
    def rules(self) -> Mapping[str, Mapping[str, Any]]: ...

    @property
    def results(self) -> tuple[Result, ...]: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Exchange]: ...

    def __getitem__(self, number: int) -> Exchange: ...

    def redacted(self) -> Recording: ...

    def save(self, path: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run, as data. `started` is UTC in ISO 8601, `seconds` the wall time; `dialect` is the one
    that was requested and `spoken` the one that the target speaks (None when that is unknown). `cause`
    says why some or all rules could not be judged; empty when all were."""

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
    cause: Sentence = EMPTY
    language: Language = ENGLISH

    @property
    def failures(self) -> list[Result]:
        """The results that are `fail`, in the catalogue's order."""
        return self.having(Outcome.FAIL)

    @property
    def load(self) -> LoadFigures | None:
        """What a load run measured; None for any other run."""
        figures = (self.trace.run or {}).get("load")
        return LoadFigures(**figures) if figures is not None else None

    @property
    def exit_status(self) -> int:
        """The command's exit status for this verdict."""
        return EXIT_STATUS[self.verdict]

    def having(self, *outcomes: Outcome) -> list[Result]:
        """The results with one of `outcomes`, in the catalogue's order."""
        return [result for result in self.results if result.outcome in outcomes]

    def summary(self) -> dict[Outcome, int]:
        """How many results have each outcome."""
        return {outcome: len(self.having(outcome)) for outcome in Outcome}

    def as_json(self, language: Language | None = None) -> dict[str, Any]:
        """The report as `schemas/report.schema.json` describes it, with texts in `language`."""
        language = language or self.language
        return {
            "hookproof": __version__,
            "format": FORMAT,
            "side": self.side,
            "target": self.target,
            "dialect": self.dialect,
            "seed": self.seed,
            "verdict": self.verdict.value,
            "spoken": self.spoken,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "summary": {outcome.value: number for outcome, number in self.summary().items()},
            "results": [_result(result, language) for result in self.results],
            "load": (self.trace.run or {}).get("load"),
        }


def _result(result: Result, language: Language) -> dict[str, Any]:
    return {
        "rule": result.rule.id,
        "case": result.case,
        "level": result.level.value,
        "outcome": result.outcome.value,
        "code": result.code,
        "parameters": result.parameters,
        "message": result.message.in_(language),
        "title": result.rule.title.in_(language),
        "source": result.rule.source,
        "why": result.rule.why.in_(language),
        "fix": result.rule.fix.in_(language),
        "seconds": round(result.seconds, 4),
        "exchanges": list(result.exchanges),
        "reproduce": result.reproduce,
    }
