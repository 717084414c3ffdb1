"""The newest requests to the endpoint as they came, kept for whoever watches.

Nothing is looked at here, so that the endpoint pays no more than the keeping when nobody watches.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from conformance.exchange import Headers

MOST = 10_000
"""Requests that are kept."""
ROOM = 64 * 1024 * 1024
"""Bytes of their bodies, all together."""
LARGEST = 1024 * 1024
"""Bytes of a body that is kept whole; of a larger one the beginning is kept."""
_BEGINNING = 64 * 1024


@dataclass(slots=True)
class Arrived:
    """One request and how it was answered: `status`, and `message` where the answer says why.

    `size` is the whole body's, `received` is in Unix seconds. `scripted` says in short what the panel
    made of the answer, `broken` by which fault it was no whole answer. `looked` holds what was found
    out about it once somebody watched.
    """

    received: float
    method: str
    path: str
    peer: str | None
    headers: Headers
    body: bytes
    size: int
    status: int
    message: str | None
    scripted: str | None = None
    broken: str | None = None
    looked: Any = None


class Feed:
    """A window over all that arrived: requests are numbered from 1, and the oldest fall out."""

    def __init__(self, most: int = MOST, room: int = ROOM) -> None:
        self._most, self._room = most, room
        self._kept: deque[Arrived] = deque()
        self._bytes = 0
        self._total = 0
        self._watchers = 0
        self._changed = asyncio.Event()

    @property
    def first(self) -> int:
        """The number of the oldest request that is kept."""
        return self._total - len(self._kept) + 1

    @property
    def watchers(self) -> int:
        """How many watch now."""
        return self._watchers

    def add(self, arrived: Arrived) -> None:
        """Keep `arrived`, and let go of the oldest where there is no room."""
        if arrived.size > LARGEST:
            arrived.body = arrived.body[:_BEGINNING]
        self._kept.append(arrived)
        self._bytes += len(arrived.body)
        self._total += 1
        while len(self._kept) > self._most or self._bytes > self._room:
            self._bytes -= len(self._kept.popleft().body)
        if self._watchers:
            self._changed.set()

    def after(self, number: int, most: int) -> list[tuple[int, Arrived]]:
        """The oldest `most` requests that came after `number` and are kept, with their numbers."""
        first = self.first
        start = max(0, number + 1 - first)
        found = islice(self._kept, start, start + most)
        return list(enumerate(found, first + start))

    def get(self, number: int) -> Arrived | None:
        """The request `number`, or None when it is not kept."""
        found = self.after(number - 1, 1)
        return found[0][1] if found and found[0][0] == number else None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within the context, `changed` tells what comes."""
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    def notify(self) -> None:
        """Wake whoever watches: something else than a request is new."""
        self._changed.set()

    async def changed(self, timeout: float) -> bool:
        """Wait for news; False when `timeout` seconds bring none."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout):
                return await self._changed.wait()
        except TimeoutError:
            return False
