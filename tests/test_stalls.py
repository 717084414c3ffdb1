"""Being held up is noticed and measured, by a clock that a test turns."""

import asyncio

import pytest

from conformance.clock import Clock
from conformance.engine.stalls import EVERY, FORGIVEN, NOTED, Stalls


class Late(Clock):
    """Every sleep takes `by` seconds longer."""

    def __init__(self, by):
        self.by, self.time = by, 100.0

    def monotonic(self):
        return self.time

    async def sleep(self, seconds):
        self.time += seconds + self.by
        await asyncio.sleep(0)


async def looks(clock, number):
    """Lets the clock be looked at `number` times."""
    until = clock.time + number * (EVERY + clock.by)
    while clock.time < until - 1e-6:  # noqa: ASYNC110 - its time stands still
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("by", "longest", "lost", "spoils"),
    [
        pytest.param(FORGIVEN + 0.1, FORGIVEN + 0.1, 3 * (FORGIVEN + 0.1), True, id="spoils"),
        pytest.param(FORGIVEN - 0.05, FORGIVEN - 0.05, 3 * (FORGIVEN - 0.05), False, id="forgiven"),
        pytest.param(NOTED - 0.01, 0, 0, False, id="not noted"),
    ],
)
async def test_a_look_that_comes_late_is_a_stall_of_that_length(by, longest, lost, spoils):
    clock = Late(by)
    stalls = Stalls(clock)
    async with stalls.watching():
        begin = clock.time
        await looks(clock, 3)
        assert stalls.longest(begin) == pytest.approx(longest)
        assert stalls.lost(begin) == pytest.approx(lost)
        assert stalls.any(begin) is spoils
    assert stalls.lost(clock.time + 1) == 0


async def test_a_stall_that_has_not_been_looked_at_counts_already():
    clock = Late(0.0)
    stalls = Stalls(clock)
    async with stalls.watching():
        await looks(clock, 1)
        begin = clock.time
        clock.time += 3.0
        assert stalls.longest(begin) == pytest.approx(3.0)
        assert stalls.any(begin)


def test_what_is_not_watched_was_not_held_up():
    assert Stalls(Late(1.0)).lost(0.0) == 0
