"""The life of a delivery, as a table: what an attempt's outcome means, and how long to wait.

Pure: time and randomness come in as arguments. Guide: 接收流程 2-3, 伺服器要求 3, 重試機制.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GUIDE_DEADLINE = 5.0
"""Seconds that a receiver has for its whole answer (guide: 伺服器要求 3)."""


class State(StrEnum):
    """The state of a delivery."""

    WAITING = "waiting"
    ATTEMPTED = "attempted"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryEvent(StrEnum):
    """What can happen to a delivery."""

    SENT = "sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"  # another status, a time-out or a connection fault, and retries are left
    EXHAUSTED = "exhausted"  # the same, and no retry is left
    REDELIVER = "redeliver"


NEXT = {
    (State.WAITING, DeliveryEvent.SENT): State.ATTEMPTED,
    (State.ATTEMPTED, DeliveryEvent.ACCEPTED): State.DELIVERED,
    (State.ATTEMPTED, DeliveryEvent.REFUSED): State.WAITING,
    (State.ATTEMPTED, DeliveryEvent.EXHAUSTED): State.FAILED,
    (State.FAILED, DeliveryEvent.REDELIVER): State.WAITING,
}
"""(state, event) → state; any other pair is an error."""


def deadline(timeout: float) -> float:
    """The effective deadline in seconds: the guide's 5 s or the configured Timeout, if shorter."""
    return min(GUIDE_DEADLINE, timeout)


def outcome(
    status: int | None, elapsed: float, *, timeout: float, attempt: int, retry_count: int
) -> DeliveryEvent:
    """The event that attempt number `attempt` (from 1) results in.

    `status` is None without a whole answer; `elapsed` is the seconds until the whole answer. Only a
    200 within the deadline is a success (guide: 接收流程 2); `retry_count` retries follow the first
    attempt.
    """
    if status == 200 and elapsed <= deadline(timeout):
        return DeliveryEvent.ACCEPTED
    return DeliveryEvent.REFUSED if attempt <= retry_count else DeliveryEvent.EXHAUSTED


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waits between attempts, in seconds; `jitter` is a share of the wait."""

    base: float = 1.0
    factor: float = 2.0
    jitter: float = 0.2
    cap: float = 60.0

    def wait(self, attempt: int, draw: float) -> float:
        """The seconds to wait after attempt number `attempt` (from 1) has failed.

        `draw` is uniform in [0, 1). The cap bounds the wait before jitter.
        """
        # The exponent is bounded so that attempt 5,000 does not overflow a float.
        plain = min(self.cap, self.base * self.factor ** min(attempt - 1, 64))
        return plain * (1 + self.jitter * (2 * draw - 1))
