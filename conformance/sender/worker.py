"""Schedules the attempts of every delivery and stores their results: one lane for each configuration.

A lane takes due deliveries from the store, a few at a time, so that memory does not grow with the
queue. A lane that waits for a slow endpoint delays no other. The `SenderBehaviour` decides what an
attempt means and how long to wait. Guide: 接收流程 3, 重試機制, 異步處理.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import cast

from conformance.model.clock import Clock
from conformance.protocol.configuration import Configuration
from conformance.protocol.delivery import NEXT, Backoff, DeliveryEvent, State
from conformance.sender.attempt import AttemptReply
from conformance.sender.behaviour import CORRECT, SenderBehaviour
from conformance.sender.endpoint import Post
from conformance.sender.queue import AttemptResult, Waiting
from conformance.sender.store import Store
from conformance.storage.commits import NotStoredError

LOW = 64
"""A lane with fewer deliveries than this takes more from the store."""
CLAIMED = 2048
"""The most deliveries that a lane may have claimed while the store has no result for them."""
PATROL = 30.0
"""Seconds after which a sleeping lane reads the clock again, since someone may have set it."""
PAUSE = 1.0
"""Seconds to wait after the store could not be read or written."""

_STATE_AFTER = {
    event: NEXT[NEXT[State.WAITING, DeliveryEvent.SENT], event]
    for event in (DeliveryEvent.ACCEPTED, DeliveryEvent.REFUSED, DeliveryEvent.EXHAUSTED)
}
"""The state of a waiting delivery after the outcome of an attempt."""

_RANDOM = random.Random()  # noqa: S311 - not the module's own, which other code may seed
_LOG = logging.getLogger("hookproof.sender")


@dataclass(frozen=True, slots=True)
class Pace:
    """How deliveries are paced: the waits between attempts, the longest Retry-After that is obeyed
    (seconds), and how many attempts may be in flight: `each` for one configuration, and `in_all` for
    all of them, not counting one that every configuration may always have."""

    backoff: Backoff = field(default_factory=Backoff)
    retry_after: float = 600.0
    each: int = 32
    in_all: int = 256


class Deliveries:
    """The lanes of all configurations. Use as an async context manager, within the store's.

    Leaving lets attempts in flight finish, for at most `grace` seconds of real time. `draw` returns
    uniform random numbers in [0, 1).
    """

    def __init__(  # noqa: PLR0913 - tests replace its clock, draw, pace and grace one by one
        self,
        store: Store,
        post: Post,
        clock: Clock,
        pace: Pace | None = None,
        *,
        behaviour: SenderBehaviour = CORRECT,
        draw: Callable[[], float] = _RANDOM.random,
        grace: float = 2.0,
    ) -> None:
        self.store = store
        self.post = post
        self.clock = clock
        self.pace = pace or Pace()
        self.behaviour = behaviour
        self.draw = draw
        self.slots = asyncio.Semaphore(self.pace.in_all)
        self._grace = grace
        self._lanes: dict[int, _Lane] = {}
        self._results: list[AttemptResult] = []
        self._settle = asyncio.Event()
        self._leaving = False

    async def __aenter__(self) -> Deliveries:
        self._settler = asyncio.create_task(self._settle_results(), name="settler")
        for ident, configuration in self.store.registry.configurations.items():
            self.put(ident, configuration)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(lane.stop(self._grace) for lane in self._lanes.values()))
        self._leaving = True
        self._settle.set()
        await self._settler

    def put(self, ident: int, configuration: Configuration) -> None:
        """Use `configuration` from the next attempt on."""
        if ident in self._lanes:
            self._lanes[ident].change(configuration)
        else:
            self._lanes[ident] = _Lane(ident, configuration, self)

    async def remove(self, ident: int) -> None:
        """Make no more attempts for a configuration; cancel those in flight."""
        await self._lanes.pop(ident).stop(0)

    def wake(self, ident: int) -> None:
        """Tell a configuration's lane that something may be due."""
        if ident in self._lanes:
            self._lanes[ident].wake()

    def settle(self, result: AttemptResult) -> None:
        """Submit the result of an attempt, to be stored with the others that are pending."""
        self._results.append(result)
        self._settle.set()

    async def _settle_results(self) -> None:
        while self._results or not self._leaving:
            if not self._results:
                self._settle.clear()
                await self._settle.wait()
                continue
            results, self._results = self._results, []
            if await self._store_results(results):
                for ident in {result.configuration for result in results} & self._lanes.keys():
                    self._lanes[ident].release(results)

    async def _store_results(self, results: Sequence[AttemptResult]) -> bool:
        """Store `results`, however long it takes: a successful delivery must not be repeated. False
        if the sender stops first."""
        while True:
            try:
                await self.store.queue.settle(results)
            except NotStoredError as fault:
                _LOG.error("the results of attempts cannot be stored: %s", fault)
                if self._leaving:
                    return False
                await self.clock.sleep(PAUSE)
            else:
                return True


class _Lane:
    """The deliveries of one configuration."""

    def __init__(self, ident: int, configuration: Configuration, all_lanes: Deliveries) -> None:
        self._ident = ident
        self._configuration = configuration
        self._all = all_lanes
        self._ready: deque[Waiting] = deque()
        self._claimed: set[int] = set()
        self._more = False  # whether the store may have more due deliveries
        self._wake = asyncio.Event()
        self._own_slot = True  # whether the slot that only this lane may use is free
        self._workers: set[asyncio.Task[None]] = set()
        self._feeder = asyncio.create_task(self._feed(), name=f"lane {ident}")

    def wake(self) -> None:
        self._wake.set()

    def change(self, configuration: Configuration) -> None:
        self._configuration = configuration
        if not configuration.enabled:
            self._claimed.difference_update(waiting.id for waiting in self._ready)
            self._ready.clear()
        self._wake.set()

    def release(self, results: Sequence[AttemptResult]) -> None:
        """Drop the claims on deliveries whose results are stored; some may belong to other lanes."""
        self._claimed.difference_update(result.delivery for result in results)
        if self._needs_more() or any(result.state is State.WAITING for result in results):
            self._wake.set()

    async def stop(self, grace: float) -> None:
        self._feeder.cancel()
        self._ready.clear()
        if self._workers and grace:
            await asyncio.wait(self._workers, timeout=grace)
        tasks = [self._feeder, *self._workers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _needs_more(self) -> bool:
        return self._more and len(self._ready) < LOW and len(self._claimed) < CLAIMED

    async def _feed(self) -> None:
        while True:
            self._wake.clear()
            now = self._all.clock.now()
            try:
                due = self._take(now) if self._configuration.enabled else None
            except sqlite3.Error as fault:
                _LOG.error("the queue cannot be read: %s", fault)
                due = now + PAUSE
            await self._sleep_until(due)

    def _take(self, now: float) -> float | None:
        """Claim due deliveries and start workers for them. Returns when to look again; None means
        when the lane is woken."""
        if len(self._ready) < LOW and len(self._claimed) < CLAIMED:
            due, self._more = self._all.store.queue.due(self._ident, now, self._claimed)
            self._claimed.update(waiting.id for waiting in due)
            self._ready.extend(due)
        else:
            self._more = True  # possibly: nothing has looked for what became due meanwhile
        for _ in range(min(self._all.pace.each - len(self._workers), len(self._ready))):
            self._workers.add(asyncio.create_task(self._work()))
        return None if self._more else self._all.store.queue.next_due(self._ident, now)

    async def _sleep_until(self, due: float | None) -> None:
        if due is None:
            await self._wake.wait()
            return
        wait = min(PATROL, max(0.0, due - self._all.clock.now()))
        tasks = [
            asyncio.create_task(self._wake.wait()),
            asyncio.create_task(self._all.clock.sleep(wait)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _work(self) -> None:
        # One worker of each lane needs no shared slot, so that an endpoint always gets its messages,
        # however many others hang.
        own_slot, self._own_slot = self._own_slot, False
        slot = nullcontext() if own_slot else self._all.slots
        try:
            while self._ready:
                async with slot:
                    if self._ready:
                        waiting = self._ready.popleft()
                        if self._needs_more():
                            self._wake.set()
                        await self._attempt(waiting)
        finally:
            self._own_slot = own_slot or self._own_slot
            # Now and not in a callback: until then the feeder would count on this worker.
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _attempt(self, waiting: Waiting) -> None:
        configuration = self._configuration
        now = self._all.clock.now()
        # Every attempt has a new timestamp header and signature; the body stays that of the first.
        stamp = int(now) if waiting.stamp is None else waiting.stamp
        reply = await self._all.post(configuration, waiting.body.stamped(stamp), now)
        self._all.settle(self._result(waiting, stamp, reply, configuration))

    def _result(
        self, waiting: Waiting, stamp: int, reply: AttemptReply, configuration: Configuration
    ) -> AttemptResult:
        attempt = waiting.attempts + 1
        event = self._all.behaviour.outcome(waiting, reply, configuration)
        ended = self._all.clock.now()
        retry = event is DeliveryEvent.REFUSED
        return AttemptResult(
            delivery=waiting.id,
            configuration=self._ident,
            state=_STATE_AFTER[event],
            due=ended + self._wait(attempt, reply) if retry else ended,
            attempts=attempt,
            stamp=stamp,
            status=reply.status,
            problem=reply.problem,
            ended=ended,
        )

    def _wait(self, attempt: int, reply: AttemptReply) -> float:
        pace = self._all.pace
        requested = min(reply.retry_after or 0.0, pace.retry_after)
        return max(requested, self._all.behaviour.wait(pace.backoff, attempt, self._all.draw()))
