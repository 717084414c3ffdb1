"""A blocking thread beside the loop gets results and faults back, and no run leaves it behind."""

from __future__ import annotations

import asyncio
import sys
import threading
from functools import partial

import pytest

from conformance.engine.portal import Portal
from tests.patience import PATIENCE


async def one():
    await asyncio.sleep(0)
    return 1


async def test_the_thread_gets_the_results_of_its_calls():
    portal = Portal()
    assert await portal.run(lambda: portal.call(one()) + portal.call(one())) == 2


async def test_the_thread_gets_the_faults_of_its_calls():
    async def broken():
        raise LookupError("no such thing")

    portal = Portal()
    with pytest.raises(LookupError):
        await portal.run(lambda: portal.call(broken()))


async def test_one_thread_at_a_time_works_and_others_have_their_turn_while_it_waits():
    both, working = asyncio.Barrier(2), []

    def work(portal):
        for _ in range(100):
            working.append(1)
            assert len(working) == 1
            working.pop()
            portal.call(both.wait())

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(p.run(partial(work, p)) for p in (Portal(), Portal())))
    assert not both.broken


async def test_a_fault_of_the_work_is_raised():
    def work():
        raise LookupError("no such thing")

    with pytest.raises(LookupError):
        await Portal().run(work)


async def test_the_thread_has_ended_when_the_run_is_cancelled():
    asked, ended = asyncio.Event(), threading.Event()

    async def endless():
        asked.set()
        await asyncio.Event().wait()

    def work():
        try:
            portal.call(endless())
        finally:
            ended.set()

    portal = Portal()
    running = asyncio.create_task(portal.run(work))
    await asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()


@pytest.fixture
def hasty():
    """Makes threads take turns as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


async def test_a_call_that_has_only_just_begun_is_cancelled_too(hasty):
    async def once():
        asked = asyncio.Event()

        async def endless():
            asked.set()
            await asyncio.Event().wait()

        portal = Portal()
        running = asyncio.create_task(portal.run(lambda: portal.call(endless())))
        await asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    async with asyncio.timeout(PATIENCE):
        for _ in range(1000):
            await once()


async def test_a_cancelled_run_makes_no_more_calls():
    asked, calls = asyncio.Event(), []

    async def endless():
        asked.set()
        await asyncio.Event().wait()

    async def counted():
        calls.append(1)

    def work():
        try:
            portal.call(endless())
        finally:
            portal.call(counted())

    portal = Portal()
    running = asyncio.create_task(portal.run(work))
    await asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert calls == []
