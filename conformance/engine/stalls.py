"""When this process was held up itself: what it saw late may have been in time.

A busy machine, or a burst of work in the same process, delays everything that this process does. A case
that shows a fault while that happens is run again. Knows neither sides nor rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from conformance.clock import Clock

EVERY = 0.1
"""Seconds between two looks at the clock."""
NOTED = 0.05
"""Seconds by which a look must be late to be noted."""
FORGIVEN = 0.15
"""Seconds at a stretch that every check forgives: the least by which a correct target and a faulty one
differ where the clock decides. A finding that was made beside a longer stall is no evidence."""


class Stalls:
    """When this process was held up, as far as it is watched."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._noted: list[tuple[float, float]] = []  # when it ended, and its seconds
        self._looked: float | None = None

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at the clock all the time within the context."""
        looker = asyncio.create_task(self._look(), name="stalls")
        try:
            yield
        finally:
            looker.cancel()
            await asyncio.wait([looker])
            self._looked = None

    async def _look(self) -> None:
        while True:
            self._looked = self._clock.monotonic()
            await self._clock.sleep(EVERY)
            late = self._late()
            if late > NOTED:
                self._noted.append((self._clock.monotonic(), late))

    def _late(self) -> float:
        """Seconds by which the next look is late by now."""
        if self._looked is None:
            return 0.0
        return self._clock.monotonic() - self._looked - EVERY

    def _since(self, begin: float) -> list[float]:
        noted = [late for ended, late in self._noted if ended >= begin]
        late = self._late()  # of a stall that has just ended, and was not looked at
        return [*noted, late] if late > NOTED else noted

    def longest(self, since: float) -> float:
        """The most seconds for which it was held up at a stretch, `since` a monotonic time."""
        return max(self._since(since), default=0.0)

    def lost(self, since: float) -> float:
        """The seconds for which it was held up in all, `since` a monotonic time."""
        return sum(self._since(since))

    def spoil(self, since: float) -> bool:
        """Whether it was held up for longer than the checks forgive, `since` a monotonic time."""
        return self.longest(since) > FORGIVEN
