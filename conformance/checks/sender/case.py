"""Judges one case of a sender's scenario from the exchanges of its steps.

Knows nothing of how a step is carried out; all it looks at is exchanges and the sender's profile.
"""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checks.check import Scope, by_name
from conformance.checks.sender import endpoint_reports
from conformance.checks.sender.api import message, succeeded
from conformance.checks.sender.attempt_count import slack_of_few, slack_of_many
from conformance.checks.sender.pass_evidence import describe_attempts, describe_drawn
from conformance.checks.sender.profile import UNDER_WAY, SenderProfile, under_way
from conformance.checks.sender.step import CaseExchanges, StepExchanges
from conformance.checks.sender.step_checks import CHECKS
from conformance.checks.sender.waits import BLUR
from conformance.model.exchange import Exchange, Fault
from conformance.model.rules import NO_EVIDENCE, Finding, Judgement, Unjudged, held
from conformance.model.text import NO_TEXT, Text
from conformance.scenario.records import Case
from conformance.scenario.sender import Expectation

STEP_CHECKS = by_name(
    check for check in (*CHECKS, *endpoint_reports.CHECKS) if check.scope is Scope.STEP
)


def judge(case: Case, exchanges: Sequence[Exchange], profile: SenderProfile) -> list[Judgement]:
    """What the exchanges of a case show of its expectations."""
    judgements: list[Judgement] = []
    indexed = CaseExchanges(exchanges)
    for index, action in enumerate(case.sender_case.actions):
        step = StepExchanges(case.sender_case, index, indexed)
        if step.refused_events and not (step.is_drawn and len(step.ids) > len(step.refused_events)):
            return [_not_accepted(step)]
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
        judgements += STEP_CHECKS[expectation.check].judge(step, profile, expectation.level)
    return judgements


def describe_pass(case: Case, exchanges: Sequence[Exchange], profile: SenderProfile) -> Text:
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
            check = STEP_CHECKS.get(expectation.check or "")
            if check is not None and check.describe_pass is not None:
                texts.append(check.describe_pass(step, profile))
    return Text("; ".join(text.en for text in texts), "；".join(text.zh for text in texts))


def _not_accepted(step: StepExchanges) -> Unjudged:
    first = step.refused_events[0]
    en = f"answered {first.status}" if first.status is not None else first.detail or first.fault
    zh = f"響應 {first.status}" if first.status is not None else first.detail or str(first.fault)
    subject = (
        f"{len(step.refused_events)} of {len(step.events)} messages were"
        if len(step.events) > 1
        else "it was"
    )
    return Unjudged(
        "event-refused",
        Text(
            f"not judged: {subject} not accepted by the sender ({en})",
            f"未判定：{len(step.events)} 條訊息中有 {len(step.refused_events)} 條未被發送方接受（{zh}）",
        ),
        exchanges=(first.id,),
    )


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
    where = Text(" at the other endpoint", "（另一個端點）") if expectation.other else NO_TEXT
    count = Text(f"{len(missing)} of {total} messages ", f"{total} 條訊息中有 {len(missing)} 條")
    text = (count if total > 1 else NO_TEXT) + Text(
        f"did not arrive within {profile.arrival:g} s", f"在 {profile.arrival:g} 秒內沒有送達"
    )
    return Finding(expectation.level, "not-delivered", text + where, evidence)


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
        text = Text(f"no answer ({call.fault})", f"沒有響應（{call.fault}）")
        slack = BLUR if call.fault is Fault.TIMEOUT else None
        return Finding(expectation.level, "call-unanswered", text, (call.id,), slack)
    ok = succeeded(call)
    if ok is (expectation.call == "ok"):
        return held(expectation.level, [call])
    status = f"{call.status}: {message(call)}"
    text = (
        Text(f"reported an error ({status})", f"報告了錯誤（{status}）")
        if expectation.call == "ok"
        else Text(f"reported success ({call.status})", f"報告成功（{call.status}）")
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
    count = Text(
        f"{len(few or many)} of {len(step.ids)} messages: ",
        f"{len(step.ids)} 條訊息中有 {len(few or many)} 條：",
    )
    text = (
        _too_few(attempts, (least, most), step, profile) if few else _too_many(attempts, most, step)
    )
    evidence = tuple(attempt.id for attempt in attempts[:10]) or step.evidence_ids([msg_id])
    text = (count if len(step.ids) > 1 else NO_TEXT) + text
    slack = (slack_of_few if few else slack_of_many)(attempts, step.deadline)
    code = "too-few-attempts" if few else "too-many-attempts"
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
) -> Text:
    """Describes fewer attempts than `expected` (least, most)."""
    least, most = expected
    number = len(attempts)
    if not attempts:
        return Text(
            f"did not arrive within {profile.arrival:g} s", f"在 {profile.arrival:g} 秒內沒有送達"
        )
    last = attempts[-1]
    if under_way(last):
        return Text(
            f"still waits for an answer {UNDER_WAY:g} s after attempt {number}: it does not give up",
            f"第 {number} 次嘗試之後 {UNDER_WAY:g} 秒仍在等待響應，沒有放棄",
        )
    within = profile.patience(number)
    if most is None and number == 1:
        return Text(
            f"{_answered(last)}, and not sent again within {within:.1f} s",
            f"{_answered_zh(last)}，{within:.1f} 秒內沒有重發",
        )
    text = Text(
        f"{least} attempts expected, {number} seen (none in the {within:.1f} s after the last)",
        f"預期 {least} 次嘗試，實際 {number} 次（最後一次之後 {within:.1f} 秒內沒有）",
    )
    if step.retry_count is not None and number == step.retry_count and least == number + 1:
        text += _COUNTED_AS_ATTEMPTS
    elif most is not None and attempts[0].ended - attempts[0].sent > 1:
        whole = last.ended - attempts[0].started
        text += Text(
            f": given up {whole:.1f} s after the first, as if all attempts shared one deadline",
            f"：第一次之後 {whole:.1f} 秒便放棄，像是所有嘗試共用一個期限",
        )
    return text


def _too_many(attempts: Sequence[Exchange], most: int | None, step: StepExchanges) -> Text:
    """Describes more attempts than `most`."""
    number = len(attempts)
    good = next((n for n, attempt in enumerate(attempts, 1) if attempt.status == 200), None)
    if good is not None and good < number:
        wait = attempts[good].started - attempts[good - 1].ended
        return Text(
            f"answered 200 at attempt {good}, and sent again {wait:.1f} s later",
            f"第 {good} 次嘗試已響應 200，{wait:.1f} 秒後又再次發送",
        )
    first = attempts[0]
    if first.fault is Fault.TIMEOUT and step.expected_answer(first) is not None:
        held = first.ended - first.sent
        return Text(
            f"given up after {held:.1f} s, before the deadline, and sent again",
            f"{held:.1f} 秒後便放棄並重發，早於期限",
        )
    text = Text(f"{most} attempts expected, {number} seen", f"預期 {most} 次嘗試，實際 {number} 次")
    if step.retry_count is not None and most == step.retry_count + 1:
        text += Text(f" for RetryCount {step.retry_count}", f"（RetryCount 為 {step.retry_count}）")
    return text


def _answered(each: Exchange) -> str:
    if each.status is not None:
        return f"answered {each.status}"
    return _FAULTS.get(each.detail, f"no whole answer ({each.detail or each.fault})")


def _answered_zh(each: Exchange) -> str:
    if each.status is not None:
        return f"響應 {each.status}"
    return f"沒有完整響應（{each.detail or each.fault}）"


_FAULTS = {
    "reset": "the connection was reset",
    "close": "the connection was closed without an answer",
    "half": "the answer broke off in the middle",
}
_NO_HANDSHAKE = Text(
    "not judged: the sender did not connect to the endpoint with the untrusted certificate",
    "未判定：發送方沒有連線到憑證不受信任的端點",
)
_NOTHING_ARRIVED = Text(
    "not judged: no other message arrived in this case either",
    "未判定：這個案例中也沒有其他訊息送達",
)
_UNWANTED = Text("arrived, but must not", "送達了，但不應送達")
_UNWANTED_THERE = Text(
    "arrived at the other endpoint, but must not", "送達了另一個端點，但不應送達"
)
_COUNTED_AS_ATTEMPTS = Text(
    ": RetryCount is treated as the number of attempts", "：RetryCount 被當成了嘗試的總次數"
)
