"""The states of a run: what may happen in each, and where a run ends."""

from itertools import product

import pytest

from conformance.engine.lifecycle import TRANSITIONS, Change, Lifecycle, State, Stop
from conformance.model.sentence import Sentence

GONE = Stop("target-gone", Sentence("gone"), ())
LATE = Stop("time-ran-out", Sentence("late"), ())


def after(*changes):
    lifecycle = Lifecycle()
    for change in changes:
        lifecycle.change(change)
    return lifecycle


@pytest.mark.parametrize(
    ("changes", "state", "complete"),
    [
        pytest.param([], State.PREFLIGHT, False, id="at first"),
        pytest.param([Change.PREFLIGHT_STOPPED], State.STOPPED, True, id="stopped"),
        pytest.param([Change.TIME_RAN_OUT], State.OUT_OF_TIME, False, id="out of time at once"),
        pytest.param(
            [Change.PREFLIGHT_PASSED, Change.ENDED], State.COMPLETE, True, id="to the end"
        ),
        pytest.param(
            [Change.PREFLIGHT_PASSED, Change.TARGET_LOST, Change.TARGET_LOST, Change.ENDED],
            State.TARGET_GONE,
            True,
            id="to the end without the target",
        ),
        pytest.param(
            [Change.PREFLIGHT_PASSED, Change.TARGET_LOST, Change.TIME_RAN_OUT],
            State.OUT_OF_TIME,
            False,
            id="out of time without the target",
        ),
    ],
)
def test_a_run_goes_from_state_to_state(changes, state, complete):
    lifecycle = after(*changes)
    assert (lifecycle.state, lifecycle.complete) == (state, complete)


@pytest.mark.parametrize(
    ("state", "change"), [each for each in product(State, Change) if each not in TRANSITIONS]
)
def test_what_cannot_happen_raises(state, change):
    lifecycle = Lifecycle()
    lifecycle.state = state
    with pytest.raises(KeyError):
        lifecycle.change(change)


def test_every_state_can_be_reached():
    assert {State.PREFLIGHT, *TRANSITIONS.values()} == set(State)


def test_the_last_cause_is_kept():
    lifecycle = after(Change.PREFLIGHT_PASSED)
    assert lifecycle.stop is None
    lifecycle.change(Change.TARGET_LOST, GONE)
    lifecycle.change(Change.ENDED)
    assert lifecycle.stop == GONE
    other = after(Change.PREFLIGHT_PASSED)
    other.change(Change.TARGET_LOST, GONE)
    other.change(Change.TIME_RAN_OUT, LATE)
    assert other.stop == LATE
