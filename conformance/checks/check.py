"""The record of a check: its name, what it looks at, what it needs, and the pure function that judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from conformance.model.rules import Judgement, Level
from conformance.model.sentence import Sentence


class Scope(StrEnum):
    """What a check looks at."""

    RUN = "run"  # the exchanges of all rules that its scenario lists under `over`
    STEP = "step"  # one step of a case, among the exchanges of the case


class Need(StrEnum):
    """What a recorded run may lack for a check to judge it again."""

    SECRET = "secret"  # noqa: S105 - not a secret
    BODIES = "bodies"


Judge = Callable[[Any, Any, Level], list[Judgement]]
"""Judges what the check looks at: (exchanges or step, the target's profile, the rule's level)."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check that scenarios name. A check of a step may say when its evidence is complete: `settled_when`
    gets a `Waiting` and the target's profile, and returns the monotonic time until which to wait on, or
    None. `describe_pass` says in a few words what a pass of the step rests on."""

    name: str
    scope: Scope
    judge: Judge
    needs: frozenset[Need] = frozenset()
    settled_when: Callable[[Any, Any], float | None] | None = None
    describe_pass: Callable[[Any, Any], Sentence] | None = None


def by_name(checks: Iterable[Check]) -> dict[str, Check]:
    """name → check, in the order given."""
    return {check.name: check for check in checks}
