"""Stalls of this process are measured, by a clock that a test turns."""

import asyncio

import pytest

from conformance.engine.stalls import (
    CHAIN,
    INTERVAL,
    SHORTEST,
    TOLERANCE,
    Stalls,
    as_stalled,
    drop_unreliable,
    is_stalled,
)
from conformance.model.clock import Clock
from conformance.model.rules import Finding, Held, Level, Unjudged
from conformance.model.sentence import EMPTY


class Late(Clock):
    """Every sleep takes `by` seconds longer."""

    def __init__(self, by):
        self.by, self.time = by, 100.0

    def monotonic(self):
        return self.time

    async def sleep(self, seconds):
        self.time += seconds + self.by
        await asyncio.sleep(0)


async def readings(clock, number):
    """Lets the clock be read `number` times."""
    until = clock.time + number * (INTERVAL + clock.by)
    while clock.time < until - 1e-6:  # noqa: ASYNC110 - its time stands still
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("by", "worst", "lost", "spoils"),
    [
        pytest.param(CHAIN, CHAIN, 3 * CHAIN, True, id="far apart"),
        pytest.param(0.2, 0.6, 0.6, True, id="close together"),
        pytest.param(
            SHORTEST + 0.01, 3 * (SHORTEST + 0.01), 3 * (SHORTEST + 0.01), True, id="short"
        ),
        pytest.param(SHORTEST - 0.01, 0, 0, False, id="too short to count"),
    ],
)
async def test_a_late_reading_is_a_stall_of_that_length(by, worst, lost, spoils):
    clock = Late(by)
    stalls = Stalls(clock)
    async with stalls.watching():
        begin = clock.time
        await readings(clock, 3)
        assert stalls.worst(begin) == pytest.approx(worst)
        assert stalls.lost(begin) == pytest.approx(lost)
        assert stalls.any(begin) is spoils
    assert stalls.lost(clock.time + 1) == 0


async def test_a_stall_counts_before_the_next_reading():
    clock = Late(0.0)
    stalls = Stalls(clock)
    async with stalls.watching():
        await readings(clock, 1)
        begin = clock.time
        clock.time += 3.0
        assert stalls.worst(begin) == pytest.approx(3.0)
        assert stalls.any(begin)


def test_without_watching_there_are_no_stalls():
    assert Stalls(Late(1.0)).lost(0.0) == 0


SURE = Held(Level.MUST, (1,))
CLEAR = Finding(Level.MUST, "late", EMPTY)
LIGHT = Finding(Level.MAY, "late", EMPTY)
SKIPPED = Unjudged("no-evidence", EMPTY)
STOPPED = Unjudged("no-evidence", EMPTY, error=True)
CLOSE = Finding(Level.MUST, "late", EMPTY, slack=0.5)


@pytest.mark.parametrize(
    ("judgements", "lost", "reliable"),
    [
        pytest.param([CLEAR], 9.0, [CLEAR], id="a finding that does not depend on time stays"),
        pytest.param([CLOSE], 0.4, [CLOSE], id="a shorter stall cannot have caused it"),
        pytest.param([CLOSE], 0.6, [], id="a longer stall may have caused it"),
        pytest.param([CLEAR, CLOSE], 0.6, [CLEAR], id="one of two of the same gravity"),
        pytest.param([LIGHT, CLOSE], 0.6, [], id="the graver of two"),
        pytest.param([SURE, CLOSE], 0.6, [], id="a finding beside what holds"),
        pytest.param([SKIPPED, CLOSE], 0.6, [], id="a finding beside a skip"),
        pytest.param(
            [SKIPPED],
            9.0,
            [SKIPPED],
            id="a skip stays",
        ),
        pytest.param(
            [STOPPED],
            TOLERANCE + 0.1,
            [],
            id="an error does not",
        ),
    ],
)
def test_judgements_that_a_stall_may_have_caused_are_dropped(judgements, lost, reliable):
    assert drop_unreliable(judgements, lost) == reliable


HOLDS = Held(Level.MUST, (1,), slack=0.5)


@pytest.mark.parametrize(
    ("judgements", "lost", "stalled"),
    [
        pytest.param([HOLDS], 0.4, False, id="a shorter stall cannot have hidden anything"),
        pytest.param([HOLDS], 0.6, True, id="a longer stall may have hidden a finding"),
        pytest.param([LIGHT, HOLDS], 0.6, True, id="a hidden finding may be graver"),
        pytest.param([CLEAR, HOLDS], 0.6, False, id="a hidden finding cannot be graver"),
        pytest.param([SURE], 9.0, False, id="a case that does not depend on time holds"),
        pytest.param([SURE, HOLDS], 0.6, True, id="what is sure beside it says nothing of it"),
    ],
)
def test_a_case_holds_only_where_no_stall_may_have_hidden_a_finding(judgements, lost, stalled):
    assert is_stalled(judgements, lost) is stalled
    assert (HOLDS in drop_unreliable(judgements, lost)) is (lost < 0.5)


def test_a_stalled_case_is_not_judged():
    (judgement,) = as_stalled([HOLDS])
    assert isinstance(judgement, Unjudged)
    assert judgement.error
