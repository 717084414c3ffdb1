"""Which cases a run judges, and what has come out for them so far; the same for both sides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

from conformance.engine.metadata import Key
from conformance.engine.stop import Stop
from conformance.model.errors import InputError
from conformance.model.exchange import Exchange
from conformance.model.report import Result, in_order
from conformance.model.rules import Finding, Judgement, Outcome, Unjudged
from conformance.model.text import Text
from conformance.options.run import RunOptions
from conformance.scenario import load as scenarios
from conformance.scenario.records import Case, Scenario
from conformance.trace import Trace

Listener = Callable[[Result], None]


class Plan:
    """The chosen scenarios of one side, and the results. Raises InputError for a scenario that names a
    check which there is not: `checks` look at the exchanges of rules, `step_checks` at one step's."""

    def __init__(
        self,
        side: str,
        options: RunOptions,
        checks: Collection[str],
        step_checks: Collection[str],
        listener: Listener,
    ) -> None:
        loaded = scenarios.load(side, options.scenarios, options.scenario_files)
        own = options.scenarios or options.scenario_files
        more = "" if own else "; rules of your own need --scenarios"
        self.chosen = scenarios.select(loaded, options.rules, more)
        self.listener = listener
        self._results: dict[Key, Result] = {}
        self._untold: set[Key] = set()
        for each in self.chosen:
            _check_named(each.place, [each.check] if each.check is not None else [], checks)
            _check_named(each.place, _of_steps(each), step_checks)

    @property
    def keys(self) -> list[Key]:
        """Every (rule, case), in the catalogue's order."""
        return [(each.rule.id, case.name) for each in self.chosen for case in each.cases]

    def settle(self, result: Result, *, tell: bool = True) -> None:
        """Keep a result, in place of an earlier one for its case; what is not told yet may be
        replaced."""
        key = (result.rule.id, result.case)
        self._results[key] = result
        if tell:
            self._untold.discard(key)
            self.listener(result)
        else:
            self._untold.add(key)

    def tell_the_rest(self) -> None:
        """Tell what was kept back: its case should have been run again, and the time ran out before. What
        was found beside others is no fault of this one until then."""
        for key in sorted(self._untold, key=str):
            kept = self._results[key]
            if kept.outcome in (Outcome.FAIL, Outcome.WARN, Outcome.NOTE):
                said = _NOT_AGAIN + kept.message
                kept = replace(kept, outcome=Outcome.ERROR, message=said, judged=False)
            self.settle(kept)

    def pending(self) -> Iterator[tuple[Scenario, Case]]:
        """The cases that have no result yet."""
        for scenario in self.chosen:
            for case in scenario.cases:
                if (scenario.rule.id, case.name) not in self._results:
                    yield scenario, case

    def results(self) -> tuple[Result, ...]:
        """What came out, in the catalogue's order."""
        places = {key: place for place, key in enumerate(self.keys)}
        return in_order(self._results.values(), places)

    def stopped(self, stop: Stop, scenario: Scenario, case: Case) -> Judgement:
        """What a stop says of a case: it is told of the first one of its rule, or else of all."""
        fitting = [key for key in self.keys if key[0] == stop.rule]
        if (scenario.rule.id, case.name) != (fitting or self.keys)[0]:
            return Unjudged(_SEE_FIRST)
        return _of_stop(stop, scenario)


def _of_stop(stop: Stop, scenario: Scenario) -> Judgement:
    if stop.fail:
        return Finding(scenario.rule.level, stop.reason, stop.exchanges)
    return Unjudged(stop.reason, error=True, exchanges=stop.exchanges)


def over(
    scenario: Scenario, trace: Trace, final: Mapping[Key, Sequence[Exchange]]
) -> list[Exchange]:
    """The exchanges on which a scenario's check looks: of the whole run, or of the cases as judged, in
    the order in which they began."""
    if "*" in scenario.over:
        found = list(trace)
    else:
        found = [
            exchange
            for (rule, _), exchanges in final.items()
            if any(fnmatchcase(rule, pattern) for pattern in scenario.over)
            for exchange in exchanges
        ]
    return sorted(found, key=lambda each: (each.started, each.id))


def _of_steps(scenario: Scenario) -> list[str]:
    return [
        seen.check
        for case in scenario.cases
        for action in case.sender_case.actions
        for seen in action.expectations
        if seen.check is not None
    ]


def _check_named(place: str, named: Sequence[str], known: Collection[str]) -> None:
    for check in named:
        if check not in known:
            near = get_close_matches(check, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise InputError(f"{place}: no check is called {check!r}; {hint}")


_NOT_AGAIN = Text(
    "the time ran out before this was run by itself (--timeout); beside others: ",
    "時間用盡，未能單獨再執行一次（--timeout）；與其他項目並行時：",
)
_SEE_FIRST = Text("not judged, for the same reason", "未判定，原因相同")
