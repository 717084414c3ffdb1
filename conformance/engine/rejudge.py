"""Judges a recorded run again: the same checks over the same exchanges, without a target.

What the run itself could not do (an option was missing, the target was gone, the time ran out) is
reported again as it was recorded: there are no exchanges to judge it by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from conformance.checks.check import Scope
from conformance.checks.registry import CHECKS
from conformance.engine.case_record import CaseRecord
from conformance.engine.imported import describe_capture
from conformance.engine.judge import Judge, conclude, judge_case, refer_to_cause
from conformance.engine.metadata import OUTSIDE_CASES, Key, exchange_counts
from conformance.engine.receiver.judge import ReceiverJudge
from conformance.engine.sender.judge import SenderJudge
from conformance.model.errors import InputError
from conformance.model.exchange import Exchange
from conformance.model.language import ENGLISH, Language
from conformance.model.report import Report, Result
from conformance.model.rules import Finding, Judgement, Outcome, Unjudged, verdict
from conformance.model.sentence import Sentence
from conformance.protocol.dialect import Dialect, Secret
from conformance.protocol.validation import problems
from conformance.scenario.dialects import load
from conformance.scenario.load import recorded
from conformance.scenario.records import Scenario
from conformance.trace import StoredTrace

JUDGES: Mapping[str, Callable[[Mapping[str, Any], Secret], Judge]] = {
    "receiver": ReceiverJudge.recorded,
    "sender": SenderJudge.recorded,
}
"""side → the judge of its recorded runs."""
MOST_HELD = 10_000
"""Exchanges of a trace that is held in memory, some 20 MB."""


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
    masked. `strict` is the run's unless given. The report's trace can be read as long as `stored` is
    open. Raises InputError for a trace that is damaged, for a capture without deliveries, and for a
    secret that is not the run's.
    """
    place = str(stored.path)
    if stored.run is None:
        run, rules, results = describe_capture(stored, place, secret, dialect or load("guide"))
    else:
        run, results = stored.run, list(stored.results)
        wrong = problems("run", run)
        if wrong:
            raise InputError(
                "{place} is damaged: {problem}", place=place, problem=wrong[0].sentence()
            )
        rules = list(recorded(stored.rules.values(), place))
    settings = {**run, "strict": run["strict"] if strict is None else strict}
    rejudging = _Rejudging(stored, settings, rules, secret)
    if secret is not None:
        rejudging.check_secret(place, secret)
    judged = tuple(map(rejudging.result, results))
    new_verdict = verdict((result.outcome for result in judged), complete=run["complete"])
    trace = stored.judged(
        {**run, "verdict": new_verdict.value},
        {scenario.rule.id: dict(scenario.record) for scenario in rules},
        judged,
    )
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
    """The metadata, rules and exchanges of one run, by which its results are judged again. Those of a large
    trace are read whenever they are needed, and are never in memory all at once."""

    def __init__(
        self,
        stored: StoredTrace,
        run: dict[str, Any],
        rules: Sequence[Scenario],
        secret: Secret | None,
    ) -> None:
        self._run = run
        self._judge = JUDGES[run["side"]](run, secret or Secret(b""))
        self._counts = run["exchanges"]
        self._secret = secret
        self._stored = stored
        self._exchanges = list(stored) if len(stored) <= MOST_HELD else stored
        records = [CaseRecord(rule, case, judged=True) for rule in rules for case in rule.cases]
        self._rules = rules
        self._records = {record.key: record for record in records}

    @cached_property
    def _found(self) -> dict[str, Any]:
        return exchange_counts(self._exchanges)

    def check_secret(self, place: str, secret: Secret) -> None:
        """Raise InputError when the exchanges show that `secret` is not the run's."""
        shown = (self._judge.fits(each, secret) for each in self._exchanges)
        first = next((fits for fits in shown if fits is not None), True)
        if not first and True not in shown:
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
        result = self._judge.result(replace(again, judged=True), strict=self._run["strict"])
        return refer_to_cause(result, self._rules)

    def _judged(self, record: CaseRecord) -> CaseRecord:
        """The record with its exchanges, and with the judgements on them."""
        if record.checks_others:
            if self._is_missing(record.scenario.over):
                return replace(record, judgements=[INCOMPLETE])
            return self._by_check(record)
        of_case = self._stored.of_case(*record.key)
        record = replace(record, exchanges=[each for each in of_case if not each.superseded])
        if self._is_missing([record.name]):
            return replace(record, judgements=[INCOMPLETE])
        return self._by_case_alone(record)

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
            return replace(record, judgements=[_NEEDS_SECRET])
        masked = self._run["redacted"] or any(
            self._judge.is_masked(record, exchange) for exchange in record.exchanges
        )
        if masked and self._judge.needs_bodies(record):
            return replace(record, judgements=[_NEEDS_BODIES])
        return judge_case(self._judge, replace(record, runs=1))

    def _by_check(self, record: CaseRecord) -> CaseRecord:
        name, judge = record.scenario.check or "", self._judge
        check = CHECKS[self._run["side"]].get(name)
        if check is None:
            return replace(record, judgements=[Unjudged("unknown-check", _unknown(name))])
        if self._secret is None and judge.needs_secret(record):
            return replace(record, judgements=[_NEEDS_SECRET])
        if check.scope is Scope.MESSAGE:
            judgements, masked = self._by_message[record.key]
        else:
            examined = _Examined(record, judge, self._exchanges)
            judgements, masked = judge.check(name, examined, record.case.level), examined.masked
        # A masked exchange shows nothing; what the others show still counts.
        found = [each for each in judgements if isinstance(each, Finding)]
        if masked and not found:
            return replace(record, judgements=[_NEEDS_BODIES])
        record = replace(record, exchanges=list(self._of_the_same_cases(record, found)))
        return conclude(record, judgements, complete=self._run["complete"])

    @cached_property
    def _by_message(self) -> dict[Key, tuple[Sequence[Judgement], bool]]:
        """What the message-scoped checks say, all of them in one pass, and whether anything was masked."""
        judge, side = self._judge, self._run["side"]
        tallies = {}
        for key, record in self._records.items():
            check = CHECKS[side].get(record.scenario.check or "")
            if check is not None and check.scope is Scope.MESSAGE:
                examined = _Examined(record, judge, self._exchanges)
                tallies[key] = examined, judge.tally(check.name, record.case.level)
        masked = set()
        for message in self._stored.messages():
            for key, (examined, tally) in tallies.items():
                chosen = [each for each in message if examined.chooses(each)]
                usable = [each for each in chosen if not examined.hides(each)]
                if len(usable) < len(chosen):
                    masked.add(key)
                tally.add(usable)
        return {key: (tally.judgements(), key in masked) for key, (_, tally) in tallies.items()}

    def _of_the_same_cases(
        self, record: CaseRecord, findings: Sequence[Finding]
    ) -> Iterator[Exchange]:
        """The exchanges of the cases to which the first exchange of each finding belongs: a shell line
        reproduces a finding that rests on a single probe."""
        examined = _Examined(record, self._judge, self._exchanges)
        firsts = [self._stored[number] for each in findings for number in each.exchanges[:1]]
        for rule, case in dict.fromkeys((first.rule, first.case) for first in firsts):
            yield from filter(examined.chooses, self._stored.of_case(rule, case))


class _Examined:
    """Those of `exchanges` that a check over other cases examines; without masked ones where it needs
    bodies."""

    def __init__(self, record: CaseRecord, judge: Judge, exchanges: Iterable[Exchange]) -> None:
        self._record, self._judge, self._exchanges = record, judge, exchanges
        self._scenario = record.scenario
        self._needs_bodies = judge.needs_bodies(record)

    def __iter__(self) -> Iterator[Exchange]:
        return (each for each in self._exchanges if self.chooses(each) and not self.hides(each))

    @property
    def masked(self) -> bool:
        """Whether any is left out because it is masked."""
        return self._needs_bodies and any(
            self.chooses(each) and self.hides(each) for each in self._exchanges
        )

    def chooses(self, exchange: Exchange) -> bool:
        """Whether the exchange is of a case that the check is over."""
        superseded = exchange.superseded and "*" not in self._scenario.over
        return not superseded and self._scenario.covers(exchange)

    def hides(self, exchange: Exchange) -> bool:
        """Whether the exchange is masked, so that it shows nothing."""
        return self._needs_bodies and self._judge.is_masked(self._record, exchange)


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
_NEEDS_SECRET = Unjudged("needs-secret", Sentence("needs --secret"))
_NEEDS_BODIES = Unjudged("needs-bodies", Sentence("needs content that is masked in this trace"))
