"""How often a message is attempted, whatever its attempts are answered: told from the answers alone.

Guide: 接收流程 2-3, 配置步驟 1 (RetryCount).
"""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checks.sender.profile import SenderProfile, under_way
from conformance.checks.sender.step import StepSeen
from conformance.model.exchange import Exchange, Fault
from conformance.model.rules import Finding, Judgement, Level, Unjudged
from conformance.model.text import Text


def promised(attempts: Sequence[Exchange], retry_count: int) -> int:
    """The number of attempts that there must be in all: until the first that is answered 200, and at
    most `retry_count` after the first."""
    good = next((n for n, each in enumerate(attempts, 1) if _is_good(each)), retry_count + 1)
    return min(good, retry_count + 1)


def as_answered(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """Each message is attempted as often as its answers ask for; of those that are not, the one with the
    fewest answers is told. An attempt that is not given up is for sender.time.deadline to tell."""
    came = step.came()
    retry_count = step.retry_count or 0
    ended = [ident for ident in step.ids if not any(map(under_way, came[ident]))]
    wrong = [ident for ident in ended if len(came[ident]) != promised(came[ident], retry_count)]
    if not wrong:
        return [] if ended else [Unjudged(_NOT_GIVEN_UP)]
    attempts = came[wrong[0]]
    count = Text(
        f"{len(wrong)} of {len(step.ids)} messages: ",
        f"{len(step.ids)} 條訊息中有 {len(wrong)} 條：",
    )
    told = tuple(each.id for each in attempts[:10]) or step.given_ids(wrong[:1])
    many = len(attempts) > promised(attempts, retry_count)
    slack = (slack_of_many if many else slack_of_few)(attempts, step.deadline)
    return [Finding(level, count + _said(attempts, retry_count, profile), told, slack)]


def slack_of_many(attempts: Sequence[Exchange], deadline: float) -> float | None:
    """The seconds for which the mock's answer must have been held up for a sender with this `deadline` to be
    right in sending again after each of the `attempts` but the last; None when that cannot be."""
    again = attempts[:-1]
    left = [deadline - each.seconds for each in again if _is_good(each) or _is_given_up(each)]
    return max(0.0, min(left)) if left else None


def slack_of_few(attempts: Sequence[Exchange], deadline: float) -> float | None:
    """The same for a sender that makes no more attempts after one that got no answer in time."""
    answered = [deadline - each.seconds for each in attempts[-1:] if each.status is not None]
    return max(0.0, answered[0]) if answered else None


def _said(attempts: Sequence[Exchange], retry_count: int, profile: SenderProfile) -> Text:
    if not attempts:
        return Text(
            f"did not arrive within {profile.arrival:g} s", f"在 {profile.arrival:g} 秒內沒有送達"
        )
    made, wanted = len(attempts), promised(attempts, retry_count)
    answers = _joined([_answer(each) for each in attempts])
    if made < wanted:
        return (
            Text(
                f"{made} attempts, and no more, for RetryCount {retry_count} and the answers ",
                f"RetryCount 為 {retry_count}，只嘗試了 {made} 次；響應依序為：",
            )
            + answers
        )
    return (
        Text(
            f"{wanted} attempts expected, {made} seen, for RetryCount {retry_count} and the answers ",
            f"RetryCount 為 {retry_count}，預期 {wanted} 次嘗試，實際 {made} 次；響應依序為：",
        )
        + answers
    )


def _joined(texts: Sequence[Text]) -> Text:
    """Texts in a row."""
    return Text(", ".join(each.en for each in texts), "、".join(each.zh for each in texts))


def _is_good(each: Exchange) -> bool:
    return each.status == 200 and each.fault is None


def _is_given_up(each: Exchange) -> bool:
    return each.fault is Fault.TIMEOUT


def _answer(each: Exchange) -> Text:
    if each.status is not None:
        return Text(str(each.status), str(each.status))
    if _is_given_up(each):
        passed = each.ended - each.sent
        return Text(f"none (given up after {passed:.1f} s)", f"無（{passed:.1f} 秒後放棄）")
    return Text("a broken connection", "連接中斷")


_NOT_GIVEN_UP = Text(
    "not judged: no attempt was given up (see sender.time.deadline)",
    "未判定：沒有任何嘗試被放棄（見 sender.time.deadline）",
)
