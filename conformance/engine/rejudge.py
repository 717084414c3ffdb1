"""Judges a recorded run again: the same checks over the same exchanges, without a target.

What the run itself could not do (an option was missing, the target was gone, the time ran out) is
reported again as it was recorded: there are no exchanges to judge it by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from conformance.checks.check import Need
from conformance.engine.imported import describe_capture
from conformance.engine.judging import SIDES
from conformance.engine.metadata import exchange_counts
from conformance.engine.results import judge_as_far_as_run
from conformance.model.errors import InputError
from conformance.model.exchange import Exchange
from conformance.model.language import ENGLISH, Language
from conformance.model.report import Report, Result
from conformance.model.rules import Judgement, Unjudged, all_held, verdict
from conformance.model.sentence import Sentence
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
            raise InputError(
                "{place} is damaged: {problem}", place=place, problem=wrong[0].sentence()
            )
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
        cause=Sentence.from_data(run["cause"]),
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
        self._counts = run["exchanges"]
        self._found = exchange_counts(exchanges)
        self._headers = tuple((name.encode(), b"") for name in run["headers"])
        self._secret = secret
        self._profile = self._side.profile(run["profile"], secret or Secret(b""))
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
            raise InputError(
                "--secret: not the one of this run: no signature in {place} fits it", place=place
            )

    def result(self, recorded: Result) -> Result:
        """`recorded`, judged again where it can be."""
        scenario = self._scenarios.get(recorded.rule.id)
        cases = scenario.cases if scenario is not None else ()
        case = next((case for case in cases if case.name == recorded.case), None)
        if scenario is None or case is None or not recorded.judged:
            return recorded
        if case.acts:
            exchanges: Sequence[Exchange] = self._by_case.get((recorded.rule.id, recorded.case), [])
            judge, missing = self._judge_case, self._is_missing([recorded.name])
        else:
            exchanges = self._exchanges_over(scenario)
            judge, missing = self._check, self._is_missing(scenario.over)
        judgements = [INCOMPLETE] if missing else judge(scenario, case, exchanges)
        result = self._side.result(
            scenario,
            case,
            judgements,
            exchanges if case.acts or not all_held(judgements) else (),
            self._profile,
            self._headers,
            seconds=recorded.seconds,
            strict=self._strict,
        )
        return replace(result, judged=True)

    def _is_missing(self, names: Sequence[str]) -> bool:
        """Whether exchanges of the cases that match `names` are missing from the trace. Nobody counted those
        of a capture."""
        if self._counts is None or self._counts == self._found:
            return False
        if "*" in names:
            return True
        recorded, found = self._counts["cases"], self._found["cases"]
        differing = [name for name in recorded if recorded[name] != found.get(name, 0)]
        return any(
            name == wanted or fnmatchcase(name.partition("[")[0], wanted)
            for name in differing
            for wanted in names
        )

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
        side, check = self._side, self._side.checks.get(scenario.check or "")
        if check is None:
            return [Unjudged("unknown-check", _unknown(scenario.check or ""))]
        if Need.SECRET in check.needs and self._secret is None:
            return [Unjudged("needs-secret", _NEEDS_SECRET)]
        # A masked exchange shows nothing; what the others show still counts.
        usable = [
            exchange
            for exchange in exchanges
            if not (Need.BODIES in check.needs and side.check_blind(exchange))
        ]
        masked = len(usable) < len(exchanges)
        if masked and not usable:
            return [Unjudged("needs-bodies", _NEEDS_BODIES)]
        judgements = check.judge(usable, self._profile, case.level)
        if masked and all(isinstance(each, Unjudged) for each in judgements):
            return [Unjudged("needs-bodies", _NEEDS_BODIES)]
        return judge_as_far_as_run(judgements, complete=self._complete)

    def _judge_case(
        self, scenario: Scenario, case: Case, exchanges: Sequence[Exchange]
    ) -> list[Judgement]:
        if self._secret is None and self._side.needs_secret(case):
            return [Unjudged("needs-secret", _NEEDS_SECRET)]
        masked = self._redacted or any(map(self._side.case_blind, exchanges))
        if masked and self._side.needs_bodies(case, self._profile):
            return [Unjudged("needs-bodies", _NEEDS_BODIES)]
        return self._side.judge(scenario, case, exchanges, self._profile)


def _unknown(check: str) -> Sentence:
    return Sentence("this version has no check called {check}", check=check)


INCOMPLETE = Unjudged(
    "exchanges-missing",
    Sentence("exchanges that this rests on are missing from the trace"),
    error=True,
)
_NEEDS_SECRET = Sentence("needs --secret")
_NEEDS_BODIES = Sentence("needs content that is masked in this trace")
