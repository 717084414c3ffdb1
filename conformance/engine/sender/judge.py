"""Judges a sender's cases, and turns the judgements into results. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from conformance.checks import messages
from conformance.checks.check import Check, Need
from conformance.checks.registry import CHECKS
from conformance.checks.sender import case as cases
from conformance.checks.sender.case import describe_pass
from conformance.checks.sender.profile import SenderProfile, from_data
from conformance.checks.sender.signing import fits
from conformance.engine.case_record import CaseRecord
from conformance.engine.judge import decide_result
from conformance.model.exchange import Exchange, Masked, Role
from conformance.model.report import Result
from conformance.model.rules import Judgement, Level
from conformance.protocol.dialect import Secret
from conformance.scenario.records import Case
from conformance.scenario.sender import Expectation
from conformance.trace.masking import differs_from_signed


@dataclass(frozen=True, slots=True)
class SenderJudge:
    """Judges by the sender's `profile`."""

    profile: SenderProfile

    @classmethod
    def recorded(cls, run: Mapping[str, Any], secret: Secret) -> Self:
        """The judge of a recorded run, from the data that `schemas/run.schema.json` describes."""
        return cls(from_data(run["profile"], secret))

    def judge(self, case: Case, exchanges: Sequence[Exchange]) -> list[Judgement]:
        return cases.judge(case, exchanges, self.profile)

    def check(self, name: str, exchanges: Iterable[Exchange], level: Level) -> Sequence[Judgement]:
        return messages.judge(CHECKS["sender"][name], exchanges, self.profile, level)

    def tally(self, name: str, level: Level) -> messages.Tally:
        return messages.Tally(CHECKS["sender"][name], self.profile, level)

    def result(self, record: CaseRecord, *, strict: bool) -> Result:
        """The result of a case. The figures of a passing one are its message."""
        case = record.case
        context = [exchange.id for exchange in record.exchanges if case.acts]
        result = decide_result(record, record.judgements, context, strict=strict)
        message = result.message or describe_pass(case, record.exchanges, self.profile)
        return replace(result, message=message)

    def needs_secret(self, record: CaseRecord) -> bool:
        return any(Need.SECRET in check.needs for check in _checks_of(record))

    def needs_bodies(self, record: CaseRecord) -> bool:
        calls = any(expectation.call is not None for expectation in _expectations_of(record.case))
        return calls or any(Need.BODIES in check.needs for check in _checks_of(record))

    def is_masked(self, record: CaseRecord, exchange: Exchange) -> bool:
        return _differs_from_signed(exchange)

    def fits(self, exchange: Exchange, secret: Secret) -> bool | None:
        """Whether an exchange shows that `secret` is the run's, or that it is not; None: neither. Shown by
        deliveries, once preflight has learnt how the sender signs."""
        if exchange.role is not Role.ATTEMPT or self.profile.scheme is None:
            return None
        if _differs_from_signed(exchange):
            return None
        return fits(self.profile.scheme, exchange, self.profile.requested.dialect)


def _differs_from_signed(exchange: Exchange) -> bool:
    """Whether a sender's recorded body differs from what it signed: contents or a secret are masked."""
    delivered = exchange.role in (Role.ATTEMPT, Role.ELSEWHERE)
    return Masked.CONTENT in exchange.masked or (delivered and differs_from_signed(exchange))


def _expectations_of(case: Case) -> Iterator[Expectation]:
    for action in case.sender_case.actions:
        yield from action.expectations


def _checks_of(record: CaseRecord) -> list[Check]:
    """The check over other cases that judges this one, or else those of its steps."""
    if record.checks_others:
        names = [record.scenario.check]
    else:
        names = [expectation.check for expectation in _expectations_of(record.case)]
    return [CHECKS["sender"][name] for name in names if name is not None]
