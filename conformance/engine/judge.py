"""Judges a case from its exchanges: the same for a live run and for a recorded one.

Knows neither sides nor rules: a side's judge knows the checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from conformance.checks.messages import Tally
from conformance.engine.case_record import CaseRecord
from conformance.engine.results import judge_as_far_as_run
from conformance.engine.stalls import as_stalled, drop_unreliable, is_stalled
from conformance.model.exchange import HELD_UP, Exchange
from conformance.model.report import Result
from conformance.model.rules import Finding, Judgement, Level
from conformance.protocol.dialect import Secret
from conformance.scenario.records import Case


class Judge(Protocol):
    """How one side is judged, by what is known of its target. Pure."""

    def judge(self, case: Case, exchanges: Sequence[Exchange]) -> list[Judgement]:
        """The judgements on a case that made these exchanges."""

    def check(self, name: str, exchanges: Iterable[Exchange], level: Level) -> Sequence[Judgement]:
        """The judgements of the named check over the exchanges of many cases, which can be iterated over
        more than once."""

    def tally(self, name: str, level: Level) -> Tally:
        """The same of a message-scoped check, to which the messages are added one by one."""

    def result(self, record: CaseRecord, *, strict: bool) -> Result:
        """The result of a case: its judgements without those that another rule reports, in words."""


class RecordedJudge(Judge, Protocol):
    """A judge that also says what it cannot judge when something is missing, as in a recorded run."""

    def needs_secret(self, record: CaseRecord) -> bool:
        """Whether the case cannot be judged without the secret."""

    def needs_bodies(self, record: CaseRecord) -> bool:
        """Whether the case cannot be judged by masked exchanges."""

    def is_masked(self, record: CaseRecord, exchange: Exchange) -> bool:
        """Whether something is masked that a case which needs bodies reads."""

    def fits(self, exchange: Exchange, secret: Secret) -> bool | None:
        """Whether an exchange shows that `secret` is the run's, or that it is not; None: neither."""


def judge_case(judge: Judge, record: CaseRecord, lost: float = 0.0) -> CaseRecord:
    """`record` with the judgements on the exchanges that it made. `lost` is the most seconds for which this
    process was stalled meanwhile; what they can explain is no evidence."""
    judgements = judge.judge(record.case, record.exchanges)
    reliable = drop_unreliable(judgements, lost)
    unmeasured = any(exchange.detail == HELD_UP for exchange in record.exchanges)
    found = any(isinstance(judgement, Finding) for judgement in reliable)
    stalled = is_stalled(judgements, lost) or (unmeasured and not found)
    return replace(
        record,
        judgements=as_stalled(judgements) if stalled else reliable,
        stalled=stalled,
        judged=not stalled,
    )


def judge_check(
    judge: Judge, record: CaseRecord, exchanges: Sequence[Exchange], *, complete: bool
) -> CaseRecord:
    """`record` with the judgements of its check over `exchanges`."""
    judgements = judge.check(record.scenario.check or "", exchanges, record.case.level)
    return conclude(replace(record, exchanges=exchanges), judgements, complete=complete)


def conclude(record: CaseRecord, judgements: Sequence[Judgement], *, complete: bool) -> CaseRecord:
    """`record` with the `judgements` of its check. Of a run that is not `complete` the check has seen some
    cases only: they may break a rule, but do not show that it holds."""
    judgements = judge_as_far_as_run(judgements, complete=complete)
    return replace(record, judgements=judgements, judged=True)
