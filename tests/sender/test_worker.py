"""When deliveries are attempted, on a virtual clock: hours of waits in milliseconds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.protocol.configuration import Configuration
from conformance.protocol.delivery import Backoff, State
from conformance.sender.attempt import AttemptReply
from conformance.sender.event import read
from conformance.sender.store import Store
from conformance.sender.worker import Deliveries, Pace
from conformance.storage.database import MEMORY
from tests.sender.parts import NOW, VirtualClock, event
from tests.sender.turned import HOOK, NO, OK, PLAIN, Attempt, Sender, first, sender


async def test_a_message_is_attempted_at_once_and_once_when_it_is_received() -> None:
    async with sender() as here:
        await here.put(HOOK)
        await here.emit("1")
        await here.clock.turn(3600)
        assert here.times() == [0.0]
        assert here.entry().state is State.DELIVERED


async def test_waits_double_from_the_base_up_to_the_cap() -> None:
    async with sender(lambda attempt: NO) as here:
        await here.put(replace(HOOK, retry_count=9))
        await here.emit("1")
        await here.clock.turn(3600)
        assert here.waits() == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_hundred_retries_take_their_hours() -> None:
    async with sender(lambda attempt: NO) as here:
        await here.put(replace(HOOK, retry_count=100))
        await here.emit("1")
        await here.clock.turn(1.5 * 3600)
        assert len(here.attempts) < 101
        await here.clock.turn(1.5 * 3600)
        assert len(here.attempts) == 101


@pytest.mark.parametrize(
    ("pace", "waits"),
    [
        pytest.param(Pace(Backoff(base=0.1, jitter=0)), [0.1, 0.2, 0.4], id="base"),
        pytest.param(Pace(Backoff(factor=3, jitter=0)), [1, 3, 9], id="factor"),
        pytest.param(Pace(Backoff(cap=1.5, jitter=0)), [1, 1.5, 1.5], id="cap"),
    ],
)
async def test_the_backoff_is_a_setting(pace: Pace, waits: list[float]) -> None:
    async with sender(lambda attempt: NO, pace) as here:
        await here.put(HOOK)
        await here.emit("1")
        await here.clock.turn(60)
        assert here.waits() == waits


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=8, max_size=8))
def test_waits_stay_within_their_jitter(draws: list[float]) -> None:
    async def run() -> None:
        draw = iter(draws).__next__
        async with sender(lambda attempt: NO, Pace(), draw=draw) as here:
            await here.put(replace(HOOK, retry_count=8))
            await here.emit("1")
            await here.clock.turn(600)
            expected = [Backoff().wait(number, each) for number, each in enumerate(draws, start=1)]
            assert here.waits() == pytest.approx(expected, abs=0.002)

    asyncio.run(run())


@pytest.mark.parametrize("retries", [0, 1, 5])
async def test_retry_count_is_what_follows_the_first_attempt(retries: int) -> None:
    async with sender(lambda attempt: NO) as here:
        await here.put(replace(HOOK, retry_count=retries))
        await here.emit("1")
        await here.clock.turn(3600)
        assert len(here.attempts) == retries + 1
        assert (here.entry().state, here.entry().attempts) == (State.FAILED, retries + 1)


async def test_nothing_follows_a_later_success() -> None:
    async with sender(first(2)) as here:
        await here.put(HOOK)
        await here.emit("1")
        await here.clock.turn(3600)
        assert here.times() == [0, 1, 3]
        assert here.entry().state is State.DELIVERED


async def test_a_200_that_arrives_too_late_is_retried() -> None:
    async with sender(first(1, before=AttemptReply(200, None, 5.1))) as here:
        await here.put(HOOK)
        await here.emit("1")
        await here.clock.turn(60)
        assert here.times() == [0, 6.1]  # the wait begins when the answer arrives


async def test_every_attempt_has_a_new_stamp_and_the_same_body() -> None:
    async with sender(lambda attempt: NO) as here:
        await here.put(HOOK)
        await here.clock.turn(100)
        await here.emit("1")
        await here.clock.turn(60)
        assert here.times() == [100, 101, 103, 107]
        assert {attempt.body for attempt in here.attempts} == {here.attempts[0].body}
        assert b'"timestamp":%d,' % (NOW + 100) in here.attempts[0].body


async def test_a_bodys_timestamp_is_that_of_its_first_attempt_not_of_its_acceptance() -> None:
    async with sender() as here:
        await here.put(HOOK)
        await here.clock.turn()
        await here.store.accept(list(read(event("1"))), NOW)  # and nothing wakes the lane
        await here.clock.turn(3600)
        here.deliveries.wake(1)
        await here.clock.turn()
        assert b'"timestamp":%d,' % (NOW + 3600) in here.attempts[0].body


@pytest.mark.parametrize(
    ("requested", "wait"),
    [
        pytest.param(30.0, 30, id="longer-than-the-backoff"),
        pytest.param(0.5, 1, id="shorter-than-the-backoff"),
        pytest.param(1e9, 600, id="without-end"),
    ],
)
async def test_retry_after_is_obeyed_within_bounds(requested: float, wait: float) -> None:
    async with sender(first(1, before=replace(NO, retry_after=requested))) as here:
        await here.put(HOOK)
        await here.emit("1")
        await here.clock.turn(3600)
        assert here.waits() == [wait]


async def test_a_disabled_configuration_gets_nothing_until_it_is_enabled_again() -> None:
    async with sender(first(1)) as here:
        await here.put(HOOK)
        await here.emit("1")
        await here.clock.turn()
        await here.put(replace(HOOK, enabled=False), 1)
        await here.clock.turn(3600)
        assert here.times() == [0]
        await here.put(HOOK, 1)
        await here.clock.turn()
        assert here.times() == [0, 3600]


async def test_a_change_holds_from_the_next_attempt_on() -> None:
    async with sender(lambda attempt: NO) as here:
        await here.put(HOOK)
        await here.emit("1")
        await here.clock.turn()
        await here.put(replace(HOOK, url="http://b/", retry_count=1), 1)
        await here.clock.turn(3600)
        assert [attempt.url for attempt in here.attempts] == ["http://a/", "http://b/"]


async def test_a_deleted_configuration_gets_nothing_more() -> None:
    async with sender(lambda attempt: NO) as here:
        await here.put(HOOK)
        await here.emit("1")
        await here.clock.turn()
        await here.deliveries.remove(1)
        await here.store.delete(1)
        await here.clock.turn(3600)
        assert here.times() == [0]


async def test_a_delivery_without_retries_left_is_attempted_again_when_redelivered() -> None:
    async with sender(first(4)) as here:
        await here.put(HOOK)
        await here.emit("1")
        await here.clock.turn(3600)
        assert here.entry().state is State.FAILED
        await here.store.queue.redeliver(1, here.clock.now())
        here.deliveries.wake(1)
        await here.clock.turn()
        assert (len(here.attempts), here.entry().state) == (5, State.DELIVERED)


async def test_waiting_deliveries_are_attempted_after_a_restart_when_they_are_due(
    tmp_path: Path,
) -> None:
    clock, place = VirtualClock(), str(tmp_path / "queue.db")
    async with sender(lambda attempt: NO, place=place, clock=clock) as here:
        await here.put(HOOK)
        await here.emit("1")
        while here.entry().attempts < 1:  # the commit takes real time
            await clock.turn()
    async with sender(place=place, clock=clock) as here:
        await clock.turn(0.9)
        assert here.attempts == []
        await clock.turn(0.2)
        assert here.times() == [1.0]


class Hanging:
    """Endpoints that hang until the test lets them answer; all others answer at once."""

    def __init__(self, clock: VirtualClock, *urls: str) -> None:
        self.clock = clock
        self.urls = urls
        self.open = asyncio.Event()
        self.begun: Counter[str] = Counter()
        self.in_flight = 0
        self.most = 0

    async def post(self, configuration: Configuration, body: bytes, now: float) -> AttemptReply:
        self.begun[configuration.url] += 1
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        if configuration.url in self.urls:
            await self.open.wait()
        self.in_flight -= 1
        return OK


@asynccontextmanager
async def hanging(*urls: str, pace: Pace = PLAIN) -> AsyncIterator[tuple[Sender, Hanging]]:
    clock = VirtualClock()
    async with Store(MEMORY) as store:
        endpoints = Hanging(clock, *urls)
        async with Deliveries(store, endpoints.post, clock, pace, grace=0.0) as deliveries:
            yield Sender(store, clock, deliveries), endpoints


async def test_one_hanging_endpoint_does_not_delay_another() -> None:
    async with hanging("http://a/") as (here, endpoints):
        await here.put(HOOK)
        await here.put(replace(HOOK, url="http://b/"))
        await here.emit(*map(str, range(200)))
        await here.clock.turn()
        assert endpoints.begun["http://b/"] == 200


async def test_many_hanging_endpoints_do_not_delay_another() -> None:
    urls = [f"http://a{number}/" for number in range(20)]
    async with hanging(*urls, pace=replace(PLAIN, each=4, in_all=8)) as (here, endpoints):
        for url in [*urls, "http://b/"]:
            await here.put(replace(HOOK, url=url))
        await here.emit(*map(str, range(50)))
        for _ in range(5):  # give each lane a turn
            await here.clock.turn()
        assert endpoints.begun["http://b/"] == 50


async def test_a_delivery_taken_from_the_store_waits_too_when_its_configuration_is_disabled() -> (
    None
):
    async with hanging("http://a/", pace=replace(PLAIN, each=1)) as (here, endpoints):
        await here.put(HOOK)
        await here.emit(*map(str, range(10)))
        await here.clock.turn()
        await here.put(replace(HOOK, enabled=False), 1)
        endpoints.open.set()
        await here.clock.turn(60)
        assert endpoints.begun["http://a/"] == 1
        await here.put(HOOK, 1)
        await here.clock.turn(60)
        assert endpoints.begun["http://a/"] == 10


async def test_attempts_in_flight_to_one_endpoint_are_bounded() -> None:
    async with hanging("http://a/", pace=replace(PLAIN, each=5)) as (here, endpoints):
        await here.put(HOOK)
        await here.emit(*map(str, range(100)))
        await here.clock.turn(60)
        assert endpoints.most == 5


async def test_attempts_in_flight_in_all_are_bounded() -> None:
    urls = [f"http://a{number}/" for number in range(6)]
    async with hanging(*urls, pace=replace(PLAIN, each=5, in_all=10)) as (here, endpoints):
        for url in urls:
            await here.put(replace(HOOK, url=url))
        await here.emit(*map(str, range(100)))
        await here.clock.turn(60)
        assert endpoints.most == 10 + 6  # one per configuration, and ten shared ones


async def test_a_long_queue_is_delivered_whole_and_each_message_once() -> None:
    async with sender(pace=replace(PLAIN, each=7)) as here:
        await here.put(HOOK)
        await here.emit(*map(str, range(3000)))
        while len(here.attempts) < 3000:
            await here.clock.turn()
        await here.clock.turn(3600)
        assert len({attempt.body for attempt in here.attempts}) == len(here.attempts) == 3000


@pytest.mark.parametrize("count", [65, 100, 150, 200, 300])
async def test_retries_that_become_due_behind_a_long_queue_are_made(count: int) -> None:
    # The queue is as long as one fetch, and is worked off while retries become due.
    first_of: set[bytes] = set()

    def answer(attempt: Attempt) -> AttemptReply:
        new = attempt.body.split(b'"msgId"')[1][:12] not in first_of
        first_of.add(attempt.body.split(b'"msgId"')[1][:12])
        return (
            AttemptReply(500, "the endpoint answered 500", 0.01)
            if new
            else AttemptReply(200, None, 0.01)
        )

    async with sender(answer, Pace(Backoff(base=0.1, jitter=0), each=4)) as here:
        await here.put(HOOK)
        await here.emit(*(str(10**6 + n) for n in range(count)))
        await here.clock.turn(60)
        assert len(here.attempts) == 2 * count


async def test_a_result_that_cannot_be_stored_is_stored_later_and_nothing_is_sent_twice() -> None:
    async with sender() as here:
        await here.put(HOOK)
        await here.emit("1")
        here.store._commits._db.execute("PRAGMA query_only = 1")
        await here.clock.turn(10)
        assert (len(here.attempts), here.entry().state) == (1, State.WAITING)
        here.store._commits._db.execute("PRAGMA query_only = 0")
        await here.clock.turn(10)
        assert (len(here.attempts), here.entry().state) == (1, State.DELIVERED)
