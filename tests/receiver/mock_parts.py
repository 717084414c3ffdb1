"""For tests of the mock receiver: clocks whose pauses take no time, and common values."""

from __future__ import annotations

import asyncio

from conformance.model.clock import Clock
from tests.patience import PATIENCE

SOON = PATIENCE
"""Seconds within which everything here happens."""
SUCCESS = b'{"status": "success"}'


class LeapingClock(Clock):
    """A clock on which every pause ends at once."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


class HeldClock(LeapingClock):
    """A clock on which a pause lasts until the test sets `released`."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep, self.released = asyncio.Event(), asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asleep.set()
        await self.released.wait()
        await super().sleep(seconds)
