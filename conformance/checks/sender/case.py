"""Judges one case of a sender's scenario from the exchanges of its steps.

Knows nothing of how a step is carried out; all it looks at is exchanges and the sender's profile.
"""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checks.registry import CHECKS
from conformance.checks.sender.api import message, succeeded
from conformance.checks.sender.attempt_count import not_arrived, slack_of_few, slack_of_many
from conformance.checks.sender.pass_evidence import describe_attempts, describe_drawn
from conformance.checks.sender.profile import UNDER_WAY, SenderProfile, under_way
from conformance.checks.sender.step import CaseExchanges, StepExchanges, some_of
from conformance.checks.sender.waits import BLUR
from conformance.model.exchange import Exchange, Fault
from conformance.model.rules import NO_EVIDENCE, Finding, Judgement, Unjudged, held
from conformance.model.sentence import EMPTY, Sentence, clauses, verbatim
from conformance.scenario.records import Case
from conformance.scenario.sender import Expectation


def judge(case: Case, exchanges: Sequence[Exchange], profile: SenderProfile) -> list[Judgement]:
    """What the exchanges of a case show of its expectations."""
    judgements: list[Judgement] = []
    indexed = CaseExchanges(exchanges)
    for index, action in enumerate(case.sender_case.actions):
        step = StepExchanges(case.sender_case, index, indexed)
        if step.refused_events and not (step.is_drawn and len(step.ids) > len(step.refused_events)):
            return [*judgements, _not_accepted(step)]
        for expectation in action.expectations:
            judgements += _judge(expectation, step, profile)
    return judgements


def _judge(
    expectation: Expectation, step: StepExchanges, profile: SenderProfile
) -> list[Judgement]:
    judgements: list[Judgement] = []
    if expectation.attempts is not None:
        judgements.append(_attempts(expectation, step, profile))
    if expectation.arrives is not None:
        judge_arrival = _arrives if expectation.arrives else _stays_away
        judgements.append(judge_arrival(expectation, step, profile))
    if expectation.call is not None:
        judgements.append(_call(expectation, step))
    if expectation.check is not None:
        judgements += CHECKS["sender"][expectation.check].judge(step, profile, expectation.level)
    return judgements


def describe_pass(case: Case, exchanges: Sequence[Exchange], profile: SenderProfile) -> Sentence:
    """What a pass of the case rests on: the number of attempts, how long none followed them, the waits."""
    texts = []
    indexed = CaseExchanges(exchanges)
    for index, action in enumerate(case.sender_case.actions):
        step = StepExchanges(case.sender_case, index, indexed)
        texts += [describe_drawn(step)] if step.is_drawn else []
        attempts = step.attempts()
        if not any(attempts[msg_id] for msg_id in step.ids):
            continue
        for expectation in action.expectations:
            if expectation.attempts is not None:
                texts.append(describe_attempts(step, profile, expectation.attempts[1]))
            check = CHECKS["sender"].get(expectation.check or "")
            if check is not None and check.describe_pass is not None:
                texts.append(check.describe_pass(step, profile))
    return clauses(texts)


def _not_accepted(step: StepExchanges) -> Unjudged:
    first = step.refused_events[0]
    if first.status is not None:
        answer = Sentence("answered {status}", status=first.status)
    else:
        answer = verbatim(first.detail or str(first.fault))
    if len(step.events) > 1:
        reason = Sentence(
            "not judged: {count} of {total} messages were not accepted by the sender ({answer})",
            count=len(step.refused_events),
            total=len(step.events),
            answer=answer,
        )
    else:
        reason = Sentence("not judged: it was not accepted by the sender ({answer})", answer=answer)
    stopped = first.status is None or first.status == 429 or first.status >= 500
    return Unjudged("event-refused", reason, error=stopped, exchanges=(first.id,))


def _arrives(expectation: Expectation, step: StepExchanges, profile: SenderProfile) -> Judgement:
    """Whether each message of the step arrived."""
    attempts, arrived = step.attempts(other=expectation.other), _arrivals(expectation, step)
    if step.events:
        missing, total = [msg_id for msg_id in step.ids if not attempts[msg_id]], len(step.ids)
    else:  # a call of Test, or a later look at an earlier message
        missing, total = ([] if arrived else [""]), 1
    if not missing:
        return held(expectation.level, arrived)
    evidence = step.evidence_ids(missing)
    if not evidence:
        return NO_EVIDENCE
    where = Sentence(" at the other endpoint") if expectation.other else EMPTY
    text = some_of(len(missing), total) + not_arrived(profile) + where
    return Finding(expectation.level, "not-delivered", text, evidence)


def _stays_away(expectation: Expectation, step: StepExchanges, profile: SenderProfile) -> Judgement:
    """Whether nothing arrived. It says something only beside a delivery that was seen in the same way."""
    arrived = _arrivals(expectation, step)
    if arrived:
        text = _UNWANTED_THERE if expectation.other else _UNWANTED
        return Finding(expectation.level, "delivered", text, tuple(e.id for e in arrived[:10]))
    if not step.events and step.call is None:
        return NO_EVIDENCE
    if step.sender_case.endpoint.kind == "untrusted":
        return held(expectation.level, step.handshakes, Unjudged("no-handshake", _NO_HANDSHAKE))
    return held(expectation.level, step.deliveries, Unjudged("nothing-arrived", _NOTHING_ARRIVED))


def _arrivals(expectation: Expectation, step: StepExchanges) -> list[Exchange]:
    """The deliveries that the expectation is about."""
    attempts = step.attempts(other=expectation.other)
    if not step.events:
        return [attempt for of_message in attempts.values() for attempt in of_message]
    # A redirect that is followed with GET loses the message and its id.
    without_id = [""] if expectation.other else []
    return [attempt for msg_id in [*step.ids, *without_id] for attempt in attempts[msg_id]]


def _call(expectation: Expectation, step: StepExchanges) -> Judgement:
    if step.call is None:
        return NO_EVIDENCE
    call = step.call
    if call.answer is None or call.fault is not None:
        text = Sentence("no answer ({fault})", fault=str(call.fault))
        slack = BLUR if call.fault is Fault.TIMEOUT else None
        return Finding(expectation.level, "call-unanswered", text, (call.id,), slack)
    ok = succeeded(call)
    if ok is (expectation.call == "ok"):
        return held(expectation.level, [call])
    status = f"{call.status}: {message(call)}"
    text = (
        Sentence("reported an error ({status})", status=status)
        if expectation.call == "ok"
        else Sentence("reported success ({status})", status=call.status or 0)
    )
    code = "call-failed" if expectation.call == "ok" else "call-succeeded"
    return Finding(expectation.level, code, text, (call.id,))


def _attempts(expectation: Expectation, step: StepExchanges, profile: SenderProfile) -> Judgement:
    least, most = expectation.attempts or (1, None)
    by_message = step.attempts(other=expectation.other)
    few = [msg_id for msg_id in step.ids if len(by_message[msg_id]) < least]
    many = [msg_id for msg_id in step.ids if most is not None and len(by_message[msg_id]) > most]
    if not few and not many:
        seen = [attempt for msg_id in step.ids for attempt in by_message[msg_id]]
        return held(expectation.level, seen, slack=_slack_of_giving_up(expectation, step))
    msg_id = (few or many)[0]
    attempts = by_message[msg_id]
    code, text = (
        _too_few(attempts, (least, most), step, profile) if few else _too_many(attempts, most, step)
    )
    evidence = tuple(attempt.id for attempt in attempts[:10]) or step.evidence_ids([msg_id])
    text = some_of(len(few or many), len(step.ids)) + text
    slack = (
        slack_of_few(attempts, step.deadline)
        if few
        else slack_of_many(attempts, step.deadline, step.retry_count)
    )
    return Finding(expectation.level, code, text, evidence, slack)


def _slack_of_giving_up(expectation: Expectation, step: StepExchanges) -> float | None:
    """The slack of attempts that the sender gave up as expected, None without any: a sender with too long
    a deadline looks the same if the mock was stalled and its answer, or the head of a dripping one, came
    too late."""
    by_message = step.attempts(other=expectation.other)
    answers = step.sender_case.endpoint.answers
    given_up = [
        (attempt, answer)
        for msg_id in step.ids
        for attempt, answer in zip(by_message[msg_id], answers, strict=False)
        if attempt.fault is Fault.TIMEOUT
    ]
    slacks = [
        step.deadline if answer.fault else attempt.seconds - answer.delay
        for attempt, answer in given_up
        if answer.fault == "drip" or (not answer.fault and answer.delay < attempt.seconds)
    ]
    return min(slacks, default=None)


def _too_few(
    attempts: Sequence[Exchange],
    expected: tuple[int, int | None],
    step: StepExchanges,
    profile: SenderProfile,
) -> tuple[str, Sentence]:
    """The code and the description of fewer attempts than `expected` (least, most)."""
    least, most = expected
    number = len(attempts)
    if not attempts:
        return "not-delivered", not_arrived(profile)
    last = attempts[-1]
    if under_way(last):
        text = Sentence(
            "still waits for an answer {seconds:g} s after attempt {number}: it does not give up",
            seconds=UNDER_WAY,
            number=number,
        )
        return "not-given-up", text
    within = profile.patience(number)
    if most is None and number == 1:
        text = Sentence(
            "{answer}, and not sent again within {seconds:.1f} s",
            answer=_answered(last),
            seconds=within,
        )
        return "not-sent-again", text
    text = Sentence(
        "{expected} attempts expected, {actual} seen (none in the {seconds:.1f} s after the last)",
        expected=least,
        actual=number,
        seconds=within,
    )
    if step.retry_count is not None and number == step.retry_count and least == number + 1:
        text += _COUNTED_AS_ATTEMPTS
    elif most is not None and attempts[0].ended - attempts[0].sent > 1:
        whole = last.ended - attempts[0].started
        text += Sentence(
            ": given up {whole:.1f} s after the first, as if all attempts shared one deadline",
            whole=whole,
        )
    return "too-few-attempts", text


def _too_many(
    attempts: Sequence[Exchange], most: int | None, step: StepExchanges
) -> tuple[str, Sentence]:
    """The code and the description of more attempts than `most`."""
    number = len(attempts)
    good = next((n for n, attempt in enumerate(attempts, 1) if attempt.status == 200), None)
    if good is not None and good < number:
        wait = attempts[good].started - attempts[good - 1].ended
        text = Sentence(
            "answered 200 at attempt {good}, and sent again {wait:.1f} s later",
            good=good,
            wait=wait,
        )
        return "sent-again-after-200", text
    first = attempts[0]
    if first.fault is Fault.TIMEOUT and step.accepts_first:
        held = first.ended - first.sent
        text = Sentence(
            "given up after {seconds:.1f} s, before the deadline, and sent again", seconds=held
        )
        return "given-up-early", text
    text = Sentence(
        "{expected} attempts expected, {actual} seen", expected=most or 0, actual=number
    )
    if step.retry_count is not None and most == step.retry_count + 1:
        text += Sentence(" for RetryCount {retry_count}", retry_count=step.retry_count)
    return "too-many-attempts", text


def _answered(each: Exchange) -> Sentence:
    if each.status is not None:
        return Sentence("answered {status}", status=each.status)
    reason = each.detail or str(each.fault)
    return _FAULTS.get(each.detail, Sentence("no whole answer ({reason})", reason=reason))


_FAULTS = {
    "reset": Sentence("the connection was reset"),
    "close": Sentence("the connection was closed without an answer"),
    "half": Sentence("the answer broke off in the middle"),
}
_NO_HANDSHAKE = Sentence(
    "not judged: the sender did not connect to the endpoint with the untrusted certificate"
)
_NOTHING_ARRIVED = Sentence("not judged: no other message arrived in this case either")
_UNWANTED = Sentence("arrived, but must not")
_UNWANTED_THERE = Sentence("arrived at the other endpoint, but must not")
_COUNTED_AS_ATTEMPTS = Sentence(": RetryCount is treated as the number of attempts")
