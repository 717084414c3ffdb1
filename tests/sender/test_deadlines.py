"""Deadlines behind one timer: each expires on time, and none that was met."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from conformance.sender.deadlines import Deadlines
from tests.turned_loop import run_turned


def now() -> float:
    return asyncio.get_running_loop().time()


async def hang(deadlines: Deadlines, seconds: float, after: float = 0.0) -> float:
    """Overrun a deadline that begins `after` some time; return when it expired."""
    await asyncio.sleep(after)
    with pytest.raises(TimeoutError):
        async with deadlines.within(seconds):
            await asyncio.Event().wait()
    return now()


async def all_of(*waiting: Any) -> list[float]:
    return list(await asyncio.gather(*waiting))


def test_a_context_that_takes_too_long_expires_on_time() -> None:
    assert run_turned(hang(Deadlines(), 5)) == pytest.approx(5)


def test_each_of_many_expires_on_its_own_time() -> None:
    deadlines = Deadlines()
    ends = run_turned(all_of(*(hang(deadlines, 5, after=number) for number in range(4))))
    assert ends == pytest.approx([5, 6, 7, 8])


def test_lengths_do_not_wait_for_each_other() -> None:
    deadlines = Deadlines()
    assert run_turned(all_of(hang(deadlines, 5), hang(deadlines, 1))) == pytest.approx([5, 1])


def test_a_context_that_is_left_in_time_does_not_end_what_follows() -> None:
    async def thrice() -> float:
        deadlines = Deadlines()
        for _ in range(3):
            async with deadlines.within(3):
                await asyncio.sleep(2)  # the first one's timer fires during the second
        return now()

    assert run_turned(thrice()) == pytest.approx(6)


def test_nothing_is_left_of_expired_deadlines() -> None:
    async def passed() -> Deadlines:
        deadlines = Deadlines()
        async with deadlines.within(1):
            pass
        await asyncio.sleep(3)
        return deadlines

    assert run_turned(passed())._ends == {}


async def test_an_exception_inside_propagates() -> None:
    with pytest.raises(ValueError, match="mine"):
        async with Deadlines().within(1):
            raise ValueError("mine")


async def test_a_cancellation_from_outside_stays_a_cancellation() -> None:
    async def hang() -> None:
        async with Deadlines().within(5):
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
