"""Describes what a passed step of a sender's case rests on, in a few words: its figures. At least one of
its messages arrived."""

from __future__ import annotations

from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.step import StepExchanges
from conformance.checks.sender.waits import figures, mean_waits
from conformance.model.exchange import Exchange
from conformance.model.text import Text


def describe_attempts(step: StepExchanges, profile: SenderProfile, most: int | None) -> Text:
    """The number of attempts for each message, and how long none followed the last of `most`."""
    counts = sorted({len(attempts) for attempts in _messages(step)})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    zh = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} 至 {counts[-1]}"
    text = Text(f"{number} attempt{'s' if counts != [1] else ''} seen", f"觀察到 {zh} 次嘗試")
    if most is None:
        return text
    quiet = profile.quiet_after(counts[-1])
    return text + Text(f", then none for {quiet:.1f} s", f"，之後 {quiet:.1f} 秒內沒有")


def describe_waits(step: StepExchanges, profile: SenderProfile) -> Text:
    """The mean waits between the attempts."""
    means = figures(mean_waits(_messages(step))[0])
    return Text(f"waits were {means} s", f"間隔為 {means} 秒")


def describe_delay(step: StepExchanges, profile: SenderProfile) -> Text:
    """How long the slowest first attempt took."""
    accepted_at = {str(event.msg_id): event.ended for event in step.events}
    firsts = [attempts[0] for attempts in _messages(step)]
    longest = max(first.started - accepted_at[str(first.msg_id)] for first in firsts)
    return Text(
        f"the first attempt came after {max(0.0, longest):.2f} s",
        f"首次嘗試在 {max(0.0, longest):.2f} 秒後到達",
    )


def describe_drawn(step: StepExchanges) -> Text:
    """How many messages were drawn, and how many of them the sender refused."""
    count, refused = len(step.ids), len(step.refused_events)
    drawn = Text(f"{count} drawn messages", f"隨機產生 {count} 條訊息")
    if refused:
        drawn += Text(f" ({refused} more were refused)", f"（另有 {refused} 條遭拒收）")
    return drawn


def _messages(step: StepExchanges) -> list[list[Exchange]]:
    """The attempts for each message of the step that arrived."""
    return [attempts for msg_id, attempts in step.attempts().items() if msg_id in step.ids]
