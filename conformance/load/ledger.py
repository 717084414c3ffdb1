"""What one process of a load run sent and what came of it: a byte for each message, and figures.

Pure. A message's id follows from the run, the process and the message's number in it, so that no two
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

# 63 bits: decimal, and below 2^63, whatever reads them.
RUNS, WORKERS, NUMBERS = 2**25, 2**10, 2**28
MASTER = WORKERS - 1
"""The place of who starts and ends the run; it sends a message or two of its own."""

VALID, ACKNOWLEDGED, REPEATED, FORGED = 1, 2, 4, 8
"""What a message's byte says: it was sent in order; it was answered 200; it was sent more than once;
it was forged, and must not take effect."""


class Kind(StrEnum):
    """What a request is, and what Locust's tables call it."""

    MESSAGE = "message"
    REPEAT = "repeat"
    RETRY = "retry"
    FORGERY = "forgery"


class Came(StrEnum):
    """What came of a request. A forgery is `right` unless it is `accepted` or `unanswered`."""

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
    """One second of a run: requests that were due, sent, answered rightly, and not; and how long the
    answers took."""

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
        histogram.add(self.times, other.times)


@dataclass(slots=True)
class Figures:
    """Counts and times of one process, or of several together.

    `came` counts requests by kind and what came of them, `said` what was answered instead of 200;
    `times` are of valid requests. `held` and `lagging` are late starts, by whose fault: an earlier
    answer's, or the load generator's. `ticks` are the delays of the generator's own clock.
    """

    came: Counter[tuple[Kind, Came]] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    times: Histogram = field(default_factory=dict)
    slowest: float = 0.0
    seconds: dict[int, Second] = field(default_factory=dict)
    starts: int = 0
    held: Histogram = field(default_factory=dict)
    lagging: Histogram = field(default_factory=dict)
    ticks: Histogram = field(default_factory=dict)
    excused: int = 0
    users: int = 0

    def second(self, at: float) -> Second:
        """The second that holds the moment `at`, in seconds since the run began."""
        found = self.seconds.get(int(at))
        if found is None:
            found = self.seconds[int(at)] = Second()
        return found

    def count(self, kinds: Iterable[Kind], *outcomes: Came) -> int:
        """How many requests of `kinds` there were, or how many of them came out so."""
        return sum(self.came[kind, each] for kind in kinds for each in outcomes or Came)

    def add(self, other: Figures) -> None:
        """Take another process's figures in."""
        self.came += other.came
        self.said += other.said
        for name in ("times", "held", "lagging", "ticks"):
            histogram.add(getattr(self, name), getattr(other, name))
        self.slowest = max(self.slowest, other.slowest)
        for at, second in other.seconds.items():
            self.second(at).add(second)
        self.starts += other.starts
        self.excused += other.excused
        self.users += other.users


@dataclass(slots=True)
class Ledger:
    """All that one process knows of its part of a run."""

    run: int
    worker: int
    states: bytearray = field(default_factory=bytearray)
    figures: Figures = field(default_factory=Figures)

    def fresh(self, state: int) -> int:
        """Enter a new message; its number."""
        self.states.append(state)
        return len(self.states) - 1

    def msg_id(self, number: int) -> int:
        """The id of the message `number`."""
        return msg_id(self.run, self.worker, number)

    def messages(self) -> Iterator[tuple[int, int]]:
        """Every message: its id and its state."""
        first = self.msg_id(0)
        return ((first + number, state) for number, state in enumerate(self.states))

    def packed(self) -> dict[str, Any]:
        """The ledger as msgpack can carry it from a worker to its master."""
        figures = {name: getattr(self.figures, name) for name in Figures.__slots__}
        figures["came"] = [[*key, number] for key, number in self.figures.came.items()]
        figures["seconds"] = [
            [at, each.offered, each.sent, each.right, each.wrong, each.times]
            for at, each in self.figures.seconds.items()
        ]
        states = zlib.compress(self.states)
        return {"run": self.run, "worker": self.worker, "states": states, "figures": figures}

    @classmethod
    def unpacked(cls, data: dict[str, Any]) -> Ledger:
        """What `packed` gave."""
        figures = Figures(**data["figures"] | {"came": Counter(), "seconds": {}})
        figures.said = Counter(figures.said)
        for kind, came, number in data["figures"]["came"]:
            figures.came[Kind(kind), Came(came)] = number
        for at, *values in data["figures"]["seconds"]:
            figures.seconds[at] = Second(*values)
        states = bytearray(zlib.decompress(data["states"]))
        return cls(data["run"], data["worker"], states, figures)


@dataclass(slots=True)
class Effects:
    """What the observer said about the messages of a run: `asked` of `messages`, in `seconds`.

    `lost` were answered 200 and had no effect; `doubled` had several; `forged` were forged and had
    one; `unread` are those about which it did not tell. `late` effects were missing at first, and
    the last of them appeared `behind` seconds after the end.
    """

    messages: int = 0
    asked: int = 0
    lost: set[int] = field(default_factory=set)
    doubled: set[int] = field(default_factory=set)
    forged: set[int] = field(default_factory=set)
    unread: int = 0
    late: int = 0
    behind: float = 0.0
    seconds: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether it told about every message."""
        return self.asked == self.messages and not self.unread
