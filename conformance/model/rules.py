"""Rules, the judgements on them, and how levels turn into outcomes and a verdict.

The rules themselves, including their texts, are in `scenarios/`; code contains no rule text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from conformance.model.text import Text


class Level(StrEnum):
    """How binding a rule is. MUST: the guide requires it explicitly, or nothing works without it.
    SHOULD: the guide's samples or best practices show it. MAY: good advice beyond the guide."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Outcome(StrEnum):
    """The outcome of one case of a rule."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    WARN = "warn"
    NOTE = "note"
    SKIP = "skip"
    ERROR = "error"


class Verdict(StrEnum):
    """The verdict on a whole run."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    ERROR = "error"


BROKEN = {
    (Level.MUST, False): Outcome.FAIL,
    (Level.MUST, True): Outcome.FAIL,
    (Level.SHOULD, False): Outcome.WARN,
    (Level.SHOULD, True): Outcome.FAIL,
    (Level.MAY, False): Outcome.NOTE,
    (Level.MAY, True): Outcome.NOTE,
}
"""(level of the broken rule, --strict) → outcome."""

GRAVITY = {Level.MAY: 0, Level.SHOULD: 1, Level.MUST: 2}


@dataclass(frozen=True, slots=True)
class Rule:
    """One record of the catalogue. `source` cites the guide's sections; None where it is silent."""

    id: str
    level: Level
    source: str | None
    title: Text
    why: Text
    fix: Text

    @property
    def side(self) -> str:
        """The side that the rule is about: "receiver" or "sender"."""
        return self.id.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a rule forbids, as a check found it: what, how grave, and where.

    `exchanges` are ids in the trace, the most telling one first. `slack` is for findings that rest on
    times: the seconds for which the harness must have been held up to have caused the finding itself;
    None where it cannot have.
    """

    level: Level
    message: Text
    exchanges: tuple[int, ...] = ()
    slack: float | None = None


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A check had too little evidence to judge. `error` is True when a fault of the target or the harness
    is the reason, and False when the user could supply what is missing, or nothing needs judging (a
    skip). `slack` is as in `Finding`."""

    reason: Text
    error: bool = False
    exchanges: tuple[int, ...] = ()
    slack: float | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A check's statement that an expectation of this level holds, where that depends on measured times.

    `slack` is the seconds of a stall that could make a violation look like this.
    """

    level: Level
    slack: float


Judgement = Finding | Unjudged | Held
"""What a check concludes about a case. A case without judgements holds."""


def verdict(outcomes: Iterable[Outcome], *, complete: bool) -> Verdict:
    """`fail` when anything failed; else `error` when anything could not be judged, when the run is
    not `complete`, or when nothing passed; else `pass`."""
    present = set(outcomes)
    if Outcome.FAIL in present:
        return Verdict.FAIL
    if Outcome.ERROR in present or not complete or Outcome.PASS not in present:
        return Verdict.ERROR
    return Verdict.PASS
