"""When this process was held up itself: what it saw late may have been in time.

A busy machine, or a burst of work in the same process, delays everything that this process does. A case
is run again when it was held up for as long as it takes to make its finding. Knows neither sides nor
rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from conformance.clock import Clock
from conformance.rules import Finding, Unjudged

EVERY = 0.1
"""Seconds between two looks at the clock."""
NOTED = 0.05
"""Seconds by which a look must be late to be noted."""
FORGIVEN = 0.15
"""Seconds at a stretch that change nothing that is not measured to the second."""


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

    def just_before(self, when: float) -> float:
        """The seconds for which it was held up at a stretch that ended at `when`, a monotonic time."""
        return self.longest(when - EVERY)

    def any(self, since: float) -> bool:
        """Whether there was a stall of more than FORGIVEN seconds, `since` a monotonic time."""
        return self.longest(since) > FORGIVEN


def is_spoilt(found: Iterable[Finding | Unjudged], held_up: float) -> bool:
    """Whether one of the things that a case came to may be the work of a stall of `held_up` seconds."""
    return any(
        each.slack is not None and each.slack <= held_up
        if isinstance(each, Finding)
        else each.error and held_up > FORGIVEN
        for each in found
    )
