"""Describes what a passed step of a sender's case rests on, in a few words: its figures. At least one of
its messages arrived."""

from __future__ import annotations

from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.step import StepExchanges
from conformance.checks.sender.waits import figures, mean_waits
from conformance.model.exchange import Exchange
from conformance.model.sentence import Sentence


def describe_attempts(step: StepExchanges, profile: SenderProfile, most: int | None) -> Sentence:
    """The number of attempts for each message, and how long none followed the last of `most`."""
    counts = sorted({len(attempts) for attempts in _messages(step)})
    if counts == [1]:
        text = Sentence("{count} attempt seen", count=1)
    elif len(counts) == 1:
        text = Sentence("{count} attempts seen", count=counts[0])
    else:
        text = Sentence("{least} to {most} attempts seen", least=counts[0], most=counts[-1])
    if most is None:
        return text
    quiet = profile.quiet_after(counts[-1])
    return text + Sentence(", then none for {seconds:.1f} s", seconds=quiet)


def describe_waits(step: StepExchanges, profile: SenderProfile) -> Sentence:
    """The mean waits between the attempts."""
    means = figures(mean_waits(_messages(step))[0])
    return Sentence("waits were {waits} s", waits=means)


def describe_delay(step: StepExchanges, profile: SenderProfile) -> Sentence:
    """How long the slowest first attempt took."""
    accepted_at = {str(event.msg_id): event.ended for event in step.events}
    firsts = [attempts[0] for attempts in _messages(step)]
    longest = max(first.started - accepted_at[str(first.msg_id)] for first in firsts)
    return Sentence("the first attempt came after {seconds:.2f} s", seconds=max(0.0, longest))


def describe_drawn(step: StepExchanges) -> Sentence:
    """How many messages were drawn, and how many of them the sender refused."""
    count, refused = len(step.ids), len(step.refused_events)
    drawn = Sentence("{count} drawn messages", count=count)
    if refused:
        drawn += Sentence(" ({refused} more were refused)", refused=refused)
    return drawn


def _messages(step: StepExchanges) -> list[list[Exchange]]:
    """The attempts for each message of the step that arrived."""
    return [attempts for msg_id, attempts in step.attempts().items() if msg_id in step.ids]
