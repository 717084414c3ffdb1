"""Which scenarios a run judges, and what it reports of cases that were not carried out, or not alone.

Knows nothing of how cases are run.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from difflib import get_close_matches

from conformance.checks import registry
from conformance.checks.check import Scope
from conformance.engine.case_record import CaseRecord
from conformance.engine.lifecycle import Stop
from conformance.model.errors import InputError
from conformance.model.result import Result
from conformance.model.rules import Finding, Judgement, Outcome, Unjudged
from conformance.model.sentence import EMPTY, Sentence
from conformance.options.table import RunOptions
from conformance.scenario import load as scenarios
from conformance.scenario.records import Scenario


def choose(side: str, options: RunOptions) -> tuple[Scenario, ...]:
    """The scenarios of one side that the options choose.

    Raises InputError for one that names a check that does not exist, and what `load` and `select` raise.
    """
    loaded = scenarios.load(side, options.scenarios, options.scenario_files)
    own = options.scenarios or options.scenario_files
    hint = EMPTY if own else Sentence("; rules of your own need --scenarios")
    chosen = scenarios.select(loaded, options.rules, hint)
    for scenario in chosen:
        names = [scenario.check] if scenario.check is not None else []
        _require_checks(
            scenario.place, names, registry.names(side, Scope.RUN, Scope.MESSAGE, Scope.LOAD)
        )
        of_steps = registry.names(side, Scope.STEP)
        _require_checks(scenario.place, _step_checks_of(scenario), of_steps)
    return chosen


def judgement_of_stop(stop: Stop, record: CaseRecord, records: Sequence[CaseRecord]) -> Judgement:
    """What `stop` means for one case among `records`. Its reason is reported once, for the first case of the
    rule that explains it, or else of the run."""
    explaining = [each for each in records if stop.code in each.scenario.explains]
    if record.key != (explaining or records)[0].key:
        return Unjudged("see-first-result", _SEE_FIRST)
    if stop.fail:
        return Finding(record.scenario.rule.level, stop.code, stop.reason, stop.exchanges)
    return Unjudged(stop.code, stop.reason, error=True, exchanges=stop.exchanges)


def as_not_run_alone(result: Result) -> Result:
    """The result of a case that was not run again before the time ran out. A finding becomes an error: it
    was made while other cases ran, and these may have caused it."""
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
