"""Deadlines of many attempts at once, with one timer for all that are of the same length.

`asyncio.timeout` and aiohttp set a timer for each, a tenth of what an attempt costs, and nearly all of
them for nothing. Deadlines of one length end in the order in which they began, and so the one timer
only has to follow the oldest. (aiohttp would also round 5 s up to a full second of its clock.)
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadlines:
    """Gives contexts that end with TimeoutError when they take too long, as asyncio.timeout does."""

    def __init__(self) -> None:
        self._ends: dict[float, dict[asyncio.Timeout, float]] = {}

    def within(self, seconds: float) -> _Within:
        """A context that may take `seconds`."""
        return _Within(self, seconds)

    def begin(self, limit: asyncio.Timeout, seconds: float) -> None:
        """Let `limit` end in `seconds`."""
        loop = asyncio.get_running_loop()
        ends = self._ends.get(seconds)
        if ends is None:
            ends = self._ends[seconds] = {}
            loop.call_later(seconds, self._look, seconds)
        ends[limit] = loop.time() + seconds

    def end(self, limit: asyncio.Timeout, seconds: float) -> None:
        """Let `limit`, which was begun with `seconds`, not end any more."""
        self._ends.get(seconds, {}).pop(limit, None)

    def _look(self, seconds: float) -> None:
        loop, ends = asyncio.get_running_loop(), self._ends[seconds]
        for limit, when in list(ends.items()):
            if when > loop.time():
                loop.call_at(when, self._look, seconds)
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
