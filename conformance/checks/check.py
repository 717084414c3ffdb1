"""The record of a check: its name, what it looks at, what it needs, and the pure function that judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from conformance.model.rules import NO_EVIDENCE, Judgement, Level, Unjudged
from conformance.model.sentence import EMPTY, Sentence


class Scope(StrEnum):
    """What a check looks at."""

    RUN = "run"  # the exchanges of all rules that its scenario lists under `over`
    MESSAGE = "message"  # the same, but one message at a time (see `checks.messages`)
    LOAD = "load"  # the figures of a load run, and a few of its exchanges
    STEP = "step"  # one step of a case, among the exchanges of the case


class Need(StrEnum):
    """What a recorded run may lack for a check to judge it again."""

    SECRET = "secret"  # noqa: S105 - not a secret
    BODIES = "bodies"


Judge = Callable[[Any, Any, Level], list[Judgement]]
"""Judges what the check looks at: (exchanges, load run or step, the target's profile, the rule's level).
The exchanges of a run may be read from a file each time they are iterated over."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check that scenarios name. A check of a step may say when its evidence is complete: `settled_when`
    gets a `Waiting` and the target's profile, and returns the monotonic time until which to wait on, or
    None. `describe_pass` says in a few words what a pass of the step rests on. A check of a message says with
    `counted` how many exchanges break the rule, and of how many; `unseen` is the judgement where no message
    shows anything."""

    name: str
    scope: Scope
    judge: Judge
    needs: frozenset[Need] = frozenset()
    settled_when: Callable[[Any, Any], float | None] | None = None
    describe_pass: Callable[[Any, Any], Sentence] | None = None
    counted: Callable[[int, int], Sentence] = lambda count, total: EMPTY
    unseen: Unjudged = NO_EVIDENCE


def by_name(checks: Iterable[Check]) -> dict[str, Check]:
    """name → check, in the order given."""
    return {check.name: check for check in checks}
