"""How often a message is attempted, whatever its attempts are answered: told from the answers alone.

Guide: 接收流程 2-3, 配置步驟 1 (RetryCount).
"""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checks.case import Judgement
from conformance.checks.sender.facts import SenderFacts
from conformance.checks.sender.step import StepSeen
from conformance.exchange import Exchange
from conformance.rules import Finding, Level
from conformance.text import Text


def promised(attempts: Sequence[Exchange], retry_count: int) -> int:
    """The number of attempts that there must be in all: until the first that is answered 200, and at
    most `retry_count` after the first."""
    good = next((n for n, each in enumerate(attempts, 1) if _is_good(each)), retry_count + 1)
    return min(good, retry_count + 1)


def as_answered(step: StepSeen, facts: SenderFacts, level: Level) -> list[Judgement]:
    """Each message is attempted as often as its answers ask for; the shortest script that shows it not
    to be so is told."""
    came = step.came()
    retry_count = step.retry_count or 0
    wrong = [
        msg_id for msg_id in step.ids if len(came[msg_id]) != promised(came[msg_id], retry_count)
    ]
    if not wrong:
        return []
    attempts = came[wrong[0]]
    wanted = promised(attempts, retry_count)
    count = Text(
        f"{len(wrong)} of {len(step.ids)} messages: ",
        f"{len(step.ids)} 條訊息中有 {len(wrong)} 條：",
    )
    answers = ", ".join(map(_answer, attempts)) or "-"
    said = Text(
        f"{wanted} attempts expected, {len(attempts)} seen, for RetryCount {retry_count} and the "
        f"answers: {answers}",
        f"RetryCount 為 {retry_count}，預期 {wanted} 次嘗試，實際 {len(attempts)} 次；響應依序為：{answers}",
    )
    told = tuple(each.id for each in attempts[:10]) or step.given_ids(wrong[:1])
    return [Finding(level, count + said, told)]


def _is_good(each: Exchange) -> bool:
    return each.status == 200 and each.fault is None


def _answer(each: Exchange) -> str:
    return str(each.status) if each.status is not None else each.detail or str(each.fault)
