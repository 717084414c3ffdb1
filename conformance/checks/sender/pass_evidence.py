"""Describes what a passed case rests on, in a few words: its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.step import StepExchanges
from conformance.checks.sender.waits import figures, mean_waits
from conformance.model.exchange import Exchange
from conformance.model.text import Text
from conformance.scenario.records import Case


def describe_pass(case: Case, exchanges: Sequence[Exchange], profile: SenderProfile) -> Text:
    """The number of attempts, how long none followed them, and the waits between them."""
    texts = [
        text
        for index in range(len(case.sender_case.actions))
        for text in _of_step(StepExchanges(case.sender_case, index, exchanges), profile)
    ]
    return Text("; ".join(text.en for text in texts), "；".join(text.zh for text in texts))


def _of_step(step: StepExchanges, profile: SenderProfile) -> Iterator[Text]:
    if step.is_drawn:
        count, refused = len(step.ids), len(step.refused_events)
        drawn = Text(f"{count} drawn messages", f"隨機產生 {count} 條訊息")
        if refused:
            drawn += Text(f" ({refused} more were refused)", f"（另有 {refused} 條遭拒收）")
        yield drawn
    messages = [attempts for msg_id, attempts in step.attempts().items() if msg_id in step.ids]
    if not messages:
        return
    for expectation in step.sender_case.actions[step.index].expectations:
        if expectation.attempts is not None:
            yield _attempts(messages, expectation.attempts[1], profile)
        elif expectation.check == "as-answered":
            yield _attempts(messages, step.retry_count, profile)
        elif expectation.check == "exponential-waits":
            means = figures(mean_waits(messages)[0])
            yield Text(f"waits were {means} s", f"間隔為 {means} 秒")
        elif expectation.check == "prompt":
            accepted_at = {str(event.msg_id): event.ended for event in step.events}
            firsts = [attempts[0] for attempts in messages]
            longest = max(first.started - accepted_at[str(first.msg_id)] for first in firsts)
            yield Text(
                f"the first attempt came after {max(0.0, longest):.2f} s",
                f"首次嘗試在 {max(0.0, longest):.2f} 秒後到達",
            )


def _attempts(
    messages: Sequence[Sequence[Exchange]], most: int | None, profile: SenderProfile
) -> Text:
    counts = sorted({len(attempts) for attempts in messages})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    zh = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} 至 {counts[-1]}"
    text = Text(f"{number} attempt{'s' if counts != [1] else ''} seen", f"觀察到 {zh} 次嘗試")
    if most is None:
        return text
    quiet = profile.quiet_after(counts[-1])
    return text + Text(f", then none for {quiet:.1f} s", f"，之後 {quiet:.1f} 秒內沒有")
