"""Measures when this process itself was stalled, and which judgements that makes unreliable.

A busy machine, or a burst of work in the same process, delays everything that this process does: what it
saw late may have been in time. A case is run again when the process was stalled for long enough to
explain its finding. Knows neither sides nor rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from conformance.model.clock import Clock
from conformance.model.rules import GRAVITY, Finding, Judgement, Unjudged
from conformance.model.sentence import Sentence

INTERVAL = 0.1
"""Seconds between two readings of the clock."""
SHORTEST = 0.05
"""Seconds by which a reading must be late to count as a stall."""
CHAIN = 2.0
"""Seconds within which stalls add up: an answer takes several steps, and each of them may be late."""
TOLERANCE = 0.15
"""Seconds of stalls that only affect what is measured in fractions of a second."""


class Stalls:
    """The stalls of this process while they are being watched. Times are monotonic."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stalls: list[tuple[float, float]] = []  # (end, seconds)
        self._last_reading: float | None = None

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Read the clock every INTERVAL seconds within the context."""
        watcher = asyncio.create_task(self._watch(), name="stalls")
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.wait([watcher])
            self._last_reading = None

    async def _watch(self) -> None:
        while True:
            self._last_reading = self._clock.monotonic()
            await self._clock.sleep(INTERVAL)
            late = self._late()
            if late > SHORTEST:
                self._stalls.append((self._clock.monotonic(), late))

    def _late(self) -> float:
        """Seconds by which the next reading is late already."""
        if self._last_reading is None:
            return 0.0
        return self._clock.monotonic() - self._last_reading - INTERVAL

    def _since(self, begin: float) -> list[float]:
        stalls = [late for ended, late in self._stalls if ended >= begin]
        late = self._late()  # of a stall that has just ended, before the next reading
        return [*stalls, late] if late > SHORTEST else stalls

    def worst(self, since: float) -> float:
        """The most seconds that were lost within any CHAIN seconds after `since`."""
        stalls = [*self._stalls, (self._clock.monotonic(), self._late())]
        recent = [(ended, late) for ended, late in stalls if ended >= since and late > SHORTEST]
        sums = (
            sum(late for end, late in recent if 0 <= end - ended <= CHAIN) for ended, _ in recent
        )
        return max(sums, default=0.0)

    def lost(self, since: float) -> float:
        """The seconds for which the process was stalled after `since`, in all."""
        return sum(self._since(since))

    def any(self, since: float) -> bool:
        """Whether more than TOLERANCE seconds were lost after `since`."""
        return self.worst(since) > TOLERANCE


def drop_unreliable(judgements: Iterable[Judgement], lost: float) -> list[Judgement]:
    """The judgements of a case without those that a stall of `lost` seconds can explain. Empty when one of
    these is graver than every finding that is kept."""
    reliable: list[Judgement] = []
    doubtful: list[Judgement] = []
    for judgement in judgements:
        (doubtful if _may_be_due_to(judgement, lost) else reliable).append(judgement)
    found = max((_gravity(each) for each in reliable if isinstance(each, Finding)), default=0)
    if doubtful and found < max(1, *map(_gravity, doubtful)):
        return []
    return reliable


def is_stalled(judgements: Sequence[Judgement], lost: float) -> bool:
    """Whether a stall of `lost` seconds may have caused all judgements of a case, or hidden a graver
    one."""
    doubtful = any(_may_be_due_to(judgement, lost) for judgement in judgements)
    return doubtful and not drop_unreliable(judgements, lost)


def _gravity(judgement: Judgement) -> int:
    return 0 if isinstance(judgement, Unjudged) else 1 + GRAVITY[judgement.level]


def _may_be_due_to(judgement: Judgement, lost: float) -> bool:
    if judgement.slack is not None:
        return judgement.slack <= lost
    return isinstance(judgement, Unjudged) and judgement.error and lost > TOLERANCE


def as_stalled(judgements: Sequence[Judgement]) -> list[Judgement]:
    """What to report for a case without a reliable judgement when it is not run again."""
    unjudged: list[Judgement] = [each for each in judgements if isinstance(each, Unjudged)]
    return (
        unjudged
        if len(unjudged) == len(judgements)
        else [Unjudged("stalled", _STALLED, error=True)]
    )


_STALLED = Sentence(
    "not judged: Hookproof itself was stalled every time it ran this, so what seemed "
    "late may have been in time: give a longer --timeout, or use a less busy machine"
)
