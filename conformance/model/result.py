"""What came out for one case of a rule: the line of a report, and what a trace keeps of the judging."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.model.rules import Level, Outcome, Rule
from conformance.model.text import NO_TEXT, Text


@dataclass(frozen=True, slots=True)
class Result:
    """What came out for one case of a rule; (rule, case) is unique in a report.

    `level` is that of what was broken, else the case's own. `exchanges` are ids in the trace, the
    telling one first; `reproduce` is a shell line that shows it again, None where no single one
    does. `judged` tells one that rests on exchanges alone: it can be judged again from a trace, and
    the others (a need, a time that ran out, a target that was gone) cannot.
    """

    rule: Rule
    case: str | None
    level: Level
    outcome: Outcome
    message: Text = NO_TEXT
    seconds: float = 0.0
    exchanges: tuple[int, ...] = ()
    reproduce: str | None = None
    judged: bool = False

    @property
    def name(self) -> str:
        """The rule's id, and the case in brackets: `receiver.accepts.documented-type[43]`."""
        return self.rule.id if self.case is None else f"{self.rule.id}[{self.case}]"
