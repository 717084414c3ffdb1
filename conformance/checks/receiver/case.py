"""Judging one case of a scenario from the exchanges that its steps left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.receiver.wording import RATE_LIMIT, answered, listed
from conformance.model.exchange import HELD_UP, Exchange, Fault, Role, Transport
from conformance.model.rules import Finding, Judgement, Unjudged
from conformance.model.text import NO_TEXT, Text
from conformance.scenario.receiver import Case, Expect, Step

IMPATIENT = 0.15
"""Seconds for which a correct target bears with a sender that stops in the middle, beside the pauses that a
scenario makes."""
NOT_NOW = (429, 503)
"""Statuses that say nothing of the request itself."""


def judge(case: Case, exchanges: Sequence[Exchange], profile: ReceiverProfile) -> list[Judgement]:
    """All that a case's exchanges show against its expectations; empty when they hold."""
    found: list[Judgement] = _controls(
        [e for e in exchanges if e.request.url != profile.url], profile
    )
    if found:
        return found  # --also-url takes no messages: nothing is to be learnt from it
    for index, step in enumerate(case.steps):
        probes = [each for each in exchanges if each.step == index and each.role is Role.PROBE]
        if step.resend and not any(each.status in profile.accepted for each in probes):
            found.append(Unjudged(_STAYED_BUSY if probes else _NEVER_BUSY))
        for expect in step.expects:
            if expect.status:
                seen = _statuses(expect, step, probes, profile)
                if seen and expect.or_skip:
                    return [Unjudged(_PLAIN_REFUSED + answered(probes[0], profile))]
                found += seen
            if expect.within is not None:
                found += _within(expect, probes)
            if expect.processed is not None:
                found += _processed(expect, step, index, exchanges, profile)
    if not any(isinstance(each, Finding) for each in found):
        found += _controls(exchanges, profile)
    return found


def _statuses(
    expect: Expect, step: Step, probes: Sequence[Exchange], profile: ReceiverProfile
) -> list[Judgement]:
    measured = [each for each in probes if each.detail != HELD_UP]
    wrong = [each for each in measured if not _fits(expect.status, each, profile)]
    busy = [each for each in probes if each.status in NOT_NOW]
    refused = "refused" in expect.status and not wrong
    if refused and busy and (busy[0].status, None) != profile.refusal:
        return [Unjudged(answered(busy[0], profile) + _NOT_NO, exchanges=(busy[0].id,))]
    if not wrong:
        return []
    first = wrong[0]
    if first.fault in (Fault.REFUSED, Fault.DNS):
        return [Unjudged(answered(first, profile), error=True, exchanges=(first.id,))]
    burst = step.send is not None and (step.send.at_once or step.send.copies > 1)
    if first.status == 429 and not burst:
        return [Unjudged(RATE_LIMIT, error=True, exchanges=(first.id,))]
    message = answered(first, profile) + _expected(expect.status, first)
    if len(probes) > 1:
        message = (
            Text(
                f"{len(wrong)} of {len(probes)} requests: ",
                f"{len(probes)} 個請求中有 {len(wrong)} 個：",
            )
            + message
        )
    ids = tuple(each.id for each in wrong[:10])
    return [Finding(expect.level, message, ids, _slack(wrong, profile))]


def _slack(wrong: Sequence[Exchange], profile: ReceiverProfile) -> float | None:
    """The seconds for which the suite must have been held up for all the `wrong` answers to be its own
    fault: what came in time must have been read late, and what was refused must have been sent late."""
    found = []
    for each in wrong:
        slow = each.request.transport in (Transport.SLOW, Transport.EXPECT)
        if each.fault is Fault.TIMEOUT:
            found.append(each.seconds - profile.deadline)
        elif slow or each.fault is Fault.CLOSED:
            found.append(IMPATIENT)
        else:
            return None
    return max(found)


def _fits(wanted: Iterable[str | int], exchange: Exchange, profile: ReceiverProfile) -> bool:
    return any(_fits_one(word, exchange, profile) for word in wanted)


def _fits_one(word: str | int, exchange: Exchange, profile: ReceiverProfile) -> bool:
    status = exchange.status
    match word:
        case "accepted":
            return status in profile.accepted
        case "refused":
            # A closed connection accepts nothing; signature.refusal-status speaks of it. A 2xx
            # counts as soon as it is read, whatever becomes of the rest of the answer.
            status = exchange.answer.status if exchange.answer is not None else None
            return status is None or not 200 <= status < 300
        case "4xx":
            return status is not None and 400 <= status < 500
        case "no-5xx":
            return status is not None and status < 500
        case _:
            return status == word


def _expected(wanted: tuple[str | int, ...], exchange: Exchange) -> Text:
    status = exchange.status or 0
    if not (exchange.rule or "").startswith("receiver.body."):
        return Text("; expected ", "；預期 ") + listed(wanted)
    if wanted == ("4xx",) and 200 <= status < 300:
        return Text(
            "; expected 4xx: a success acknowledges what cannot be processed, and it is lost",
            "；預期 4xx：響應成功等於確認了無法處理的訊息，訊息就此遺失",
        )
    if wanted == ("4xx",) and status >= 500:
        return Text(
            "; expected 4xx: a 5xx makes the sender repeat what can never succeed",
            "；預期 4xx：5xx 會讓發送方一再重試永遠不會成功的請求",
        )
    return Text("; expected ", "；預期 ") + listed(wanted)


def _within(expect: Expect, probes: Sequence[Exchange]) -> list[Judgement]:
    limit = expect.within or 0.0
    measured = [each for each in probes if each.fault is not Fault.GIVEN_UP]
    late = [each for each in measured if each.fault is Fault.TIMEOUT or each.seconds > limit]
    if not late:
        return []
    slowest = max(late, key=lambda each: each.seconds)
    slack = slowest.seconds - limit
    count = f"{len(late)} of {len(probes)} answers" if len(probes) > 1 else "the answer"
    zh = f"{len(probes)} 個響應中有 {len(late)} 個" if len(probes) > 1 else "響應"
    message = Text(
        f"{count} took longer than {limit:g} s (up to {slowest.seconds:.2f} s)",
        f"{zh}超過 {limit:g} 秒（最長 {slowest.seconds:.2f} 秒）",
    )
    return [Finding(expect.level, message, tuple(each.id for each in late[:10]), slack)]


def _processed(
    expect: Expect, step: Step, index: int, exchanges: Sequence[Exchange], profile: ReceiverProfile
) -> list[Judgement]:
    """The effects of the step's messages, as the observer counted them or as the answers tell."""
    if profile.observed:
        return _counted(expect, step, index, exchanges, profile)
    if profile.inferred is None or expect.processed == 0:
        return []  # what was refused leaves no answer that could tell
    ids = {each.msg_id for each in exchanges if each.step == index and each.role is Role.PROBE}
    found: list[Judgement] = []
    for msg_id in sorted(ids - {None}, key=str):
        about = [
            each
            for each in exchanges
            if each.msg_id == msg_id and each.step <= index and each.role is Role.PROBE
        ]
        found += _told(expect, about, profile)
    return found[:1]


def _told(expect: Expect, about: Sequence[Exchange], profile: ReceiverProfile) -> list[Judgement]:
    """What the answers to one message tell (`about`: its exchanges up to the step)."""
    inferred = profile.inferred
    assert inferred is not None  # noqa: S101 - the caller has looked
    accepted = [each for each in about if each.answer is not None and _told_apart(each, profile)]
    kinds = [inferred.is_first(each.answer) for each in accepted if each.answer is not None]
    # A body that was cut must leave nothing behind; any other unanswered request may have.
    unseen = any(each.status is None and each.request.transport not in _CUT for each in about)
    ids = tuple(each.id for each in about)
    if not accepted:
        return []
    if None in kinds:
        return [Unjudged(_NEITHER, exchanges=ids)]
    firsts = kinds.count(True)
    if firsts > 1:
        return [Finding(expect.level, _times(firsts) + _BY_ANSWERS, ids)]
    if firsts == 1 and unseen:
        # It may have taken effect unseen, or been rolled back: the answers cannot tell.
        return [Unjudged(_ROLLED_BACK, exchanges=ids)]
    if firsts == 0 and not unseen:
        return [Finding(expect.level, _TAKEN_FOR_REPEAT + _BY_ANSWERS, ids)]
    return []


def _told_apart(exchange: Exchange, profile: ReceiverProfile) -> bool:
    """Whether an answer is one that the learned observer can be asked about. A repeat may be answered
    by another status than 200; any other refusal is neither, whatever it looks like."""
    return exchange.status in profile.accepted or (
        exchange.answer is not None
        and profile.inferred is not None
        and profile.inferred.by_status
        and profile.inferred.is_first(exchange.answer) is False
    )


def _counted(
    expect: Expect, step: Step, index: int, exchanges: Sequence[Exchange], profile: ReceiverProfile
) -> list[Judgement]:
    """The effects that the observer counted for the step's messages."""
    here = [each for each in exchanges if each.step == index]
    asked = [each for each in here if each.role is Role.OBSERVE]
    silent = [each for each in asked if count(each) is None]
    if silent:
        return [Unjudged(_OBSERVER_SILENT, error=True, exchanges=(silent[0].id,))]
    before = {each.msg_id: count(each) or 0 for each in reversed(asked)}
    after = {each.msg_id: count(each) or 0 for each in asked}
    controls = [each.msg_id for each in here if each.role is Role.CONTROL]
    later = [each for each in controls if each in after]
    # Any effect of this step shows that the observer sees them; a later one, that they have ended: they
    # may come in order, and long after the answers.
    seen_any = any(after.values())
    ended = not controls or any(after[msg_id] for msg_id in later)
    taken, before_this = _taken(exchanges, index, profile), _taken(exchanges, index - 1, profile)
    unchanged = expect.processed == "unchanged"
    wrong, belated = [], False
    for msg_id in (each for each in after if each not in later):
        seen = after[msg_id]
        wanted = before[msg_id] if unchanged else int(expect.processed or 0)
        if unchanged and seen and not wanted and msg_id in before_this:
            wanted = 1  # that of the message which was taken before, come late
            belated = belated or seen == 1
        # Whether what was refused and sent again takes effect is asked there, not how often.
        more = seen > wanted and not step.resend
        if more or (seen < wanted and seen_any and ended and msg_id in taken):
            wrong.append((msg_id, seen, wanted))
    if wrong:
        return [_miscounted(expect, step, wrong, len(after) - len(later), exchanges)]
    if belated:
        return [Unjudged(_BELATED, error=True)]
    if later and not ended:  # of a later message that was refused, `_controls` tells
        return [Unjudged(_NO_LATER_EFFECT, error=True)]
    return []


def _taken(exchanges: Sequence[Exchange], index: int, profile: ReceiverProfile) -> set[str | None]:
    """The ids of what was acknowledged up to the step."""
    return {
        each.msg_id
        for each in exchanges
        if each.step <= index and each.role is Role.PROBE and each.status in profile.accepted
    }


def _miscounted(
    expect: Expect,
    step: Step,
    wrong: Sequence[tuple[str | None, int, int]],
    of: int,
    exchanges: Sequence[Exchange],
) -> Finding:
    msg_id, seen, wanted = max(wrong, key=lambda each: each[1])
    several = Text(f"{len(wrong)} of {of} messages: ", f"{of} 則訊息中有 {len(wrong)} 則：")
    probes = [each.id for each in exchanges if each.msg_id == msg_id and each.role is Role.PROBE]
    said = _FORGOTTEN if step.observe is not None and seen < wanted else _times(seen, wanted)
    message = (several if of > 1 else NO_TEXT) + said
    return Finding(expect.level, message, tuple(probes[:10]))


def count(exchange: Exchange) -> int | None:
    """N of an observer's `{"count": N}`; None when it answered anything else."""
    if exchange.status != 200 or exchange.answer is None:
        return None
    try:
        seen = json.loads(exchange.answer.body)["count"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return seen if isinstance(seen, int) and not isinstance(seen, bool) and seen >= 0 else None


def _times(seen: int, wanted: int = 1) -> Text:
    """How often something took effect, against how often it should have."""
    if seen == 0:
        return Text(
            "answered 200, and took no effect within 5 s", "響應 200，但 5 秒內沒有產生任何效果"
        )
    if wanted == 0:
        return Text(
            f"took effect ({seen}×), though it must not be processed",
            f"產生了效果（{seen} 次），但它不應被處理",
        )
    return Text(
        f"took effect {seen} times instead of {wanted}", f"產生了 {seen} 次效果，應為 {wanted} 次"
    )


def _controls(exchanges: Sequence[Exchange], profile: ReceiverProfile) -> list[Judgement]:
    """A refusal counts only while plain valid messages are accepted, before and after."""
    for each in exchanges:
        if each.role is Role.CONTROL and each.status not in profile.accepted:
            reason = Text(
                "not judged: a plain valid message sent beside it was not accepted (",
                "無法判定：同時發送的普通有效訊息未被接受（",
            )
            return [
                Unjudged(
                    reason + answered(each, profile) + Text(")", "）"),
                    error=True,
                    exchanges=(each.id,),
                )
            ]
    return []


_CUT = (Transport.CUT, Transport.OVERLONG)
_FORGOTTEN = Text(
    "answered 200 earlier, and the observer shows no effect now (lost, or counted in memory alone)",
    "先前已響應 200，觀察端點現在卻看不到效果（訊息遺失，或只在內存中計數）",
)
_BY_ANSWERS = Text(" (judged by the answers)", "（依響應內容判定）")
_NEITHER = Text(
    "an answer is neither like one to a first message nor like one to a repeat: give --observer-url",
    "有響應既不像首次訊息的響應，也不像重複訊息的響應：請提供 --observer-url",
)
_ROLLED_BACK = Text(
    "the message sent again was answered as a first one; whether the attempt that was given up took "
    "effect cannot be seen from the answers: give --observer-url",
    "重發的訊息得到首次訊息的響應；無法從響應看出先前放棄的嘗試是否已產生效果：請提供 --observer-url",
)
_TAKEN_FOR_REPEAT = Text(
    "answered as a repeat, though it had never been accepted: the message is lost",
    "被當成重複訊息響應，但它從未被接受過：訊息已遺失",
)
_PLAIN_REFUSED = Text(
    "not judged: the same in its plain form is not accepted: ",
    "未判定：同樣的訊息以普通形式發送也未被接受：",
)
_NOT_NO = Text(
    ', which says "not now" and not "no": a refusal is answered otherwise',
    "：這表示「暫時不行」而非「拒絕」；正常的拒絕不是這樣響應",
)
_NEVER_BUSY = Text(
    "every valid message was taken at once: no 429, 5xx or time-out was seen",
    "所有有效訊息都一次成功：沒有出現 429、5xx 或超時",
)
_STAYED_BUSY = Text(
    "the messages that were refused for the moment were refused again when they were sent again",
    "暫時被拒的訊息在重發後仍被拒絕",
)
_OBSERVER_SILENT = Text('the observer did not answer {"count": N}', '觀察端點沒有響應 {"count": N}')
_NO_LATER_EFFECT = Text(
    "not judged: a plain valid message sent afterwards was accepted, and showed no effect within 5 s",
    "無法判定：之後發送的普通有效訊息已被接受，但 5 秒內沒有產生效果",
)
_BELATED = Text(
    "not judged: the message of that msgId that was taken before had shown no effect by then; "
    "the one that is seen now may be its own",
    "無法判定：先前已接受的同一 msgId 的訊息當時尚未產生效果；現在看到的效果可能就是它的",
)
