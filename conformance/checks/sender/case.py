"""Judging one case of a sender's scenario from the exchanges that its steps left."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checks.sender.api import message, succeeded
from conformance.checks.sender.attempt_count import slack_of_few, slack_of_many
from conformance.checks.sender.profile import UNDER_WAY, SenderProfile, under_way
from conformance.checks.sender.step import StepSeen
from conformance.checks.sender.step_checks import NAMED
from conformance.checks.sender.waits import BLUR
from conformance.model.exchange import Exchange, Fault
from conformance.model.rules import Finding, Held, Judgement, Unjudged
from conformance.model.text import NO_TEXT, Text
from conformance.scenario.receiver import Case
from conformance.scenario.sender import Expectation


def judge(case: Case, exchanges: Sequence[Exchange], profile: SenderProfile) -> list[Judgement]:
    """All that a case's exchanges show against its expectations; empty when they hold."""
    found: list[Judgement] = []
    for index, action in enumerate(case.sender_case.actions):
        step = StepSeen(case.sender_case, index, exchanges)
        if step.refused and not (step.drawn and len(step.ids) > len(step.refused)):
            return [_not_given(step)]
        for seen in action.seen:
            found += _judged(seen, step, profile)
    return found


def _judged(seen: Expectation, step: StepSeen, profile: SenderProfile) -> list[Judgement]:
    found: list[Judgement] = []
    if seen.attempts is not None:
        found += _attempts(seen, step, profile)
    if seen.arrives is not None:
        found += _arrives(seen, step, profile)
    if seen.call is not None:
        found += _called(seen, step)
    if seen.check is not None:
        found += NAMED[seen.check](step, profile, seen.level)
    return found


def _not_given(step: StepSeen) -> Unjudged:
    first = step.refused[0]
    what = f"answered {first.status}" if first.status is not None else first.detail or first.fault
    zh = f"響應 {first.status}" if first.status is not None else first.detail or str(first.fault)
    many = (
        f"{len(step.refused)} of {len(step.given)} messages were"
        if len(step.given) > 1
        else "it was"
    )
    return Unjudged(
        Text(
            f"not judged: {many} not accepted by the sender ({what})",
            f"未判定：{len(step.given)} 條訊息中有 {len(step.refused)} 條未被發送方接受（{zh}）",
        ),
        exchanges=(first.id,),
    )


def _arrives(seen: Expectation, step: StepSeen, profile: SenderProfile) -> list[Judgement]:
    came = step.came(other=seen.other)
    where = Text(" at the other endpoint", "（另一個端點）") if seen.other else NO_TEXT
    if step.given:
        missing = [msg_id for msg_id in step.ids if not came[msg_id]]
        # A redirect that is followed by GET loses the message, and its id.
        nameless = [""] if seen.other else []
        unwanted = [each for msg_id in [*step.ids, *nameless] for each in came[msg_id]]
        of = len(step.ids)
    else:  # a call of Test, or what came of an earlier message
        unwanted = [each for attempts in came.values() for each in attempts]
        missing, of = ([] if unwanted else [""]), 1
    if seen.arrives and missing:
        count = Text(f"{len(missing)} of {of} messages ", f"{of} 條訊息中有 {len(missing)} 條")
        message = (count if of > 1 else NO_TEXT) + Text(
            f"did not arrive within {profile.arrival:g} s", f"在 {profile.arrival:g} 秒內沒有送達"
        )
        return [Finding(seen.level, message + where, step.given_ids(missing))]
    if seen.arrives is False and unwanted:
        said = _UNWANTED_THERE if seen.other else _UNWANTED
        return [Finding(seen.level, said, tuple(e.id for e in unwanted[:10]))]
    return []


def _called(seen: Expectation, step: StepSeen) -> list[Judgement]:
    if step.call is None:
        return []
    call = step.call
    if call.answer is None or call.fault is not None:
        said = Text(f"no answer ({call.fault})", f"沒有響應（{call.fault}）")
        slack = BLUR if call.fault is Fault.TIMEOUT else None
        return [Finding(seen.level, said, (call.id,), slack)]
    ok = succeeded(call)
    if ok is (seen.call == "ok"):
        return []
    status = f"{call.status}: {message(call)}"
    said = (
        Text(f"reported an error ({status})", f"報告了錯誤（{status}）")
        if seen.call == "ok"
        else Text(f"reported success ({call.status})", f"報告成功（{call.status}）")
    )
    return [Finding(seen.level, said, (call.id,))]


def _attempts(seen: Expectation, step: StepSeen, profile: SenderProfile) -> list[Judgement]:
    least, most = seen.attempts or (1, None)
    came = step.came(other=seen.other)
    few = [msg_id for msg_id in step.ids if len(came[msg_id]) < least]
    many = [msg_id for msg_id in step.ids if most is not None and len(came[msg_id]) > most]
    if not few and not many:
        return _answered_late(seen, step)
    msg_id = (few or many)[0]
    attempts = came[msg_id]
    count = Text(
        f"{len(few or many)} of {len(step.ids)} messages: ",
        f"{len(step.ids)} 條訊息中有 {len(few or many)} 條：",
    )
    said = (_too_few if few else _too_many)(attempts, least, most, step, profile)
    told = tuple(each.id for each in attempts[:10]) or step.given_ids([msg_id])
    said = (count if len(step.ids) > 1 else NO_TEXT) + said
    slack = (slack_of_few if few else slack_of_many)(attempts, step.deadline)
    return [Finding(seen.level, said, told, slack)]


def _answered_late(seen: Expectation, step: StepSeen) -> list[Judgement]:
    """Attempts that were given up, where a sender that waits for too long gives up as well if the mock is
    held up: in the place of an answer that was due, or of the head of one that drips."""
    came = step.came(other=seen.other)
    answers = step.sender_case.listener.answers
    given_up = [
        (each, answer)
        for msg_id in step.ids
        for each, answer in zip(came[msg_id], answers, strict=False)
        if each.fault is Fault.TIMEOUT
    ]
    slacks = [
        step.deadline if answer.fault else each.seconds - answer.delay
        for each, answer in given_up
        if answer.fault == "drip" or (not answer.fault and answer.delay < each.seconds)
    ]
    return [Held(seen.level, min(slacks))] if slacks else []


def _too_few(
    attempts: Sequence[Exchange],
    least: int,
    most: int | None,
    step: StepSeen,
    profile: SenderProfile,
) -> Text:
    seen = len(attempts)
    if not attempts:
        return Text(
            f"did not arrive within {profile.arrival:g} s", f"在 {profile.arrival:g} 秒內沒有送達"
        )
    last = attempts[-1]
    if under_way(last):
        return Text(
            f"still waits for an answer {UNDER_WAY:g} s after attempt {seen}: it is not given up",
            f"第 {seen} 次嘗試之後 {UNDER_WAY:g} 秒仍在等待響應，沒有放棄",
        )
    within = profile.patience(seen)
    if most is None and seen == 1:
        return Text(
            f"{_answered(last)}, and not sent again within {within:.1f} s",
            f"{_answered_zh(last)}，{within:.1f} 秒內沒有重發",
        )
    said = Text(
        f"{least} attempts expected, {seen} seen (none in the {within:.1f} s after the last)",
        f"預期 {least} 次嘗試，實際 {seen} 次（最後一次之後 {within:.1f} 秒內沒有）",
    )
    if step.retry_count is not None and seen == step.retry_count and least == seen + 1:
        said += _COUNTED_AS_ATTEMPTS
    elif most is not None and attempts[0].ended - attempts[0].sent > 1:
        whole = last.ended - attempts[0].started
        said += Text(
            f": given up {whole:.1f} s after the first, as if one deadline were for all attempts",
            f"：第一次之後 {whole:.1f} 秒便放棄，像是所有嘗試共用一個期限",
        )
    return said


def _too_many(
    attempts: Sequence[Exchange],
    least: int,
    most: int | None,
    step: StepSeen,
    profile: SenderProfile,
) -> Text:
    seen = len(attempts)
    good = next((n for n, each in enumerate(attempts, 1) if each.status == 200), None)
    if good is not None and good < seen:
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
    said = Text(f"{most} attempts expected, {seen} seen", f"預期 {most} 次嘗試，實際 {seen} 次")
    if step.retry_count is not None and most == step.retry_count + 1:
        said += Text(f" for RetryCount {step.retry_count}", f"（RetryCount 為 {step.retry_count}）")
    return said


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
_UNWANTED = Text("arrived, and must not", "送達了，但不應送達")
_UNWANTED_THERE = Text(
    "arrived at the other endpoint, and must not", "送達了另一個端點，但不應送達"
)
_COUNTED_AS_ATTEMPTS = Text(
    ": RetryCount is taken for the number of attempts", "：RetryCount 被當成了嘗試的總次數"
)
