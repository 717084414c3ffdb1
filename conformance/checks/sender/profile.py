"""What a run has found out about the sender before anything is judged, and how long it is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from conformance.model.exchange import Exchange
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Scheme
from conformance.protocol.tampering import Signer

ARRIVAL = 10.0
"""Seconds within which a first attempt begins, unless the sender was seen to take longer."""
UNDER_WAY = 8.0
"""Seconds for which an attempt that gets no answer is watched: no deadline is longer than 5."""
QUIET = 1.0
"""Seconds without an attempt, at least, before it is believed that none is to come."""
SHORTEST = 1.5
"""Seconds for which it is watched that no attempt follows, at least."""
PATIENT = 5.0
"""Seconds in which an attempt that must follow has begun, at least: waiting costs only where none does."""
REFUSED = 0.2
LONGEST = 90.0
STEEP, STEEPEST = 4.0, 12.0
"""Factors by which waits are expected to grow at the most, and to which a growth that was seen is believed
where a further attempt is still to come."""


@dataclass(frozen=True, slots=True)
class SenderProfile:
    """What the judging rests on.

    `asked` signs as the user said, with the secret of the suite's configurations; `scheme` is how
    the sender was seen to sign (None: in no known way), `other_secret` that of other endpoints.
    `latency` is how many seconds a first attempt took, `waits` how long the waits after the first
    failure were and after the second (empty: it was not seen to try again; `patience` seconds were
    given to it). `lists_several` and `delivers_several` tell whether it keeps more than one
    configuration, and serves them all; `isolates` whether one that hangs delays no other;
    `tests_by_id` whether Test goes to the configuration that it names; `lists_types` whether it
    understands listed message types, and not "*" alone.
    """

    asked: Signer
    other_secret: Secret
    scheme: Scheme | None = None
    latency: float = 0.0
    waits: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    given: float = 0.0
    emits: bool = False
    lists_several: bool = False
    delivers_several: bool = False
    isolates: bool = False
    tests_by_id: bool = False
    deletes: bool = True
    lists_types: bool = True

    @property
    def retries(self) -> bool:
        """Whether it was seen to try again after a failure."""
        return bool(self.waits[0])

    @property
    def arrival(self) -> float:
        """Seconds within which a first attempt must begin."""
        return max(ARRIVAL, 3 * self.latency)

    @property
    def quiet(self) -> float:
        """Seconds after which it is believed that a message does not come at all."""
        return QUIET + 3 * self.latency

    @property
    def refusal(self) -> float:
        """Seconds for which an endpoint refuses: the first attempt must have met it."""
        return REFUSED + 3 * self.latency

    def outlasts_refusal(self, retry_count: int) -> bool:
        """Whether `retry_count` retries are not over before an endpoint stops to refuse, even if all
        waits are as short as the first."""
        firsts = self.waits[0]
        return bool(firsts) and retry_count * min(firsts) > self.refusal + REFUSED / 2

    def wait(self, attempt: int) -> float:
        """The wait to expect after failed attempt number `attempt`, in seconds."""
        return self._wait(attempt, STEEP)

    def _wait(self, attempt: int, steepest: float) -> float:
        firsts, seconds = self.waits
        if not firsts:
            return 0.0
        growth = median(seconds) / median(firsts) if seconds and median(firsts) > 0 else 2.0
        return float(min(LONGEST, max(firsts) * min(steepest, max(2.0, growth)) ** (attempt - 1)))

    def patience(self, attempt: int) -> float:
        """Seconds within which another attempt must begin after number `attempt` has failed: worked
        out from the waits that were seen, as if they went on doubling at least. Generous: one that
        comes is not waited for any longer."""
        return max(PATIENT, 2 * self._wait(attempt, STEEPEST) + 1.0)

    def quiet_after(self, attempt: int) -> float:
        """Seconds after which it is believed that attempt number `attempt` was the last: there would
        have been another in the time that the waits before it make likely."""
        return max(SHORTEST, 1.25 * self.wait(attempt) + 0.5)

    def due(self, attempts: Sequence[Exchange], emitted: float, most: int | None) -> float:
        """When (monotonic) the next attempt of a message that was given at `emitted` must have begun,
        or, beyond `most`, until when it is watched that there is none."""
        if not attempts:
            return emitted + self.arrival
        last = attempts[-1]
        if under_way(last):
            return last.sent + UNDER_WAY
        asked = retry_after(last)
        if most is None or len(attempts) < most:
            return last.ended + asked + self.patience(len(attempts))
        return max(emitted + self.quiet, last.ended + asked + self.quiet_after(len(attempts)))


def under_way(attempt: Exchange) -> bool:
    """Whether an attempt has not come to its end."""
    return attempt.answer is None and attempt.fault is None


def retry_after(attempt: Exchange) -> float:
    """The seconds for which the mock's answer asked the sender to wait."""
    if attempt.answer is None or attempt.answer.status == 200:
        return 0.0
    given = [value for name, value in attempt.answer.headers if name.lower() == b"retry-after"]
    return float(given[0]) if given and given[0].isdigit() else 0.0
