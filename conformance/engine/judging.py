"""Judges the cases of either side from exchanges alone, and says which judging needs the secret or bodies.

For a run that is over: a live run judges its cases as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.checks.check import Check, Need
from conformance.checks.receiver import recorded_profile
from conformance.checks.receiver.case import judge
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.receiver.root_causes import without_root_cause
from conformance.checks.registry import CHECKS
from conformance.checks.sender import case as sender_case
from conformance.checks.sender import recorded_profile as sender_recorded
from conformance.checks.sender.case import describe_pass
from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.signing import fits
from conformance.engine.receiver.results import result_of
from conformance.engine.results import decide_result
from conformance.model.exchange import Exchange, Headers, Masked, Role
from conformance.model.report import Result
from conformance.model.rules import Judgement
from conformance.model.sentence import EMPTY
from conformance.protocol.dialect import Secret, sign
from conformance.scenario.records import Case, Scenario
from conformance.trace import MASK


@dataclass(frozen=True, slots=True)
class Side:
    """How one side is judged.

    `profile` builds the target's profile from the stored data and the secret. `checks` examine the
    exchanges of many rules, `judge` those of one case. `case_blind` and `check_blind` say whether an
    exchange is masked so that a case, or a check, that needs bodies cannot use it. `fits` says whether an
    exchange shows that a secret is the run's (True), shows that it is not (False), or neither (None).
    """

    profile: Callable[[dict[str, Any], Secret], Any]
    checks: Mapping[str, Check]
    judge: Callable[[Scenario, Case, Sequence[Exchange], Any], list[Judgement]]
    needs_secret: Callable[[Case], bool]
    needs_bodies: Callable[[Case, Any], bool]
    case_blind: Callable[[Exchange], bool]
    check_blind: Callable[[Exchange], bool]
    result: Callable[..., Result]
    fits: Callable[[Exchange, Any, Secret], bool | None]


def _judge_receiver(
    scenario: Scenario, case: Case, exchanges: Sequence[Exchange], profile: ReceiverProfile
) -> list[Judgement]:
    judgements = judge(case, exchanges, profile)
    return without_root_cause(
        scenario.rule.id, judgements, exchanges, profile, first=case is scenario.cases[0]
    )


def _infers_effects(case: Case, profile: ReceiverProfile) -> bool:
    """Whether the effects that a case expects are inferred from the answers."""
    effects = [expect.processed for step in case.steps for expect in step.expects]
    return not profile.observed and any(effect not in (None, 0) for effect in effects)


def _redacted(exchange: Exchange) -> bool:
    return Masked.CONTENT in exchange.masked


def _differs_from_signed(exchange: Exchange) -> bool:
    """Whether a sender's recorded body differs from what it signed: contents or a secret are masked."""
    delivered = exchange.role in (Role.ATTEMPT, Role.ELSEWHERE)
    masked = delivered and bool(exchange.masked) and MASK in exchange.request.body
    return _redacted(exchange) or masked


def _fits_receiver(exchange: Exchange, profile: ReceiverProfile, secret: Secret) -> bool | None:
    """Shown by the plain messages before the suite, which are signed with the secret as the user gave
    it."""
    if exchange.role is not Role.PLAIN or exchange.signing is None:
        return None
    signing = exchange.signing
    expected = sign(profile.requested, secret, signing.timestamp, signing.body)
    return exchange.header(profile.requested.signature_header.encode()) == expected


def _judge_sender(
    scenario: Scenario, case: Case, exchanges: Sequence[Exchange], profile: SenderProfile
) -> list[Judgement]:
    return sender_case.judge(case, exchanges, profile)


def _needs(case: Case, need: Need) -> bool:
    """Whether one of the checks of a sender's case needs it."""
    names = [e.check for action in case.sender_case.actions for e in action.expectations]
    return any(need in CHECKS["sender"][name].needs for name in names if name is not None)


def _reads_answers(case: Case, profile: SenderProfile) -> bool:
    actions = case.sender_case.actions if case.sender_case is not None else ()
    calls = any(
        expectation.call is not None for action in actions for expectation in action.expectations
    )
    return calls or _needs(case, Need.BODIES)


def _result_of_sender(  # noqa: PLR0913 - one CaseRecord will take their place
    scenario: Scenario,
    case: Case,
    judgements: Sequence[Judgement],
    exchanges: Sequence[Exchange],
    profile: SenderProfile,
    headers: Headers,
    *,
    seconds: float,
    strict: bool,
) -> Result:
    context = [exchange.id for exchange in exchanges if case.acts]
    result = decide_result(scenario, case, judgements, context, seconds=seconds, strict=strict)
    figures = describe_pass(case, exchanges, profile) if case.acts else EMPTY
    return replace(result, message=result.message or figures)


def _fits_sender(exchange: Exchange, profile: SenderProfile, secret: Secret) -> bool | None:
    """Shown by deliveries, once preflight has learnt the scheme that the sender uses."""
    if exchange.role is not Role.ATTEMPT or profile.scheme is None:
        return None
    return fits(profile.scheme, exchange, profile.requested.dialect)


SIDES = {
    "receiver": Side(
        recorded_profile.from_data,
        CHECKS["receiver"],
        _judge_receiver,
        lambda case: False,
        _infers_effects,
        lambda exchange: bool(exchange.masked),  # answers are compared byte by byte
        _redacted,
        result_of,
        _fits_receiver,
    ),
    "sender": Side(
        sender_recorded.from_data,
        CHECKS["sender"],
        _judge_sender,
        lambda case: _needs(case, Need.SECRET),
        _reads_answers,
        _differs_from_signed,
        _differs_from_signed,
        _result_of_sender,
        _fits_sender,
    ),
}
