"""The result of one case of a rule: a line of the report, which a trace stores too."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.model.rules import Level, Outcome, Rule
from conformance.model.sentence import EMPTY, Sentence


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one case of a rule; (rule, case) is unique in a report.

    `code` names what was found, or why nothing was judged, for programs; None for a pass. `level` is that of
    the broken expectation, or else the case's own. `exchanges` are ids in the trace, the most telling one
    first; `reproduce` is a shell line that reproduces it, None where no single line does. `judged` is True
    when the result rests on exchanges alone, so that it can be judged again from a trace; others (an unmet
    precondition, a time-out, a target that was down) cannot.
    """

    rule: Rule
    case: str | None
    level: Level
    outcome: Outcome
    message: Sentence = EMPTY
    seconds: float = 0.0
    exchanges: tuple[int, ...] = ()
    reproduce: str | None = None
    judged: bool = False
    code: str | None = None

    @property
    def parameters(self) -> dict[str, str | int | float]:
        """What the message says in figures and names: expected, actual, counts, seconds, for programs."""
        return self.message.parameters

    @property
    def name(self) -> str:
        """The rule's id, and the case in brackets: `receiver.accepts.documented-type[43]`."""
        return self.rule.id if self.case is None else f"{self.rule.id}[{self.case}]"
