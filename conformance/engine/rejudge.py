"""Judges a recorded run again: the same checks over the same exchanges, without a target.

What the run itself could not do (an option was missing, the target was gone, the time ran out) is
reported again as it was recorded: there are no exchanges to judge it by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from conformance.engine.imported import describe_capture
from conformance.engine.judging import SIDES
from conformance.engine.metadata import TIME_RAN_OUT
from conformance.model.errors import InputError
from conformance.model.exchange import Exchange
from conformance.model.language import ENGLISH, Language
from conformance.model.report import Report, Result
from conformance.model.rules import Judgement, Unjudged, verdict
from conformance.model.text import Text
from conformance.protocol.dialect import Dialect, Secret
from conformance.protocol.validation import problems
from conformance.scenario.dialects import load
from conformance.scenario.load import recorded
from conformance.scenario.records import Case, Scenario
from conformance.trace import StoredTrace, Trace


def judge_again(
    stored: StoredTrace,
    secret: Secret | None,
    *,
    dialect: Dialect | None = None,
    strict: bool | None = None,
    language: Language = ENGLISH,
) -> Report:
    """The report of a recorded run, with results that are judged anew from its exchanges; or of a
    capture of deliveries, judged as a sender's in `dialect` (default: the guide's).

    `secret` is the run's. Without it, what needs it is a `skip`; so is what needs something that is
    masked. `strict` is the run's unless given. Raises InputError for a trace that is damaged, for a
    capture without deliveries, and for a secret that is not the run's.
    """
    exchanges, place = list(stored), str(stored.path)
    if stored.run is None:
        run, rules, results = describe_capture(exchanges, place, secret, dialect or load("guide"))
    else:
        run, results = stored.run, list(stored.results)
        wrong = problems("run", run)
        if wrong:
            raise InputError(f"{place} is damaged: {wrong[0]}")
        rules = list(recorded(stored.rules.values(), place))
    settings = {**run, "strict": run["strict"] if strict is None else strict}
    rejudging = _Rejudging(exchanges, settings, rules, secret)
    if secret is not None:
        rejudging.check_secret(place, secret)
    judged = tuple(map(rejudging.result, results))
    new_verdict = verdict((result.outcome for result in judged), complete=run["complete"])
    trace = Trace(exchanges)
    trace.run, trace.results = {**run, "verdict": new_verdict.value}, judged
    trace.rules = {scenario.rule.id: scenario.record for scenario in rules}
    return Report(
        side=run["side"],
        target=run["target"],
        dialect=run["dialect"],
        spoken=run["spoken"],
        seed=run["seed"],
        verdict=new_verdict,
        started=run["started"],
        seconds=run["seconds"],
        results=judged,
        cause=Text(**run["cause"]),
        language=language,
        trace=trace,
    )


class _Rejudging:
    """The metadata, rules and exchanges of one run, by which its results are judged again."""

    def __init__(
        self,
        exchanges: Sequence[Exchange],
        run: dict[str, Any],
        rules: Sequence[Scenario],
        secret: Secret | None,
    ) -> None:
        self._side = SIDES[run["side"]]
        self._strict = run["strict"]
        self._complete = run["complete"]
        self._redacted = run["redacted"]
        self._headers = tuple((name.encode(), b"") for name in run["headers"])
        self._secret = secret
        self._profile = self._side.profile(run["facts"], secret or Secret(b""))
        self._exchanges = exchanges
        self._scenarios = {scenario.rule.id: scenario for scenario in rules}
        self._by_case: dict[tuple[str | None, str | None], list[Exchange]] = {}
        for exchange in exchanges:
            if not exchange.superseded:
                self._by_case.setdefault((exchange.rule, exchange.case), []).append(exchange)

    def check_secret(self, place: str, secret: Secret) -> None:
        """Raise InputError when the exchanges show that `secret` is not the run's."""
        side, profile = self._side, self._profile
        if any(side.check_blind(exchange) for exchange in self._exchanges):
            return
        answers = {side.fits(exchange, profile, secret) for exchange in self._exchanges}
        if answers - {None} == {False}:
            raise InputError(f"--secret: not the one of this run: no signature in {place} fits it")

    def result(self, recorded: Result) -> Result:
        """`recorded`, judged again where it can be."""
        scenario = self._scenarios.get(recorded.rule.id)
        cases = scenario.cases if scenario is not None else ()
        case = next((case for case in cases if case.name == recorded.case), None)
        if scenario is None or case is None or not recorded.judged:
            return recorded
        if case.acts:
            exchanges: Sequence[Exchange] = self._by_case.get((recorded.rule.id, recorded.case), [])
            judgements = self._judge_case(scenario, case, exchanges)
        else:
            exchanges = self._exchanges_over(scenario)
            judgements = self._check(scenario, case, exchanges)
        result = self._side.result(
            scenario,
            case,
            judgements,
            exchanges if case.acts or judgements else (),
            self._profile,
            self._headers,
            seconds=recorded.seconds,
            strict=self._strict,
        )
        return replace(result, judged=True)

    def _exchanges_over(self, scenario: Scenario) -> Sequence[Exchange]:
        if "*" in scenario.over:
            return self._exchanges
        return [
            exchange
            for exchange in self._exchanges
            if not exchange.superseded
            and any(fnmatchcase(exchange.rule or "", pattern) for pattern in scenario.over)
        ]

    def _check(
        self, scenario: Scenario, case: Case, exchanges: Sequence[Exchange]
    ) -> list[Judgement]:
        name, side = scenario.check or "", self._side
        if name not in side.checks:
            return [Unjudged(_unknown(name))]
        if name in side.check_needs_secret and self._secret is None:
            return [Unjudged(_NEEDS_SECRET)]
        # A masked exchange shows nothing; what the others show still counts.
        usable = [
            exchange
            for exchange in exchanges
            if not (name in side.check_needs_bodies and side.check_blind(exchange))
        ]
        masked = len(usable) < len(exchanges)
        if masked and not usable:
            return [Unjudged(_NEEDS_BODIES)]
        judgements = side.checks[name](usable, self._profile, case.level)
        if masked and all(isinstance(each, Unjudged) for each in judgements):
            return [Unjudged(_NEEDS_BODIES)]
        if judgements:
            return judgements
        return [] if self._complete and exchanges else [Unjudged(TIME_RAN_OUT, error=True)]

    def _judge_case(
        self, scenario: Scenario, case: Case, exchanges: Sequence[Exchange]
    ) -> list[Judgement]:
        if self._secret is None and self._side.needs_secret(case):
            return [Unjudged(_NEEDS_SECRET)]
        masked = self._redacted or any(map(self._side.case_blind, exchanges))
        if masked and self._side.needs_bodies(case, self._profile):
            return [Unjudged(_NEEDS_BODIES)]
        return self._side.judge(scenario, case, exchanges, self._profile)


def _unknown(check: str) -> Text:
    return Text(f"this version has no check called {check}", f"此版本沒有名為 {check} 的檢查")


_NEEDS_SECRET = Text("needs --secret", "需要 --secret")
_NEEDS_BODIES = Text("needs content that is masked in this trace", "需要此追蹤檔中被遮蔽的內容")
