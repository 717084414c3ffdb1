"""The states of a run, and what may happen in each: a table that drives.

A new event is a new row. An event that the present state has no row for is a fault of the harness, and
raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from conformance.model.sentence import Sentence


class State(Enum):
    """Where a run is. Of these PREFLIGHT and RUNNING are passed through; a run ends in another one."""

    PREFLIGHT = auto()
    RUNNING = auto()
    TARGET_GONE = auto()
    """Nothing more can be sent to the target. What is left to do is done without it."""
    STOPPED = auto()
    """Preflight found a cause for which nothing can be judged."""
    OUT_OF_TIME = auto()
    COMPLETE = auto()


class Change(Enum):
    """What moves a run from one state to the next."""

    PREFLIGHT_PASSED = auto()
    PREFLIGHT_STOPPED = auto()
    TARGET_LOST = auto()
    TIME_RAN_OUT = auto()
    ENDED = auto()


TRANSITIONS = {
    (State.PREFLIGHT, Change.PREFLIGHT_PASSED): State.RUNNING,
    (State.PREFLIGHT, Change.PREFLIGHT_STOPPED): State.STOPPED,
    (State.PREFLIGHT, Change.TIME_RAN_OUT): State.OUT_OF_TIME,
    (State.RUNNING, Change.TARGET_LOST): State.TARGET_GONE,
    (State.RUNNING, Change.TIME_RAN_OUT): State.OUT_OF_TIME,
    (State.RUNNING, Change.ENDED): State.COMPLETE,
    # A supervisor may start the target again between two groups of cases, and it may die again.
    (State.TARGET_GONE, Change.TARGET_LOST): State.TARGET_GONE,
    (State.TARGET_GONE, Change.TIME_RAN_OUT): State.OUT_OF_TIME,
    (State.TARGET_GONE, Change.ENDED): State.TARGET_GONE,
}
"""(state, change) → state."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the suite is not run (`code` for programs), and the ids of the exchanges that show it.

    With `fail` the target broke a rule (it answers every plain message 5xx); without, nothing could be
    learnt of it."""

    code: str
    reason: Sentence
    exchanges: tuple[int, ...]
    fail: bool = False


class Lifecycle:
    """The state of one run, and the `stop` that explains it: why the rest is not judged. None as long as
    everything is."""

    def __init__(self) -> None:
        self.state = State.PREFLIGHT
        self.stop: Stop | None = None

    def change(self, change: Change, stop: Stop | None = None) -> None:
        """Go on to the next state, and keep its `stop`, or the previous one's. Raises KeyError for a change
        that cannot happen in the present state."""
        self.state = TRANSITIONS[self.state, change]
        self.stop = stop or self.stop

    @property
    def complete(self) -> bool:
        """Whether the run has come to its end, rather than to the end of its time."""
        return self.state in (State.COMPLETE, State.STOPPED, State.TARGET_GONE)
