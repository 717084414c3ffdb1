"""Rules, the judgements on them, and how levels turn into outcomes and a verdict.

The rules themselves, including their texts, are in `scenarios/`; code contains no rule text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from conformance.model.exchange import Exchange
from conformance.model.sentence import Sentence
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
class Held:
    """An expectation of this level holds, as the exchanges in `evidence` show (ids in the trace): each of
    them could have shown that it is broken. Never empty: see `held`.

    `slack` is for what rests on times: the seconds of a stall that could make a violation look like this;
    None where no stall could.
    """

    level: Level
    evidence: tuple[int, ...]
    slack: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a rule forbids, as a check found it: what, how grave, and where.

    `code` names it for programs, and does not change with the wording. `exchanges` are ids in the trace, the
    most telling one first. `slack` is for findings that rest on times: the seconds for which the harness
    must have been held up to have caused the finding itself; None where it cannot have.
    """

    level: Level
    code: str
    message: Sentence
    exchanges: tuple[int, ...] = ()
    slack: float | None = None


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A check had too little evidence to judge. `error` is True when a fault of the target or the harness
    is the reason, and False when the user could supply what is missing, or nothing needs judging (a
    skip). `code` and `slack` are as in `Finding`."""

    code: str
    reason: Sentence
    error: bool = False
    exchanges: tuple[int, ...] = ()
    slack: float | None = None


Judgement = Held | Finding | Unjudged
"""What a check concludes about an expectation."""

NO_EVIDENCE = Unjudged("no-evidence", Sentence("no exchange was recorded that could show it"))
"""The judgement where nothing was seen: an empty set of exchanges holds nothing."""


def held(
    level: Level,
    exchanges: Iterable[Exchange],
    otherwise: Unjudged = NO_EVIDENCE,
    *,
    slack: float | None = None,
) -> Held | Unjudged:
    """`Held` on `exchanges`; `otherwise` when there are none."""
    evidence = tuple(exchange.id for exchange in exchanges)
    return Held(level, evidence, slack) if evidence else otherwise


def gravest(judgements: Sequence[Judgement]) -> Judgement:
    """The first finding, else the first reason not to judge, else what holds; NO_EVIDENCE for none."""
    return min(judgements, key=_certainty, default=NO_EVIDENCE)


def _certainty(judgement: Judgement) -> int:
    return (Finding, Unjudged, Held).index(type(judgement))


def all_held(judgements: Iterable[Judgement]) -> bool:
    """Whether every expectation holds, and there is one."""
    return {type(judgement) for judgement in judgements} == {Held}


def verdict(outcomes: Iterable[Outcome], *, complete: bool) -> Verdict:
    """`fail` when anything failed; else `error` when anything could not be judged, when the run is
    not `complete`, or when nothing passed; else `pass`."""
    present = set(outcomes)
    if Outcome.FAIL in present:
        return Verdict.FAIL
    if Outcome.ERROR in present or not complete or Outcome.PASS not in present:
        return Verdict.ERROR
    return Verdict.PASS
