"""Keeps which cases a run judges, and their results so far. Used for both sides.

Knows nothing of how cases are run.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from difflib import get_close_matches

from conformance.checks import registry
from conformance.checks.check import Scope
from conformance.engine.case_record import CaseRecord
from conformance.engine.metadata import Key
from conformance.engine.stop import Stop
from conformance.model.errors import InputError
from conformance.model.report import Result, in_order
from conformance.model.rules import Finding, Judgement, Outcome, Unjudged
from conformance.model.sentence import EMPTY, Sentence
from conformance.options.table import RunOptions
from conformance.scenario import load as scenarios
from conformance.scenario.records import Scenario


class Plan:
    """The chosen scenarios of one side, and the results so far.

    Raises InputError for a scenario that names a check that does not exist.
    """

    def __init__(self, side: str, options: RunOptions) -> None:
        loaded = scenarios.load(side, options.scenarios, options.scenario_files)
        own = options.scenarios or options.scenario_files
        hint = EMPTY if own else Sentence("; rules of your own need --scenarios")
        self.chosen = scenarios.select(loaded, options.rules, hint)
        self._results: dict[Key, Result] = {}
        self._provisional: set[Key] = set()
        for scenario in self.chosen:
            names = [scenario.check] if scenario.check is not None else []
            over_cases = registry.names(side, Scope.RUN, Scope.MESSAGE, Scope.LOAD)
            _require_checks(scenario.place, names, over_cases)
            of_steps = registry.names(side, Scope.STEP)
            _require_checks(scenario.place, _step_checks_of(scenario), of_steps)

    @property
    def records(self) -> list[CaseRecord]:
        """Every case, not yet carried out, in the catalogue's order."""
        return [CaseRecord(scenario, case) for scenario in self.chosen for case in scenario.cases]

    @property
    def keys(self) -> list[Key]:
        """Every (rule, case), in the catalogue's order."""
        return [record.key for record in self.records]

    def settle(self, result: Result) -> None:
        """Keep a result, in place of an earlier one for its case."""
        key = (result.rule.id, result.case)
        self._results[key] = result
        self._provisional.discard(key)

    def settle_provisionally(self, result: Result) -> None:
        """Keep a result whose case should be run again."""
        key = (result.rule.id, result.case)
        self._results[key] = result
        self._provisional.add(key)

    def settle_provisional(self) -> list[Result]:
        """Settle, and return, the results whose cases were not run again before the time ran out. A finding
        among them becomes an error: it was made while other cases ran, and these may have caused it."""
        results = [self._results[key] for key in sorted(self._provisional, key=str)]
        settled = [_as_not_run_alone(result) for result in results]
        for result in settled:
            self.settle(result)
        return settled

    def pending(self) -> list[CaseRecord]:
        """The cases that have no result yet."""
        return [record for record in self.records if record.key not in self._results]

    def results(self) -> tuple[Result, ...]:
        """The results, in the catalogue's order."""
        places = {key: place for place, key in enumerate(self.keys)}
        return in_order(self._results.values(), places)

    def judgement_of_stop(self, stop: Stop, record: CaseRecord) -> Judgement:
        """What `stop` means for a case. Its reason is reported once, for the first case of the rule
        that explains it, or else of the run."""
        records = self.records
        explaining = [each for each in records if stop.code in each.scenario.explains]
        if record.key != (explaining or records)[0].key:
            return Unjudged("see-first-result", _SEE_FIRST)
        if stop.fail:
            return Finding(record.scenario.rule.level, stop.code, stop.reason, stop.exchanges)
        return Unjudged(stop.code, stop.reason, error=True, exchanges=stop.exchanges)


def _as_not_run_alone(result: Result) -> Result:
    if result.outcome not in (Outcome.FAIL, Outcome.WARN, Outcome.NOTE):
        return result
    message = _NOT_RUN_ALONE + result.message
    return replace(
        result, outcome=Outcome.ERROR, code="not-run-alone", message=message, judged=False
    )


def _step_checks_of(scenario: Scenario) -> list[str]:
    return [
        expectation.check
        for case in scenario.cases
        for action in case.sender_case.actions
        for expectation in action.expectations
        if expectation.check is not None
    ]


def _require_checks(place: str, names: Sequence[str], checks: Collection[str]) -> None:
    for name in names:
        if name not in checks:
            near = get_close_matches(name, checks, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(checks)}"
            raise InputError(
                "{place}: no check is called {name!r}; {hint}", place=place, name=name, hint=hint
            )


_NOT_RUN_ALONE = Sentence(
    "the time ran out before this was run by itself (--timeout); beside others: "
)
_SEE_FIRST = Sentence("not judged, for the same reason")
