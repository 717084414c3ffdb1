"""What one process of a load run sent and how it was answered: a byte for each message, figures, and a few
of the exchanges.

Pure. A message's id is computed from the run, the process and the message's number in it, so no two
processes share an id, and a ledger needs no list of them.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from conformance.load import histogram
from conformance.load.histogram import Histogram
from conformance.model.exchange import Exchange
from conformance.model.load import Kind, ResponseClass
from conformance.trace.tables import contents_row, exchange_from, exchange_row

# 63 bits: an id is decimal and below 2^63, so every reader can hold it.
RUNS, WORKERS, NUMBERS = 2**25, 2**10, 2**28
MASTER = WORKERS - 1
"""The worker number of the process that leads the run; it sends a few messages of its own."""

VALID, ACKNOWLEDGED, REPEATED, FORGED = 1, 2, 4, 8
"""Flags in a message's byte: it was sent with a valid signature; it was answered 200; it was sent
more than once; it was forged and must not take effect."""


def msg_id(run: int, worker: int, number: int) -> int:
    """The id of message `number` of the process `worker` in `run`."""
    return (run * WORKERS + worker) * NUMBERS + number


SAMPLES, SAMPLE_KINDS = 4, 60
"""Exchanges of one kind and ending that are kept, and of how many of these."""


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

    `responses` counts requests by kind and response class, `failures` the wrong answers to valid requests
    by their description, `late` all that had no whole answer within the deadline. `times` are the
    durations of valid requests. `answer_delays` and `generator_delays` are late starts: held up by an
    earlier answer, or by the load generator itself. `ticks` are the delays of the generator's own clock.
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
    late: int = 0
    users: int = 0

    def second(self, at: float) -> Second:
        """The second that holds the moment `at`, in seconds since the run began."""
        second = self.seconds.get(int(at))
        if second is None:
            second = self.seconds[int(at)] = Second()
        return second

    def add(self, other: Figures) -> None:
        """Add another process's figures to these."""
        self.responses += other.responses
        self.failures += other.failures
        for name in ("times", "answer_delays", "generator_delays", "ticks"):
            histogram.merge(getattr(self, name), getattr(other, name))
        self.slowest = max(self.slowest, other.slowest)
        for at, second in other.seconds.items():
            self.second(at).add(second)
        for name in ("starts", "excused", "late", "users"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Ledger:
    """All that one process records of a run. `run` and `worker` are the numbers in its message ids.
    `samples` are a few exchanges of each kind and ending; their times count from the run's beginning."""

    run: int
    worker: int
    states: bytearray = field(default_factory=bytearray)
    figures: Figures = field(default_factory=Figures)
    samples: dict[str, list[Exchange]] = field(default_factory=dict)

    def sample(self, name: str, made: Callable[[], Exchange]) -> None:
        """Keep the exchange of `made` unless there are SAMPLES of this `name` already."""
        kept = self.samples.get(name)
        if kept is None:
            if len(self.samples) == SAMPLE_KINDS:
                return
            kept = self.samples[name] = []
        if len(kept) < SAMPLES:
            kept.append(made())

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
        return {
            "run": self.run,
            "worker": self.worker,
            "states": zlib.compress(self.states),
            "figures": figures,
            "samples": {
                name: [exchange_row(each, None) + contents_row(each)[1:] for each in kept]
                for name, kept in self.samples.items()
            },
        }

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
        samples = {name: list(map(exchange_from, rows)) for name, rows in data["samples"].items()}
        return cls(data["run"], data["worker"], states, figures, samples)
