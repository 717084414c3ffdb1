"""What a case that holds has shown, in a few words: the figures on which it was believed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.step import StepSeen
from conformance.checks.sender.waits import figures, mean_waits
from conformance.model.exchange import Exchange
from conformance.model.text import Text
from conformance.scenario.receiver import Case


def shown(case: Case, exchanges: Sequence[Exchange], profile: SenderProfile) -> Text:
    """How many attempts came, for how long none did after that, and how long the waits were."""
    told = [
        text
        for index in range(len(case.sender_case.actions))
        for text in _of_step(StepSeen(case.sender_case, index, exchanges), profile)
    ]
    return Text("; ".join(text.en for text in told), "；".join(text.zh for text in told))


def _of_step(step: StepSeen, profile: SenderProfile) -> Iterator[Text]:
    if step.drawn:
        count, refused = len(step.ids), len(step.refused)
        drawn = Text(f"{count} drawn messages", f"隨機產生 {count} 條訊息")
        if refused:
            drawn += Text(f" ({refused} more were refused)", f"（另有 {refused} 條遭拒收）")
        yield drawn
    came = [attempts for msg_id, attempts in step.came().items() if msg_id in step.ids]
    if not came:
        return
    for seen in step.sender_case.actions[step.index].seen:
        if seen.attempts is not None:
            yield _attempts(came, seen.attempts[1], profile)
        elif seen.check == "as-answered":
            yield _attempts(came, step.retry_count, profile)
        elif seen.check == "exponential-waits":
            said = figures(mean_waits(came)[0])
            yield Text(f"waits were {said} s", f"間隔為 {said} 秒")
        elif seen.check == "prompt":
            given = {str(each.msg_id): each.ended for each in step.given}
            last = max(each[0].started - given[str(each[0].msg_id)] for each in came)
            yield Text(
                f"the first attempt came after {max(0.0, last):.2f} s",
                f"首次嘗試在 {max(0.0, last):.2f} 秒後到達",
            )


def _attempts(came: Sequence[Sequence[Exchange]], most: int | None, profile: SenderProfile) -> Text:
    counts = sorted({len(attempts) for attempts in came})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    zh = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} 至 {counts[-1]}"
    said = Text(f"{number} attempt{'s' if counts != [1] else ''} seen", f"觀察到 {zh} 次嘗試")
    if most is None:
        return said
    quiet = profile.quiet_after(counts[-1])
    return said + Text(f", then none for {quiet:.1f} s", f"，之後 {quiet:.1f} 秒內沒有")
