"""A sender on a virtual clock whose endpoints are a function: hours of waits in milliseconds."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from conformance.protocol.configuration import Configuration
from conformance.protocol.delivery import Backoff
from conformance.sender.attempt import AttemptReply
from conformance.sender.event import read
from conformance.sender.queue import Entry
from conformance.sender.store import Store
from conformance.sender.worker import Deliveries, Pace
from conformance.storage.database import MEMORY
from tests.sender.parts import NOW, VirtualClock, event

OK = AttemptReply(200, None, 0.0)
NO = AttemptReply(500, "the endpoint answered 500", 0.0)
HOOK = Configuration("http://a/")
PLAIN = Pace(Backoff(jitter=0.0))


@dataclass(frozen=True)
class Attempt:
    """An attempt: its time (Unix seconds), its URL and its body."""

    at: float
    url: str
    body: bytes


@dataclass
class Sender:
    """A sender whose endpoints are a function and whose clock is virtual."""

    store: Store
    clock: VirtualClock
    deliveries: Deliveries
    attempts: list[Attempt] = field(default_factory=list)

    async def put(self, configuration: Configuration, ident: int | None = None) -> int:
        if ident is None:
            ident = await self.store.registry.create(configuration)
        else:
            await self.store.registry.change(ident, configuration)
        self.deliveries.put(ident, configuration)
        return ident

    async def emit(self, *msg_ids: str) -> None:
        await self.accept(*(event(each) for each in msg_ids))

    async def accept(self, *fields: dict[str, Any]) -> None:
        events = list(read(list(fields)))
        for ident in await self.store.accept(events, self.clock.now()):
            self.deliveries.wake(ident)

    def times(self) -> list[float]:
        """The times of the attempts, in seconds since the start."""
        return [round(attempt.at - NOW, 3) for attempt in self.attempts]

    def waits(self) -> list[float]:
        return [round(later - sooner, 3) for sooner, later in itertools.pairwise(self.times())]

    def entry(self, ident: int = 1) -> Entry:
        return next(each for each in self.store.queue.newest(1000) if each.id == ident)


Answers = Callable[[Attempt], AttemptReply]


@asynccontextmanager
async def sender(
    answer: Answers = lambda attempt: OK,
    pace: Pace = PLAIN,
    place: str = MEMORY,
    clock: VirtualClock | None = None,
    **options: Any,
) -> AsyncIterator[Sender]:
    """A sender whose attempts `answer` answers, after the `elapsed` seconds of its reply."""
    clock = clock or VirtualClock()

    async def post(configuration: Configuration, body: bytes, now: float) -> AttemptReply:
        attempt = Attempt(now, configuration.url, body)
        here.attempts.append(attempt)
        reply = answer(attempt)
        if reply.elapsed:
            await clock.sleep(reply.elapsed)
        return reply

    async with Store(place) as store:
        deliveries = Deliveries(store, post, clock, pace, grace=0.0, **options)
        here = Sender(store, clock, deliveries)
        async with deliveries:
            yield here


def first(count: int, then: AttemptReply = OK, before: AttemptReply = NO) -> Answers:
    """`before` for the first `count` attempts, and `then` afterwards."""
    numbers = itertools.count(1)
    return lambda attempt: before if next(numbers) <= count else then
