"""What one process of a load run sent and how it was answered: a byte for each message, and figures.

Pure. A message's id is computed from the run, the process and the message's number in it, so no two
processes share an id, and a ledger needs no list of them.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from conformance.load import histogram
from conformance.load.histogram import Histogram

# 63 bits: an id is decimal and below 2^63, so every reader can hold it.
RUNS, WORKERS, NUMBERS = 2**25, 2**10, 2**28
MASTER = WORKERS - 1
"""The worker number of the process that leads the run; it sends a few messages of its own."""

VALID, ACKNOWLEDGED, REPEATED, FORGED = 1, 2, 4, 8
"""Flags in a message's byte: it was sent with a valid signature; it was answered 200; it was sent
more than once; it was forged and must not take effect."""


class Kind(StrEnum):
    """The kind of a request; also its name in Locust's tables."""

    MESSAGE = "message"
    REPEAT = "repeat"
    RETRY = "retry"
    FORGERY = "forgery"


class ResponseClass(StrEnum):
    """How a request was answered. A forgery is `right` unless it is `accepted` or `unanswered`."""

    RIGHT = "right"
    LATE = "late"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    ACCEPTED = "accepted"


def msg_id(run: int, worker: int, number: int) -> int:
    """The id of message `number` of the process `worker` in `run`."""
    return (run * WORKERS + worker) * NUMBERS + number


@dataclass(slots=True)
class Second:
    """One second of a run: how many requests were due, sent, answered correctly and not, and how long
    the answers took."""

    offered: int = 0
    sent: int = 0
    right: int = 0
    wrong: int = 0
    times: Histogram = field(default_factory=dict)

    def add(self, other: Second) -> None:
        self.offered += other.offered
        self.sent += other.sent
        self.right += other.right
        self.wrong += other.wrong
        histogram.merge(self.times, other.times)


@dataclass(slots=True)
class Figures:
    """Counts and times of one process, or of several together.

    `responses` counts requests by kind and response class, `failures` the wrong answers by their
    description. `times` are the durations of valid requests. `answer_delays` and `generator_delays`
    are late starts: held up by an earlier answer, or by the load generator itself. `ticks` are the
    delays of the generator's own clock.
    """

    responses: Counter[tuple[Kind, ResponseClass]] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    times: Histogram = field(default_factory=dict)
    slowest: float = 0.0
    seconds: dict[int, Second] = field(default_factory=dict)
    starts: int = 0
    answer_delays: Histogram = field(default_factory=dict)
    generator_delays: Histogram = field(default_factory=dict)
    ticks: Histogram = field(default_factory=dict)
    excused: int = 0
    users: int = 0

    def second(self, at: float) -> Second:
        """The second that holds the moment `at`, in seconds since the run began."""
        second = self.seconds.get(int(at))
        if second is None:
            second = self.seconds[int(at)] = Second()
        return second

    def count(self, kinds: Iterable[Kind], *classes: ResponseClass) -> int:
        """How many requests of `kinds` were answered in one of `classes`; in any, if none is named."""
        return sum(
            self.responses[kind, response_class]
            for kind in kinds
            for response_class in classes or ResponseClass
        )

    def add(self, other: Figures) -> None:
        """Add another process's figures to these."""
        self.responses += other.responses
        self.failures += other.failures
        for name in ("times", "answer_delays", "generator_delays", "ticks"):
            histogram.merge(getattr(self, name), getattr(other, name))
        self.slowest = max(self.slowest, other.slowest)
        for at, second in other.seconds.items():
            self.second(at).add(second)
        self.starts += other.starts
        self.excused += other.excused
        self.users += other.users


@dataclass(slots=True)
class Ledger:
    """All that one process records of a run. `run` and `worker` are the numbers in its message ids."""

    run: int
    worker: int
    states: bytearray = field(default_factory=bytearray)
    figures: Figures = field(default_factory=Figures)

    def add_message(self, state: int) -> int:
        """Record a new message; returns its number."""
        self.states.append(state)
        return len(self.states) - 1

    def msg_id(self, number: int) -> int:
        """The id of the message `number`."""
        return msg_id(self.run, self.worker, number)

    def messages(self) -> Iterator[tuple[int, int]]:
        """Every message: its id and its state."""
        first = self.msg_id(0)
        return ((first + number, state) for number, state in enumerate(self.states))

    def pack(self) -> dict[str, Any]:
        """The ledger in a form that msgpack can carry from a worker to its master."""
        figures = {name: getattr(self.figures, name) for name in Figures.__slots__}
        figures["responses"] = [[*key, number] for key, number in self.figures.responses.items()]
        figures["seconds"] = [
            [at, second.offered, second.sent, second.right, second.wrong, second.times]
            for at, second in self.figures.seconds.items()
        ]
        states = zlib.compress(self.states)
        return {"run": self.run, "worker": self.worker, "states": states, "figures": figures}

    @classmethod
    def unpack(cls, data: dict[str, Any]) -> Ledger:
        """The ledger that `pack` turned into `data`."""
        figures = Figures(**data["figures"] | {"responses": Counter(), "seconds": {}})
        figures.failures = Counter(figures.failures)
        for kind, response_class, number in data["figures"]["responses"]:
            figures.responses[Kind(kind), ResponseClass(response_class)] = number
        for at, *values in data["figures"]["seconds"]:
            figures.seconds[at] = Second(*values)
        states = bytearray(zlib.decompress(data["states"]))
        return cls(data["run"], data["worker"], states, figures)


@dataclass(slots=True)
class Effects:
    """What the observer reported about the `messages` of a run: `queries` were answered or given up,
    in `seconds`.

    `lost` were answered 200 and had no effect; `doubled` had several; `forged` were forgeries that
    had one; `unread` are those for which it gave no count. `late` effects were missing at first, and
    the last of them appeared `behind` seconds after the end.
    """

    messages: int = 0
    queries: int = 0
    lost: set[int] = field(default_factory=set)
    doubled: set[int] = field(default_factory=set)
    forged: set[int] = field(default_factory=set)
    unread: int = 0
    late: int = 0
    behind: float = 0.0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether the observer gave a count for every message."""
        return self.queries == self.messages and not self.unread
