"""How the cases of either side are judged from exchanges alone, and what of them needs what.

The engines do the same as they go along; this is for a run that is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.checks.receiver import recorded_profile, whole_run
from conformance.checks.receiver.case import judge
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.receiver.root_causes import without_root_cause
from conformance.checks.sender import case as sender_case
from conformance.checks.sender import recorded_profile as sender_recorded
from conformance.checks.sender import step_checks, wire
from conformance.checks.sender.pass_evidence import describe_pass
from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.signing import fits
from conformance.checks.sender.test_reports import told_apart
from conformance.engine.receiver.results import result_of
from conformance.engine.results import concluded
from conformance.model.exchange import Exchange, Headers, Masked, Role
from conformance.model.report import Result
from conformance.model.rules import Judgement
from conformance.model.text import NO_TEXT
from conformance.protocol.dialect import Secret, sign
from conformance.scenario.records import Case, Scenario
from conformance.trace import MASK


@dataclass(frozen=True, slots=True)
class Side:
    """One side's judging. `profile` come from data and the secret; `checks` look at many rules at once;
    `judge` looks at one case. What needs bodies is blind to exchanges in which they are masked, in a
    case or in all. `fits` tells whether a secret is that of the run, as far as an exchange shows it
    (None: it shows nothing)."""

    profile: Callable[[dict[str, Any], Secret], Any]
    checks: Mapping[str, Callable[[Sequence[Exchange], Any, Any], list[Judgement]]]
    check_needs_secret: frozenset[str]
    check_needs_bodies: frozenset[str]
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
    found = judge(case, exchanges, profile)
    return without_root_cause(
        scenario.rule.id, found, exchanges, profile, first=case is scenario.cases[0]
    )


def _told_by_answers(case: Case, profile: ReceiverProfile) -> bool:
    """Whether the effects that a case expects are read off the answers."""
    wanted = [expect.processed for step in case.steps for expect in step.expects]
    return not profile.observed and any(each not in (None, 0) for each in wanted)


def _redacted(each: Exchange) -> bool:
    return Masked.CONTENT in each.masked


def _signed_otherwise(each: Exchange) -> bool:
    """Whether a sender's body is no longer what it signed: without its contents, or a secret in it."""
    delivered = each.role in (Role.ATTEMPT, Role.ELSEWHERE)
    return _redacted(each) or (delivered and bool(each.masked) and MASK in each.request.body)


def _fits_receiver(each: Exchange, profile: ReceiverProfile, secret: Secret) -> bool | None:
    """The plain messages before the suite are signed with it as it was given."""
    if each.role is not Role.PLAIN or each.signing is None:
        return None
    right = sign(profile.asked, secret, each.signing.timestamp, each.signing.body)
    return each.header(profile.asked.signature_header.encode()) == right


def _judge_sender(
    scenario: Scenario, case: Case, exchanges: Sequence[Exchange], profile: SenderProfile
) -> list[Judgement]:
    return sender_case.judge(case, exchanges, profile)


def _checks_of(case: Case) -> set[str]:
    actions = case.sender_case.actions if case.sender_case is not None else ()
    return {
        seen.check for action in actions for seen in action.expectations if seen.check is not None
    }


def _reads_answers(case: Case, profile: SenderProfile) -> bool:
    actions = case.sender_case.actions if case.sender_case is not None else ()
    calls = any(seen.call is not None for action in actions for seen in action.expectations)
    return calls or bool(_checks_of(case) & step_checks.NEED_BODIES)


def _result_of_sender(
    scenario: Scenario,
    case: Case,
    found: Sequence[Judgement],
    exchanges: Sequence[Exchange],
    profile: SenderProfile,
    headers: Headers,
    *,
    seconds: float,
    strict: bool,
) -> Result:
    beside = [each.id for each in exchanges if case.acts]
    result = concluded(scenario, case, found, beside, seconds=seconds, strict=strict)
    figures = describe_pass(case, exchanges, profile) if case.acts else NO_TEXT
    return replace(result, message=result.message or figures)


def _fits_sender(each: Exchange, profile: SenderProfile, secret: Secret) -> bool | None:
    """A delivery in the scheme that the sender was seen to speak, if it was."""
    if each.role is not Role.ATTEMPT or profile.scheme is None:
        return None
    return fits(profile.scheme, each, profile.asked.dialect)


SIDES = {
    "receiver": Side(
        recorded_profile.from_data,
        whole_run.CHECKS,
        whole_run.NEED_SECRET,
        whole_run.NEED_BODIES,
        _judge_receiver,
        lambda case: False,
        _told_by_answers,
        lambda each: bool(each.masked),  # an answer is compared with others, to the last letter
        _redacted,
        result_of,
        _fits_receiver,
    ),
    "sender": Side(
        sender_recorded.from_data,
        wire.WIRE_CHECKS | {"told-apart": told_apart},
        wire.NEED_SECRET,
        wire.NEED_BODIES,
        _judge_sender,
        lambda case: bool(_checks_of(case) & step_checks.NEED_SECRET),
        _reads_answers,
        _signed_otherwise,
        _signed_otherwise,
        _result_of_sender,
        _fits_sender,
    ),
}
