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

from conformance.model.exchange import Headers

MOST = 10_000
"""Requests that are kept."""
ROOM = 64 * 1024 * 1024
"""Bytes of their bodies, all together."""
LARGEST = 1024 * 1024
"""Bytes of a body that is kept whole; of a larger one the beginning is kept."""
_BEGINNING = 64 * 1024


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request and how it was answered: `status`, and `message` where the answer says why.

    `size` is the whole body's, `received` is in Unix seconds. `scripted` says in short what the panel
    made of the answer, `broken` by which fault it was no whole answer.
    """

    received: float
    method: str
    path: str
    headers: Headers
    body: bytes
    size: int
    status: int
    message: str | None
    scripted: str | None
    broken: str | None


Kept = tuple[float, str, str, Headers, bytes, int, int, str | None, str | None, str | None]
"""The fields of an `Arrived`. Ten thousand plain tuples of plain values are no work for Python's garbage
collector, and as many objects are."""


class Feed:
    """A window over all that arrived: requests are numbered from 1, and the oldest fall out."""

    def __init__(self, most: int = MOST, room: int = ROOM) -> None:
        self._most, self._room = most, room
        self._kept: deque[Kept] = deque()
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

    def add(
        self,
        received: float,
        method: str,
        path: str,
        headers: Headers,
        body: bytes,
        status: int,
        message: str | None,
        scripted: str | None = None,
        broken: str | None = None,
    ) -> None:
        """Keep a request, with the fields of an `Arrived`; let go of the oldest for want of room."""
        size = len(body)
        if size > LARGEST:
            body = body[:_BEGINNING]
        self._kept.append(
            (received, method, path, headers, body, size, status, message, scripted, broken)
        )
        self._bytes += len(body)
        self._total += 1
        while len(self._kept) > self._most or self._bytes > self._room:
            self._bytes -= len(self._kept.popleft()[4])
        if self._watchers:
            self._changed.set()

    def after(self, number: int, most: int) -> list[tuple[int, Arrived]]:
        """The oldest `most` requests that came after `number` and are kept, with their numbers."""
        first = self.first
        start = max(0, number + 1 - first)
        found = islice(self._kept, start, start + most)
        return [(number, Arrived(*each)) for number, each in enumerate(found, first + start)]

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
