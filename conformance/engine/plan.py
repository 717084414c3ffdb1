"""Keeps which cases a run judges, and their results so far. Used for both sides.

Knows nothing of how cases are run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

from conformance.checks import registry
from conformance.checks.check import Scope
from conformance.engine.metadata import Key
from conformance.engine.stop import Stop
from conformance.model.errors import InputError
from conformance.model.exchange import Exchange
from conformance.model.report import Result, in_order
from conformance.model.rules import Finding, Judgement, Outcome, Unjudged
from conformance.model.sentence import EMPTY, Sentence
from conformance.options.run import RunOptions
from conformance.scenario import load as scenarios
from conformance.scenario.records import Case, Scenario
from conformance.trace import Trace

Listener = Callable[[Result], None]


class Plan:
    """The chosen scenarios of one side, and the results so far.

    Raises InputError for a scenario that names a check that does not exist.
    """

    def __init__(self, side: str, options: RunOptions, listener: Listener) -> None:
        loaded = scenarios.load(side, options.scenarios, options.scenario_files)
        own = options.scenarios or options.scenario_files
        hint = EMPTY if own else Sentence("; rules of your own need --scenarios")
        self.chosen = scenarios.select(loaded, options.rules, hint)
        self.listener = listener
        self._results: dict[Key, Result] = {}
        self._provisional: set[Key] = set()
        for scenario in self.chosen:
            names = [scenario.check] if scenario.check is not None else []
            _require_checks(scenario.place, names, registry.names(side, Scope.RUN))
            of_steps = registry.names(side, Scope.STEP)
            _require_checks(scenario.place, _step_checks_of(scenario), of_steps)

    @property
    def keys(self) -> list[Key]:
        """Every (rule, case), in the catalogue's order."""
        return [
            (scenario.rule.id, case.name) for scenario in self.chosen for case in scenario.cases
        ]

    def settle(self, result: Result) -> None:
        """Store a result, in place of an earlier one for its case, and report it to the listener."""
        key = (result.rule.id, result.case)
        self._results[key] = result
        self._provisional.discard(key)
        self.listener(result)

    def settle_provisionally(self, result: Result) -> None:
        """Store a result whose case should be run again. The listener does not hear of it before
        `settle_provisional`."""
        key = (result.rule.id, result.case)
        self._results[key] = result
        self._provisional.add(key)

    def settle_provisional(self) -> None:
        """Settle the results whose cases were not run again before the time ran out. A finding among them
        becomes an error: it was made while other cases ran, and these may have caused it."""
        for key in sorted(self._provisional, key=str):
            result = self._results[key]
            if result.outcome in (Outcome.FAIL, Outcome.WARN, Outcome.NOTE):
                message = _NOT_RUN_ALONE + result.message
                result = replace(result, outcome=Outcome.ERROR, message=message, judged=False)
            self.settle(result)

    def pending(self) -> Iterator[tuple[Scenario, Case]]:
        """The cases that have no result yet."""
        for scenario in self.chosen:
            for case in scenario.cases:
                if (scenario.rule.id, case.name) not in self._results:
                    yield scenario, case

    def results(self) -> tuple[Result, ...]:
        """The results, in the catalogue's order."""
        places = {key: place for place, key in enumerate(self.keys)}
        return in_order(self._results.values(), places)

    def judgement_of_stop(self, stop: Stop, scenario: Scenario, case: Case) -> Judgement:
        """What `stop` means for a case. Its reason is reported once, for the first case of the stop's
        rule, or for the first case of the run."""
        candidates = [key for key in self.keys if key[0] == stop.rule]
        if (scenario.rule.id, case.name) != (candidates or self.keys)[0]:
            return Unjudged("see-first-result", _SEE_FIRST)
        if stop.fail:
            return Finding(scenario.rule.level, stop.code, stop.reason, stop.exchanges)
        return Unjudged(stop.code, stop.reason, error=True, exchanges=stop.exchanges)


def exchanges_over(
    scenario: Scenario, trace: Trace, final: Mapping[Key, Sequence[Exchange]]
) -> list[Exchange]:
    """The exchanges that a scenario's check examines, in the order in which they began: those of the
    whole run, or the `final` ones of the cases that it names."""
    if "*" in scenario.over:
        exchanges = list(trace)
    else:
        exchanges = [
            exchange
            for (rule, _), of_case in final.items()
            if any(fnmatchcase(rule, pattern) for pattern in scenario.over)
            for exchange in of_case
        ]
    return sorted(exchanges, key=lambda exchange: (exchange.started, exchange.id))


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
