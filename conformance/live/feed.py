"""The newest requests to the endpoint, kept for the pages that watch it.

Nothing is examined here: while no page watches, a request costs the endpoint only its storage.
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
"""Bytes of all kept bodies together."""
LARGEST = 1024 * 1024
"""Bytes of the largest body that is kept whole; of a larger one only the beginning is kept."""
_BEGINNING = 64 * 1024


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One request and its answer: `status`, and `message` if the answer states a reason.

    `received` is in Unix seconds, `size` is that of the whole body. `scripted` sums up a scripted
    answer; `broken` is the fault that made it incomplete.
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


Fields = tuple[float, str, str, Headers, bytes, int, int, str | None, str | None, str | None]
"""The fields of a `FeedEntry`. Python's garbage collector need not scan ten thousand tuples of plain
values, as it must scan as many objects."""


class Feed:
    """A window over all requests: they are numbered from 1, and the oldest are dropped."""

    def __init__(self, most: int = MOST, room: int = ROOM) -> None:
        self._most, self._room = most, room
        self._kept: deque[Fields] = deque()
        self._bytes = 0
        self._total = 0
        self._watchers = 0
        self._changed = asyncio.Event()

    @property
    def first(self) -> int:
        """The number of the oldest kept request."""
        return self._total - len(self._kept) + 1

    @property
    def watchers(self) -> int:
        """The number of pages that watch now."""
        return self._watchers

    def add(  # noqa: PLR0913 - the fields one by one: a record would be an object for each request
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
        """Keep a request, with the fields of a `FeedEntry`, and drop the oldest ones if there is no room."""
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

    def after(self, number: int, most: int) -> list[tuple[int, FeedEntry]]:
        """The oldest kept requests after `number`, at most `most`, with their numbers."""
        first = self.first
        start = max(0, number + 1 - first)
        kept = islice(self._kept, start, start + most)
        return [(number, FeedEntry(*values)) for number, values in enumerate(kept, first + start)]

    def get(self, number: int) -> FeedEntry | None:
        """The request `number`; None if it is not kept."""
        entries = dict(self.after(number - 1, 1))
        return entries.get(number)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A context in which `changed` notices new requests."""
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    def notify(self) -> None:
        """Wake the pages that watch, for news other than a request."""
        self._changed.set()

    async def changed(self, timeout: float) -> bool:
        """Wait for news; False if none come within `timeout` seconds."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout):
                return await self._changed.wait()
        except TimeoutError:
            return False
