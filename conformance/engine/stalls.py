"""Whether this process was held up itself: then what it saw late may have been in time.

Knows neither sides nor rules.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from conformance.clock import Clock

EVERY, LATE = 0.1, 1.0
"""Seconds between two looks at the clock, and by which one must be late to be a stall."""


class Stalls:
    """Looks at the clock all the time. Use as an async context manager."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: list[tuple[float, float]] = []

    async def __aenter__(self) -> Stalls:
        self._looker = asyncio.create_task(self._look(), name="stalls")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._looker.cancel()
        await asyncio.wait([self._looker])

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
