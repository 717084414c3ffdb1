"""The records that scenario files are read into, for both sides: cases and scenarios.

Know nothing of YAML, and nothing of how a step is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from conformance.model.exchange import Exchange
from conformance.model.rules import Level, Rule
from conformance.scenario.receiver import Step
from conformance.scenario.sender import NOTHING, SenderCase


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a rule; `name` is None where the rule has only one. A receiver's case has `steps`, a
    sender's has a `sender_case`."""

    name: str | None
    level: Level
    steps: tuple[Step, ...] = ()
    sender_case: SenderCase = NOTHING

    @property
    def acts(self) -> bool:
        """Whether there is anything to carry out."""
        return bool(self.steps or self.sender_case.actions)

    @property
    def refusing(self) -> bool:
        """Whether it expects a refusal, which counts only while plain messages are accepted."""
        words = {word for step in self.steps for expect in step.expects for word in expect.status}
        return bool(words & {"refused", "4xx"})

    @property
    def counting(self) -> bool:
        """Whether it expects a number of effects."""
        return any(expect.processed is not None for step in self.steps for expect in step.expects)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A rule and how it is judged: by the steps of its cases, by a named check over the exchanges of
    other rules (`over`), by both, or by generated examples (`fuzz` is their kind).

    `exempt` are rules, or cases as RULE[CASE], whose exchanges the check leaves out. Where one of the
    rules in `after` is broken, drawn answers are not tried. `root_cause` is one that the rule reports,
    `explains` are the codes of reasons not to judge whose cause it reports, and `explained_by` is the
    rule that reports what makes this one fail. `place` is the file, with the line where it is known, and
    `record` the rule as written there.
    """

    rule: Rule
    cases: tuple[Case, ...]
    place: str
    record: Mapping[str, Any] = field(repr=False, compare=False, hash=False)
    needs: tuple[str, ...] = ()
    alone: bool = False
    on_request: bool = False
    over: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    root_cause: str | None = None
    explained_by: str | None = None
    check: str | None = None
    fuzz: str | None = None

    def covers(self, exchange: Exchange) -> bool:
        """Whether the check looks at the exchange."""
        rule = exchange.rule or ""
        if rule in self.exempt or exchange.name in self.exempt:
            return False
        return any(fnmatchcase(rule, pattern) for pattern in self.over)
