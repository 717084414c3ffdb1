"""Deadlines of many concurrent attempts, with one timer for all deadlines of the same length.

`asyncio.timeout` and aiohttp set a timer for each attempt, a tenth of its cost, and nearly every one
of them is cancelled. Deadlines of one length expire in the order in which they began, so one timer
that follows the oldest is enough. (aiohttp would also round 5 s up to a full second of its clock.)
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadlines:
    """Makes contexts that raise TimeoutError when they take too long, as asyncio.timeout does."""

    def __init__(self) -> None:
        self._ends: dict[float, dict[asyncio.Timeout, float]] = {}

    def within(self, seconds: float) -> _Within:
        """A context that may take `seconds`."""
        return _Within(self, seconds)

    def begin(self, limit: asyncio.Timeout, seconds: float) -> None:
        """Let `limit` expire in `seconds`."""
        loop = asyncio.get_running_loop()
        ends = self._ends.get(seconds)
        if ends is None:
            ends = self._ends[seconds] = {}
            loop.call_later(seconds, self._expire, seconds)
        ends[limit] = loop.time() + seconds

    def end(self, limit: asyncio.Timeout, seconds: float) -> None:
        """Cancel `limit`, which began with `seconds`."""
        self._ends.get(seconds, {}).pop(limit, None)

    def _expire(self, seconds: float) -> None:
        loop, ends = asyncio.get_running_loop(), self._ends[seconds]
        for limit, when in list(ends.items()):
            if when > loop.time():
                loop.call_at(when, self._expire, seconds)
                return
            limit.reschedule(when)
            del ends[limit]
        del self._ends[seconds]


class _Within:
    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines = deadlines
        self._seconds = seconds
        self._limit = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._deadlines.begin(self._limit, self._seconds)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._deadlines.end(self._limit, self._seconds)
        await self._limit.__aexit__(kind, fault, at)
