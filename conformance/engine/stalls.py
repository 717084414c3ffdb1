"""Whether this process was held up itself: then what it saw late may have been in time.

Knows neither sides nor rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from conformance.clock import Clock

EVERY, LATE = 0.1, 1.0
"""Seconds between two looks at the clock, and by which one must be late to be a stall."""


class Stalls:
    """When this process was held up, as far as it is watched."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: list[tuple[float, float]] = []

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at the clock all the time within the context."""
        looker = asyncio.create_task(self._look(), name="stalls")
        try:
            yield
        finally:
            looker.cancel()
            await asyncio.wait([looker])

    async def _look(self) -> None:
        while True:
            before = self._clock.monotonic()
            await self._clock.sleep(EVERY)
            now = self._clock.monotonic()
            if now - before > EVERY + LATE:
                self._seen.append((before, now))

    def since(self, begin: float) -> bool:
        """Whether there was one since `begin`, by the clock's monotonic time, or is one that has just
        ended."""
        return any(ended >= begin for _, ended in self._seen)
