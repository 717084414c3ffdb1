"""How long a step waits for the deliveries that its expectations are about. Pure: times come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from conformance.checks.sender.attempt_count import expected_attempts
from conformance.checks.sender.profile import SenderProfile
from conformance.model.exchange import Exchange

Attempts = tuple[int, int | None]
"""How many attempts a message must get, at least and at most (None: without a bound)."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What has arrived at an endpoint so far (`attempts`: msgId → attempts, in their order), the `ids` of
    the step's messages, when each message of the case was accepted (`emitted`), when the step began
    (`since`), and the configured RetryCount. Times are monotonic."""

    attempts: Mapping[str, Sequence[Exchange]]
    ids: Sequence[str]
    emitted: Mapping[str, float]
    since: float
    retry_count: int

    def of(self, msg_id: str) -> Sequence[Exchange]:
        """The attempts for one message."""
        return self.attempts.get(msg_id, ())

    @property
    def last_arrival(self) -> float:
        """When the last attempt for one of the step's messages ended; 0 if there is none."""
        return max((each.ended for msg_id in self.ids for each in self.of(msg_id)), default=0.0)


def enough_attempts(
    waiting: Waiting, profile: SenderProfile, expected: Attempts | None = None
) -> float | None:
    """Settled when each message has its `expected` attempts, or else as many as its answers require."""
    # While the sender works through many messages, none of them is late.
    busy = waiting.last_arrival if len(waiting.ids) > 1 else 0.0
    deadlines = []
    for msg_id in waiting.ids:
        attempts = waiting.of(msg_id)
        least, most = expected or (expected_attempts(attempts, waiting.retry_count),) * 2
        if len(attempts) >= least and (most is None or len(attempts) > most):
            continue
        if msg_id in waiting.emitted:
            number = len(attempts)
            wait = profile.patience(1) if number < least else profile.quiet_after(number)
            due = profile.due(attempts, waiting.emitted[msg_id], most)
            deadlines.append(max(busy + wait, due) if busy else due)
    return max(deadlines, default=None)


def at_least(attempts: int) -> Callable[[Waiting, SenderProfile], float | None]:
    """Settled when each message has that many attempts."""
    return partial(enough_attempts, expected=(attempts, None))


def all_delivered(waiting: Waiting, profile: SenderProfile) -> float | None:
    """Settled when every message of the case was answered 200, however often it has failed before."""
    missing = [
        waiting.of(msg_id)
        for msg_id in waiting.emitted
        if not any(attempt.status == 200 for attempt in waiting.of(msg_id))
    ]
    patience = [profile.patience(len(attempts) + 1) for attempts in missing]
    return waiting.since + profile.arrival + max(patience) if patience else None
