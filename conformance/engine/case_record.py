"""What a run knows of one case: what to carry out, what came of it, and how that was judged. Used for both
sides, and for a recorded run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conformance.engine.metadata import Key
from conformance.model.exchange import Exchange
from conformance.model.result import Result
from conformance.model.rules import Judgement, Unjudged, all_held
from conformance.model.sentence import EMPTY, Sentence
from conformance.scenario.records import Case, Scenario


@dataclass(frozen=True, slots=True)
class FuzzJudgement:
    """How a fuzz rule was judged. `summary` is the message of a rule that holds, `reproduce` the shell
    lines that show what failed, `target_down` whether the target no longer answers."""

    judgements: Sequence[Judgement]
    summary: Sentence = EMPTY
    reproduce: str | None = None
    target_down: bool = False


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """One case of `scenario`, and its last run.

    `runs` is how often it has been carried out. `exchanges` are those that its last run made, or that a
    check over other cases examined; `seconds` is how long that took. `stalled` says that this process was
    stalled for so long that the judgements are worthless; `judged` that they rest on the exchanges alone,
    so that a recorded run can be judged again. `fuzz` is what drawn examples showed. `result` is what the
    run reports, once it is settled: while it is `provisional`, the case should be run again.
    """

    scenario: Scenario
    case: Case
    exchanges: Sequence[Exchange] = ()
    judgements: Sequence[Judgement] = ()
    seconds: float = 0.0
    runs: int = 0
    stalled: bool = False
    judged: bool = False
    fuzz: FuzzJudgement | None = None
    result: Result | None = None
    provisional: bool = False

    @property
    def key(self) -> Key:
        """Identifies the case and its result."""
        return self.scenario.rule.id, self.case.name

    @property
    def name(self) -> str:
        """The rule's id, with the case's name in brackets."""
        rule, case = self.key
        return rule if case is None else f"{rule}[{case}]"

    @property
    def holds(self) -> bool:
        """Whether every expectation of the case holds, and there is one."""
        return all_held(self.judgements)

    @property
    def by_itself(self) -> bool:
        """Whether no other case has disturbed the last run: a second run is by itself, and so is the first
        of a case that needs the target for itself."""
        return self.runs > 1 or self.scenario.alone

    @property
    def own_exchanges(self) -> Sequence[Exchange]:
        """The exchanges without those of other cases that a check examines."""
        return self.exchanges if self.case.acts or self.scenario.fuzz is not None else ()

    @property
    def checks_others(self) -> bool:
        """Whether a check over the exchanges of other cases judges it."""
        return self.scenario.check is not None and not self.case.acts

    def unjudged(self, reason: Judgement) -> CaseRecord:
        """The case as if it had never been carried out, for this `reason`."""
        return CaseRecord(self.scenario, self.case, judgements=(reason,))


class CannotRunError(Exception):
    """A case cannot be carried out, by no fault of the harness. `unjudged` is the judgement on it."""

    def __init__(self, unjudged: Unjudged) -> None:
        super().__init__(str(unjudged.reason))
        self.unjudged = unjudged
