"""Judging a recorded run again: the same checks over the same exchanges, without a target.

What the run itself could not do (a need that was not given, a target that was gone, a time that ran
out) is told again as it was recorded: there are no exchanges to judge it by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from conformance.engine.imported import about_capture
from conformance.engine.judging import SIDES
from conformance.engine.metadata import TIME_RAN_OUT
from conformance.model.errors import InputError
from conformance.model.exchange import Exchange
from conformance.model.report import Report, Result
from conformance.model.rules import Judgement, Unjudged, verdict
from conformance.model.text import Text
from conformance.protocol.dialect import Dialect, Secret
from conformance.protocol.validation import problems
from conformance.scenario.dialects import load
from conformance.scenario.receiver import Case, Scenario, recorded
from conformance.trace import StoredTrace, Trace


def judge_again(
    stored: StoredTrace,
    secret: Secret | None,
    *,
    dialect: Dialect | None = None,
    strict: bool | None = None,
    language: str = "en",
) -> Report:
    """The report of a recorded run, its verdicts worked out anew from its exchanges; or of a capture
    of deliveries, judged as a sender's, in `dialect` (the guide's if it is not given).

    `secret` is the one of the run; what needs it is `skip` without it, and so is what needs what is
    masked. `strict` is as in the run unless it is given. Raises InputError for a trace that does
    not say what was judged, or another secret than the run's.
    """
    exchanges, place = list(stored), str(stored.path)
    if stored.run is None:
        run, rules, results = about_capture(exchanges, place, secret, dialect or load("guide"))
    else:
        run, results = stored.run, list(stored.results)
        wrong = problems("run", run)
        if wrong:
            raise InputError(f"{place} is damaged: {wrong[0]}")
        rules = list(recorded(stored.rules.values(), place))
    again = _Again(exchanges, run, rules, secret, run["strict"] if strict is None else strict)
    if secret is not None:
        again.check_secret(place, secret)
    judged = tuple(map(again.result, results))
    found = verdict((each.outcome for each in judged), complete=run["complete"])
    trace = Trace(exchanges)
    trace.run, trace.results = {**run, "verdict": found.value}, judged
    trace.rules = {each.rule.id: each.record for each in rules}
    return Report(
        side=run["side"],
        target=run["target"],
        dialect=run["dialect"],
        spoken=run["spoken"],
        seed=run["seed"],
        verdict=found,
        started=run["started"],
        seconds=run["seconds"],
        results=judged,
        cause=Text(**run["cause"]),
        language=language,
        trace=trace,
    )


class _Again:
    """One judging: what is known of the run, and its exchanges."""

    def __init__(
        self,
        exchanges: Sequence[Exchange],
        run: dict[str, Any],
        rules: Sequence[Scenario],
        secret: Secret | None,
        strict: bool,
    ) -> None:
        self._side = SIDES[run["side"]]
        self._strict = strict
        self._complete = run["complete"]
        self._redacted = run["redacted"]
        self._headers = tuple((name.encode(), b"") for name in run["headers"])
        self._secret = secret
        self._profile = self._side.profile(run["facts"], secret or Secret(b""))
        self._exchanges = exchanges
        self._scenarios = {each.rule.id: each for each in rules}
        self._of_case: dict[tuple[str | None, str | None], list[Exchange]] = {}
        for each in exchanges:
            if not each.superseded:
                self._of_case.setdefault((each.rule, each.case), []).append(each)

    def check_secret(self, place: str, secret: Secret) -> None:
        """Raise InputError for another secret than the run's, as far as the trace shows it."""
        side, profile = self._side, self._profile
        seen = [(each, side.fits(each, profile, secret)) for each in self._exchanges]
        told = {fits for each, fits in seen if fits is not None and not side.check_blind(each)}
        blind = any(side.check_blind(each) for each, _ in seen)
        if told == {False} and not blind:
            raise InputError(f"--secret: not the one of this run: no signature in {place} fits it")

    def result(self, was: Result) -> Result:
        """`was`, judged again where it can be."""
        scenario = self._scenarios.get(was.rule.id)
        cases = scenario.cases if scenario is not None else ()
        case = next((each for each in cases if each.name == was.case), None)
        if scenario is None or case is None or not was.judged:
            return was
        if case.acts:
            exchanges: Sequence[Exchange] = self._of_case.get((was.rule.id, was.case), [])
            found = self._judged(scenario, case, exchanges)
        else:
            exchanges = self._over(scenario)
            found = self._checked(scenario, case, exchanges)
        result = self._side.result(
            scenario,
            case,
            found,
            exchanges if case.acts or found else (),
            self._profile,
            self._headers,
            seconds=was.seconds,
            strict=self._strict,
        )
        return replace(result, judged=True)

    def _over(self, scenario: Scenario) -> Sequence[Exchange]:
        if "*" in scenario.over:
            return self._exchanges
        return [
            each
            for each in self._exchanges
            if not each.superseded
            and any(fnmatchcase(each.rule or "", pattern) for pattern in scenario.over)
        ]

    def _checked(self, scenario: Scenario, case: Case, over: Sequence[Exchange]) -> list[Judgement]:
        name, side = scenario.check or "", self._side
        if name not in side.checks:
            return [Unjudged(_unknown(name))]
        if name in side.check_needs_secret and self._secret is None:
            return [Unjudged(_NEEDS_SECRET)]
        # What is masked shows nothing, but what another shows is no less seen.
        blind = name in side.check_needs_bodies
        whole = [each for each in over if not (blind and side.check_blind(each))]
        if len(whole) < len(over) and not whole:
            return [Unjudged(_NEEDS_BODIES)]
        found = side.checks[name](whole, self._profile, case.level)
        if len(whole) < len(over) and all(isinstance(each, Unjudged) for each in found):
            return [Unjudged(_NEEDS_BODIES)]
        if found:
            return found
        return [] if self._complete and over else [Unjudged(TIME_RAN_OUT, error=True)]

    def _judged(
        self, scenario: Scenario, case: Case, exchanges: Sequence[Exchange]
    ) -> list[Judgement]:
        if self._secret is None and self._side.needs_secret(case):
            return [Unjudged(_NEEDS_SECRET)]
        masked = self._redacted or any(map(self._side.case_blind, exchanges))
        if masked and self._side.needs_bodies(case, self._profile):
            return [Unjudged(_NEEDS_BODIES)]
        return self._side.judge(scenario, case, exchanges, self._profile)


def _unknown(check: str) -> Text:
    return Text(
        f"this version has no check that is called {check}", f"此版本沒有名為 {check} 的檢查"
    )


_NEEDS_SECRET = Text("needs --secret", "需要 --secret")
_NEEDS_BODIES = Text("needs what is masked in this trace", "需要此追蹤檔中被遮蔽的內容")
