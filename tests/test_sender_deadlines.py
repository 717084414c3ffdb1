"""Deadlines behind one timer: each ends in its time, and none that was kept."""

from __future__ import annotations

import asyncio
import time

import pytest

from conformance.sender.deadlines import Deadlines


async def test_a_context_that_takes_too_long_ends_in_its_time() -> None:
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        async with Deadlines().within(0.05):
            await asyncio.Event().wait()
    assert 0.04 < time.monotonic() - begin < 0.5


async def test_each_of_many_ends_in_its_own_time() -> None:
    deadlines, begin, took = Deadlines(), time.monotonic(), []

    async def hang(after: float) -> None:
        await asyncio.sleep(after)
        with pytest.raises(TimeoutError):
            async with deadlines.within(0.1):
                await asyncio.Event().wait()
        took.append(time.monotonic() - begin)

    await asyncio.gather(*(hang(number * 0.04) for number in range(4)))
    assert took == pytest.approx([0.1, 0.14, 0.18, 0.22], abs=0.03)


async def test_a_context_that_is_left_in_time_does_not_end_what_comes_after() -> None:
    deadlines = Deadlines()
    for _ in range(3):
        async with deadlines.within(0.03):
            await asyncio.sleep(0.02)  # the first one's timer looks while the second is on


async def test_lengths_do_not_wait_for_each_other() -> None:
    deadlines = Deadlines()

    async def hang(seconds: float) -> float:
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            async with deadlines.within(seconds):
                await asyncio.Event().wait()
        return time.monotonic() - begin

    took = await asyncio.gather(hang(0.3), hang(0.05))
    assert took == pytest.approx([0.3, 0.05], abs=0.04)


async def test_what_is_raised_inside_comes_out() -> None:
    with pytest.raises(ValueError, match="mine"):
        async with Deadlines().within(1):
            raise ValueError("mine")


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def hang() -> None:
        async with Deadlines().within(5):
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nothing_is_left_of_deadlines_that_have_passed() -> None:
    deadlines = Deadlines()
    async with deadlines.within(0.01):
        pass
    await asyncio.sleep(0.03)
    assert deadlines._ends == {}
