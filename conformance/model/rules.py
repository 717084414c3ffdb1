"""What a rule is, what can come out of judging it, and how a level turns into an outcome.

The rules themselves, their texts included, stand in `scenarios/`; no rule text is written in code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from conformance.model.text import Text


class Level(StrEnum):
    """How binding a rule is. MUST: the guide says so in plain words, or nothing works without it.
    SHOULD: the guide's samples or best practices show it. MAY: good advice beyond the guide."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Outcome(StrEnum):
    """What came out of judging one case of a rule."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    WARN = "warn"
    NOTE = "note"
    SKIP = "skip"
    ERROR = "error"


class Verdict(StrEnum):
    """What came out of a whole run."""

    PASS = "pass"  # noqa: S105 - no password
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
"""(level of what was broken, --strict) → outcome."""

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
        """The side that it is about: "receiver" or "sender"."""
        return self.id.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a check saw and that a rule forbids: what, how grave, and where.

    `exchanges` are ids in the trace, the telling one first. `slack` is for what rests on when things
    were seen: the seconds for which the harness must have been held up to be the cause of it itself; None
    where it cannot be.
    """

    level: Level
    message: Text
    exchanges: tuple[int, ...] = ()
    slack: float | None = None


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A check's word that it could not see enough. `error` tells a fault of target or harness that
    stopped the judging from something that the user could give (a skip). `slack` is as in `Finding`."""

    reason: Text
    error: bool = False
    exchanges: tuple[int, ...] = ()
    slack: float | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A check's word that an expectation of this level holds, where that rests on when things were seen.

    `slack` is the seconds for which the harness must have been held up for what the rule forbids to look
    like this.
    """

    level: Level
    slack: float


Judgement = Finding | Unjudged | Held
"""What a check says of a case."""


def verdict(outcomes: Iterable[Outcome], *, complete: bool) -> Verdict:
    """`fail` when anything failed; else `error` when anything could not be judged, when the run is
    not `complete`, or when nothing passed; else `pass`."""
    seen = set(outcomes)
    if Outcome.FAIL in seen:
        return Verdict.FAIL
    if Outcome.ERROR in seen or not complete or Outcome.PASS not in seen:
        return Verdict.ERROR
    return Verdict.PASS
