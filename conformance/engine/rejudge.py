"""Judges a recorded run again: the same checks over the same exchanges, without a target.

What the run itself could not do (an option was missing, the target was gone, the time ran out) is
reported again as it was recorded: there are no exchanges to judge it by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from conformance.checks.registry import CHECKS
from conformance.engine.case_record import CaseRecord
from conformance.engine.imported import describe_capture
from conformance.engine.judge import RecordedJudge, judge_case, judge_check
from conformance.engine.metadata import OUTSIDE_CASES, exchange_counts
from conformance.engine.receiver.judge import ReceiverJudge
from conformance.engine.sender.judge import SenderJudge
from conformance.model.errors import InputError
from conformance.model.exchange import Exchange
from conformance.model.language import ENGLISH, Language
from conformance.model.report import Report, Result
from conformance.model.rules import Finding, Outcome, Unjudged, verdict
from conformance.model.sentence import Sentence
from conformance.protocol.dialect import Dialect, Secret
from conformance.protocol.validation import problems
from conformance.scenario.dialects import load
from conformance.scenario.load import recorded
from conformance.scenario.records import Scenario
from conformance.trace import StoredTrace, Trace

JUDGES: Mapping[str, Callable[[Mapping[str, Any], Secret], RecordedJudge]] = {
    "receiver": ReceiverJudge.recorded,
    "sender": SenderJudge.recorded,
}
"""side → the judge of its recorded runs."""


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
        self._run = run
        self._judge = JUDGES[run["side"]](run, secret or Secret(b""))
        self._counts = run["exchanges"]
        self._found = exchange_counts(exchanges)
        self._secret = secret
        self._exchanges = exchanges
        records = [CaseRecord(rule, case, judged=True) for rule in rules for case in rule.cases]
        self._records = {record.key: record for record in records}
        self._by_case: dict[tuple[str | None, str | None], list[Exchange]] = {}
        for exchange in exchanges:
            if not exchange.superseded:
                self._by_case.setdefault((exchange.rule, exchange.case), []).append(exchange)

    def check_secret(self, place: str, secret: Secret) -> None:
        """Raise InputError when the exchanges show that `secret` is not the run's."""
        if {self._judge.fits(each, secret) for each in self._exchanges} - {None} == {False}:
            raise InputError(
                "--secret: not the one of this run: no signature in {place} fits it", place=place
            )

    def result(self, recorded: Result) -> Result:
        """`recorded`, judged again where it can be."""
        record = self._records.get((recorded.rule.id, recorded.case))
        if record is None or not recorded.judged:
            lost = record is not None and recorded.exchanges and self._is_missing([recorded.name])
            return _without_evidence(recorded) if lost else recorded
        again = self._judged(replace(record, seconds=recorded.seconds))
        return self._judge.result(replace(again, judged=True), strict=self._run["strict"])

    def _judged(self, record: CaseRecord) -> CaseRecord:
        """The record with its exchanges, and with the judgements on them."""
        if record.checks_others:
            names: Sequence[str] = record.scenario.over
            record = replace(record, exchanges=self._exchanges_over(record.scenario))
        else:
            names = [record.name]
            record = replace(record, exchanges=self._by_case.get(record.key, []))
        if self._is_missing(names):
            return replace(record, judgements=[INCOMPLETE])
        return self._by_check(record) if record.checks_others else self._by_case_alone(record)

    def _is_missing(self, names: Sequence[str]) -> bool:
        """Whether exchanges of the cases that match `names` are missing from the trace. Nobody counted those
        of a capture."""
        if self._counts is None or self._counts == self._found:
            return False
        if "*" in names:
            return True
        recorded, found = self._counts["cases"], self._found["cases"]
        differing = [name for name in recorded if recorded[name] != found.get(name, 0)]
        if OUTSIDE_CASES in differing:  # what is known of the target rests on these
            return True
        return any(
            name == wanted or fnmatchcase(name.partition("[")[0], wanted)
            for name in differing
            for wanted in names
        )

    def _by_case_alone(self, record: CaseRecord) -> CaseRecord:
        if self._secret is None and self._judge.needs_secret(record):
            return replace(record, judgements=[Unjudged("needs-secret", _NEEDS_SECRET)])
        masked = self._run["redacted"] or any(
            self._judge.is_masked(record, exchange) for exchange in record.exchanges
        )
        if masked and self._judge.needs_bodies(record):
            return replace(record, judgements=[Unjudged("needs-bodies", _NEEDS_BODIES)])
        return judge_case(self._judge, replace(record, runs=1))

    def _by_check(self, record: CaseRecord) -> CaseRecord:
        name, judge = record.scenario.check or "", self._judge
        if name not in CHECKS[self._run["side"]]:
            return replace(record, judgements=[Unjudged("unknown-check", _unknown(name))])
        if self._secret is None and judge.needs_secret(record):
            return replace(record, judgements=[Unjudged("needs-secret", _NEEDS_SECRET)])
        # A masked exchange shows nothing; what the others show still counts.
        needs_bodies = judge.needs_bodies(record)
        usable = [e for e in record.exchanges if not (needs_bodies and judge.is_masked(record, e))]
        masked = len(usable) < len(record.exchanges)
        judgements = judge.check(name, usable, record.case.level) if masked else []
        if masked and not any(isinstance(each, Finding) for each in judgements):
            return replace(record, judgements=[Unjudged("needs-bodies", _NEEDS_BODIES)])
        judged = judge_check(judge, record, usable, complete=self._run["complete"])
        return replace(judged, exchanges=record.exchanges)

    def _exchanges_over(self, scenario: Scenario) -> Sequence[Exchange]:
        if "*" in scenario.over:
            return self._exchanges
        return [
            exchange
            for exchange in self._exchanges
            if not exchange.superseded
            and any(fnmatchcase(exchange.rule or "", pattern) for pattern in scenario.over)
        ]


def _without_evidence(recorded: Result) -> Result:
    """A result that was taken over as recorded, whose exchanges are missing now."""
    return replace(
        recorded,
        outcome=Outcome.ERROR,
        code=INCOMPLETE.code,
        message=INCOMPLETE.reason,
        reproduce=None,
    )


def _unknown(check: str) -> Sentence:
    return Sentence("this version has no check called {check}", check=check)


INCOMPLETE = Unjudged(
    "exchanges-missing",
    Sentence("exchanges that this rests on are missing from the trace"),
    error=True,
)
_NEEDS_SECRET = Sentence("needs --secret")
_NEEDS_BODIES = Sentence("needs content that is masked in this trace")
