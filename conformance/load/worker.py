"""One process of a load run: what its users share, and how it judges an answer.

It does not know the users: they pass in their requests and the replies.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from time import perf_counter, time
from urllib.parse import urlsplit

import gevent

from conformance.load import histogram
from conformance.load.connection_pool import USER_AGENT, Reply
from conformance.load.ledger import ACKNOWLEDGED, Figures, Kind, Ledger, ResponseClass
from conformance.load.settings import Settings
from conformance.load.traffic import Burst, draw, forgeries
from conformance.protocol.tampering import Tampering

TICK = 0.02
"""Seconds between two looks at the process's own clock."""
STALL = 0.05
"""Seconds that a tick may be late before the process counts as stalled."""

LATE_START = 0.01
"""Seconds after which a start is late."""

TIMEOUT_DEADLINES = 2
"""An exchange is abandoned after this many deadlines, so that a late answer differs from none."""


class Clock:
    """Measures how long this process stalls, so that the receiver is not blamed for it."""

    def __init__(self, ticks: histogram.Histogram) -> None:
        self._ticks = ticks
        self._stalled = 0.0
        self._due = perf_counter() + TICK

    def stall_time(self) -> float:
        """Seconds that this process has stalled so far."""
        late = perf_counter() - self._due
        return self._stalled + late if late > STALL else self._stalled

    def run(self) -> None:
        """Tick until the greenlet is killed."""
        while True:
            gevent.sleep(max(0.0, self._due - perf_counter()))
            late = max(0.0, perf_counter() - self._due)
            if late > STALL:
                self._stalled += late
            histogram.record(self._ticks, late)
            self._due = perf_counter() + TICK


class Worker:
    """What the users of one process share: process `index` of `workers` in the run `run`.

    A repeat may come at most `repeat_window` of this process's messages after the first delivery, so
    that over all processes it is the number that was asked for.
    """

    def __init__(self, settings: Settings, run: int, index: int, workers: int) -> None:
        self.settings = settings
        self.ledger = Ledger(run, index)
        self.figures: Figures = self.ledger.figures
        self.repeat_window = max(1, settings.repeat_within // workers)
        self.bursts: tuple[Burst, ...] = draw(settings.seed)
        self.forgeries: tuple[Tampering, ...] = forgeries(settings.dialect)
        self.clock = Clock(self.figures.ticks)
        self.user_numbers: Iterator[int] = count()
        self._start = perf_counter()
        self._head = request_head(settings)
        self._names = tuple(
            name.encode()
            for name in (settings.dialect.timestamp_header, settings.dialect.signature_header)
        )

    def request(self, stamp: bytes | None, signatures: tuple[bytes, ...], body: bytes) -> bytes:
        """The bytes of a delivery; no timestamp header for None, one header for each signature."""
        timestamp_name, signature_name = self._names
        lines = b"" if stamp is None else b"%b: %b\r\n" % (timestamp_name, stamp)
        for signature in signatures:
            lines += b"%b: %b\r\n" % (signature_name, signature)
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (self._head, lines, len(body), body)

    def note_start(self, requests: int, due: float | None = None, *, held_up: bool = False) -> None:
        """Record that requests start now that were due at `due`; None for a user without a pace.

        A late start is the receiver's doing if an earlier answer `held_up` the user, else this
        process's own.
        """
        moment = perf_counter()
        figures = self.figures
        figures.starts += 1
        if due is None:
            due = moment
        elif moment - due > LATE_START:
            delays = figures.answer_delays if held_up else figures.generator_delays
            histogram.record(delays, moment - due)
        figures.second(max(0.0, due - self._start)).offered += requests

    def note_unsent(self, due: float, interval: float) -> None:
        """Record the requests that a stopping user has owed since `due` and will not send."""
        while due < perf_counter():
            self.figures.second(max(0.0, due - self._start)).offered += 1
            due += interval

    def begin_request(self) -> tuple[float, float]:
        """Record that a request is sent now; returns what `judge` needs to know of the moment."""
        moment = perf_counter()
        self.figures.second(moment - self._start).sent += 1
        return moment, self.clock.stall_time()

    def judge(
        self, kind: Kind, reply: Reply, start: tuple[float, float]
    ) -> tuple[ResponseClass, float]:
        """Classify the reply to a request and record it in the figures.

        `start` is what `begin_request` returned. Returns the class and the seconds it took.
        """
        began, stall_before = start
        ended = perf_counter()
        elapsed = ended - began
        response_class = self._classify(kind, reply, elapsed, stall_before)
        figures = self.figures
        figures.responses[kind, response_class] += 1
        second = figures.second(ended - self._start)
        if response_class is ResponseClass.RIGHT:
            second.right += 1
        else:
            second.wrong += 1
            figures.failures[_failure(kind, response_class, reply)] += 1
        if kind is not Kind.FORGERY:
            at = histogram.bucket(elapsed)
            figures.times[at] = figures.times.get(at, 0) + 1
            second.times[at] = second.times.get(at, 0) + 1
            figures.slowest = max(figures.slowest, elapsed)
        return response_class, elapsed

    def _classify(
        self, kind: Kind, reply: Reply, elapsed: float, stall_before: float
    ) -> ResponseClass:
        if reply.status is None:
            return ResponseClass.UNANSWERED
        if kind is Kind.FORGERY:
            accepted = 200 <= reply.status < 300
            return ResponseClass.ACCEPTED if accepted else ResponseClass.RIGHT
        if reply.status != 200:
            return ResponseClass.REFUSED
        if elapsed <= self.settings.deadline:
            return ResponseClass.RIGHT
        if elapsed - (self.clock.stall_time() - stall_before) <= self.settings.deadline:
            self.figures.excused += 1  # late only because this process stalled
            return ResponseClass.RIGHT
        return ResponseClass.LATE

    def acknowledge(self, number: int) -> None:
        """Record that a message was answered 200, however late: that promises its effect."""
        self.ledger.states[number] |= ACKNOWLEDGED


def request_head(settings: Settings, method: str = "POST") -> bytes:
    """The request line and the headers that all deliveries share."""
    lines = (
        f"{method} {settings.path} HTTP/1.1",
        f"Host: {urlsplit(settings.host).netloc}",
        "Content-Type: application/json",
        f"User-Agent: {USER_AGENT}",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


def unix_time() -> int:
    """The time now in whole Unix seconds."""
    return int(time())


def _failure(kind: Kind, response_class: ResponseClass, reply: Reply) -> str:
    if response_class is ResponseClass.LATE:
        return "200 after the deadline"
    answer = f"no answer: {reply.fault}" if reply.status is None else str(reply.status)
    return f"{answer} to a forgery" if kind is Kind.FORGERY else answer
