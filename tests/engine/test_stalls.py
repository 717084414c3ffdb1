"""Being held up is noticed and measured, by a clock that a test turns."""

import asyncio

import pytest

from conformance.engine.stalls import (
    CHAIN,
    EVERY,
    FORGIVEN,
    NOTED,
    Stalls,
    is_spoilt,
    sound,
    spoilt,
)
from conformance.model.clock import Clock
from conformance.model.rules import Finding, Held, Level, Unjudged
from conformance.model.text import NO_TEXT


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
    ("by", "worst", "lost", "spoils"),
    [
        pytest.param(CHAIN, CHAIN, 3 * CHAIN, True, id="far apart"),
        pytest.param(0.2, 0.6, 0.6, True, id="close together"),
        pytest.param(NOTED + 0.01, 3 * (NOTED + 0.01), 3 * (NOTED + 0.01), True, id="short"),
        pytest.param(NOTED - 0.01, 0, 0, False, id="too short to be noted"),
    ],
)
async def test_a_look_that_comes_late_is_a_stall_of_that_length(by, worst, lost, spoils):
    clock = Late(by)
    stalls = Stalls(clock)
    async with stalls.watching():
        begin = clock.time
        await looks(clock, 3)
        assert stalls.worst(begin) == pytest.approx(worst)
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
        assert stalls.worst(begin) == pytest.approx(3.0)
        assert stalls.any(begin)


def test_what_is_not_watched_was_not_held_up():
    assert Stalls(Late(1.0)).lost(0.0) == 0


CLEAR = Finding(Level.MUST, NO_TEXT)
LIGHT = Finding(Level.MAY, NO_TEXT)
CLOSE = Finding(Level.MUST, NO_TEXT, slack=0.5)


@pytest.mark.parametrize(
    ("found", "lost", "left"),
    [
        pytest.param([CLEAR], 9.0, [CLEAR], id="what does not rest on the time stands"),
        pytest.param([CLOSE], 0.4, [CLOSE], id="a shorter loss cannot have made it"),
        pytest.param([CLOSE], 0.6, [], id="a longer loss may have made it"),
        pytest.param([CLEAR, CLOSE], 0.6, [CLEAR], id="one of two that weigh the same"),
        pytest.param([LIGHT, CLOSE], 0.6, [], id="the graver of two"),
        pytest.param([Unjudged(NO_TEXT), CLOSE], 0.6, [], id="a finding beside a skip"),
        pytest.param([Unjudged(NO_TEXT)], 9.0, [Unjudged(NO_TEXT)], id="a skip stands"),
        pytest.param([Unjudged(NO_TEXT, error=True)], FORGIVEN + 0.1, [], id="an error does not"),
    ],
)
def test_what_a_loss_of_time_may_have_made_is_left_out(found, lost, left):
    assert sound(found, lost) == left


HOLDS = Held(Level.MUST, slack=0.5)


@pytest.mark.parametrize(
    ("found", "lost", "spoils"),
    [
        pytest.param([HOLDS], 0.4, False, id="a shorter loss cannot have hidden anything"),
        pytest.param([HOLDS], 0.6, True, id="a longer loss may have hidden a finding"),
        pytest.param([LIGHT, HOLDS], 0.6, True, id="what is hidden may be graver than a finding"),
        pytest.param([CLEAR, HOLDS], 0.6, False, id="it cannot"),
        pytest.param([], 9.0, False, id="what does not rest on the time holds"),
    ],
)
def test_what_holds_is_believed_only_where_no_loss_may_have_made_it(found, lost, spoils):
    assert is_spoilt(found, lost) is spoils
    assert HOLDS not in sound(found, lost)


def test_what_is_not_believed_is_not_judged():
    (said,) = spoilt([HOLDS])
    assert isinstance(said, Unjudged)
    assert said.error
