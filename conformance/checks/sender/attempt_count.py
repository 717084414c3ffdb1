"""How often a message is attempted, whatever the answers: derived from the answers alone.

Guide: 接收流程 2-3, 配置步驟 1 (RetryCount).
"""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checks.sender.profile import SenderProfile, under_way
from conformance.checks.sender.step import StepExchanges, some_of
from conformance.model.exchange import Exchange, Fault
from conformance.model.rules import NO_EVIDENCE, Finding, Judgement, Level, Unjudged, held
from conformance.model.sentence import Sentence, listed


def expected_attempts(attempts: Sequence[Exchange], retry_count: int) -> int:
    """The number of attempts that there must be: until the first one answered 200, and at most
    `retry_count` after the first."""
    good = next((n for n, each in enumerate(attempts, 1) if _is_good(each)), retry_count + 1)
    return min(good, retry_count + 1)


def as_answered(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """Each message is attempted as often as its answers require; the first message for which that is wrong
    is reported. sender.time.deadline reports an attempt that is not given up."""
    by_message = step.attempts()
    retry_count = step.retry_count or 0
    ended = [ident for ident in step.ids if not any(map(under_way, by_message[ident]))]
    wrong = [
        ident
        for ident in ended
        if len(by_message[ident]) != expected_attempts(by_message[ident], retry_count)
    ]
    if not wrong:
        seen = [attempt for ident in ended for attempt in by_message[ident]]
        return [
            held(level, seen, Unjudged("not-given-up", _NOT_GIVEN_UP) if step.ids else NO_EVIDENCE)
        ]
    attempts = by_message[wrong[0]]
    evidence = tuple(each.id for each in attempts[:10]) or step.evidence_ids(wrong[:1])
    many = len(attempts) > expected_attempts(attempts, retry_count)
    slack = (
        slack_of_many(attempts, step.deadline, retry_count)
        if many
        else slack_of_few(attempts, step.deadline)
    )
    code = "too-many-attempts" if many else "too-few-attempts" if attempts else "not-delivered"
    text = some_of(len(wrong), len(step.ids)) + _described(attempts, retry_count, profile)
    return [Finding(level, code, text, evidence, slack)]


def slack_of_many(
    attempts: Sequence[Exchange], deadline: float, retry_count: int | None
) -> float | None:
    """The seconds for which the mock's answer must have been held up for a sender with this `deadline` to be
    right in resending after each of the `attempts` but the last; None when it cannot be right, as beyond
    `retry_count` (None: not configured)."""
    if retry_count is not None and len(attempts) > retry_count + 1:
        return None
    resent = attempts[:-1]
    left = [deadline - each.seconds for each in resent if _is_good(each) or _is_given_up(each)]
    return max(0.0, min(left)) if left else None


def slack_of_few(attempts: Sequence[Exchange], deadline: float) -> float | None:
    """The same for a sender that stops after an attempt that it got no answer to in time. None as well when
    the mock answered after the deadline, since no stall makes an answer earlier."""
    left = [deadline - each.seconds for each in attempts[-1:] if each.status is not None]
    return left[0] if left and left[0] > 0 else None


def not_arrived(profile: SenderProfile) -> Sentence:
    """What is said of a message that has not been attempted."""
    return Sentence("did not arrive within {seconds:g} s", seconds=profile.arrival)


def _described(attempts: Sequence[Exchange], retry_count: int, profile: SenderProfile) -> Sentence:
    if not attempts:
        return not_arrived(profile)
    number, expected = len(attempts), expected_attempts(attempts, retry_count)
    answers = listed(_answer(each) for each in attempts)
    if number < expected:
        return (
            Sentence(
                "{number} attempts, and no more, for RetryCount {retry_count} and the answers ",
                number=number,
                retry_count=retry_count,
            )
            + answers
        )
    return (
        Sentence(
            "{expected} attempts expected, {actual} seen, for RetryCount {retry_count} and the "
            "answers ",
            expected=expected,
            actual=number,
            retry_count=retry_count,
        )
        + answers
    )


def _is_good(each: Exchange) -> bool:
    return each.status == 200 and each.fault is None


def _is_given_up(each: Exchange) -> bool:
    return each.fault is Fault.TIMEOUT


def _answer(each: Exchange) -> Sentence:
    if each.status is not None:
        return Sentence("{status}", status=each.status)
    if _is_given_up(each):
        passed = each.ended - each.sent
        return Sentence("none (given up after {seconds:.1f} s)", seconds=passed)
    return Sentence("a broken connection")


_NOT_GIVEN_UP = Sentence("not judged: no attempt was given up")
