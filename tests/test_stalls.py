"""Being held up is noticed, by a clock that a test turns."""

import asyncio

import pytest

from conformance.clock import Clock
from conformance.engine.stalls import EVERY, LATE, Stalls


class Late(Clock):
    """Every sleep takes `by` seconds longer."""

    def __init__(self, by):
        self.by, self.time = by, 100.0

    def monotonic(self):
        return self.time

    async def sleep(self, seconds):
        self.time += seconds + self.by
        await asyncio.sleep(0)


@pytest.mark.parametrize(("by", "noticed"), [(LATE + 0.1, True), (LATE - 0.1, False)])
async def test_a_look_that_comes_late_is_a_stall(by, noticed):
    clock = Late(by)
    stalls = Stalls(clock)
    async with stalls.watching():
        begin = clock.time
        while clock.time < begin + 3 * (EVERY + by):  # noqa: ASYNC110 - its time stands still
            await asyncio.sleep(0)
    assert stalls.since(begin) is noticed
    assert not stalls.since(clock.time + 1)
