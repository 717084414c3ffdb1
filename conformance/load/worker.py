"""One process's part of a run: what its users share, and how an answer is judged.

It knows no users: they hand in what they sent and what came.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from time import perf_counter, time
from urllib.parse import urlsplit

import gevent

from conformance.load import histogram
from conformance.load.connection_pool import USER_AGENT, Reply
from conformance.load.ledger import ACKNOWLEDGED, Came, Figures, Kind, Ledger
from conformance.load.settings import Settings
from conformance.load.traffic import Utterance, draw, forgeries
from conformance.protocol.tampering import Tampering

TICK = 0.02
STALL = 0.05
"""Seconds: how often the process looks at its own clock, and what it may be late without being held
to have stood still."""

LATE = 0.01
"""Seconds after which a start is late."""

PATIENCE = 2
"""An exchange is given up after so many deadlines, so that a late answer is told from none."""


class Clock:
    """Notes when this process stands still, so that the receiver is not blamed for it."""

    def __init__(self, ticks: histogram.Histogram) -> None:
        self._ticks = ticks
        self._stood = 0.0
        self._due = perf_counter() + TICK

    def stood(self) -> float:
        """Seconds, of all until now, that this process stood still."""
        late = perf_counter() - self._due
        return self._stood + late if late > STALL else self._stood

    def run(self) -> None:
        """Tick until the greenlet is killed."""
        while True:
            gevent.sleep(max(0.0, self._due - perf_counter()))
            late = max(0.0, perf_counter() - self._due)
            if late > STALL:
                self._stood += late
            histogram.count(self._ticks, late)
            self._due = perf_counter() + TICK


class Part:
    """What the users of one process share. `within` is how many messages of this process later a
    repeat may come, so that over all processes it is as many as was asked for."""

    def __init__(self, settings: Settings, run: int, worker: int, workers: int) -> None:
        self.settings = settings
        self.ledger = Ledger(run, worker)
        self.figures: Figures = self.ledger.figures
        self.within = max(1, settings.repeat_within // workers)
        self.utterances: tuple[Utterance, ...] = draw(settings.seed)
        self.forgeries: tuple[Tampering, ...] = forgeries(settings.dialect)
        self.clock = Clock(self.figures.ticks)
        self.numbers: Iterator[int] = count()
        self._began = perf_counter()
        self._head = head(settings)
        self._names = tuple(
            name.encode()
            for name in (settings.dialect.timestamp_header, settings.dialect.signature_header)
        )

    def request(self, stamp: bytes | None, signatures: tuple[bytes, ...], body: bytes) -> bytes:
        """The bytes of a delivery; a header that is None or not there is left out."""
        timestamp, signature = self._names
        lines = b"" if stamp is None else b"%b: %b\r\n" % (timestamp, stamp)
        for each in signatures:
            lines += b"%b: %b\r\n" % (signature, each)
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (self._head, lines, len(body), body)

    def offer(self, requests: int, due: float | None = None, *, held: bool = False) -> None:
        """Note that requests begin now that were due at `due`; None: whenever the user is ready.

        `held` says that an earlier answer held them up; else what is late is this process.
        """
        moment = perf_counter()
        figures = self.figures
        figures.starts += 1
        if due is None:
            due = moment
        elif moment - due > LATE:
            histogram.count(figures.held if held else figures.lagging, moment - due)
        figures.second(max(0.0, due - self._began)).offered += requests

    def owe(self, due: float, interval: float) -> None:
        """Note what a user that stops now was due to send since `due` and did not."""
        while due < perf_counter():
            self.figures.second(max(0.0, due - self._began)).offered += 1
            due += interval

    def begin(self) -> tuple[float, float]:
        """Note that a request is sent now; what `judge` must know of the moment."""
        moment = perf_counter()
        self.figures.second(moment - self._began).sent += 1
        return moment, self.clock.stood()

    def judge(self, kind: Kind, reply: Reply, begun: tuple[float, float]) -> tuple[Came, float]:
        """What came of a request, of which `begin` gave `begun`, and the seconds that it took. Enters
        both into the figures."""
        began, stood = begun
        ended = perf_counter()
        elapsed = ended - began
        came = self._came(kind, reply, elapsed, stood)
        figures = self.figures
        figures.came[kind, came] += 1
        second = figures.second(ended - self._began)
        if came is Came.RIGHT:
            second.right += 1
        else:
            second.wrong += 1
            figures.said[_said(kind, came, reply)] += 1
        if kind is not Kind.FORGERY:
            at = histogram.bucket(elapsed)
            figures.times[at] = figures.times.get(at, 0) + 1
            second.times[at] = second.times.get(at, 0) + 1
            figures.slowest = max(figures.slowest, elapsed)
        return came, elapsed

    def _came(self, kind: Kind, reply: Reply, elapsed: float, stood: float) -> Came:
        if reply.status is None:
            return Came.UNANSWERED
        if kind is Kind.FORGERY:
            return Came.ACCEPTED if 200 <= reply.status < 300 else Came.RIGHT
        if reply.status != 200:
            return Came.REFUSED
        if elapsed <= self.settings.deadline:
            return Came.RIGHT
        if elapsed - (self.clock.stood() - stood) <= self.settings.deadline:
            self.figures.excused += 1  # late by this process's own fault
            return Came.RIGHT
        return Came.LATE

    def acknowledge(self, number: int) -> None:
        """Note that a message was answered 200, however late: that promises its effect."""
        self.ledger.states[number] |= ACKNOWLEDGED


def head(settings: Settings, method: str = "POST") -> bytes:
    """The beginning of a delivery's head, up to the headers that differ."""
    lines = (
        f"{method} {settings.path} HTTP/1.1",
        f"Host: {urlsplit(settings.host).netloc}",
        "Content-Type: application/json",
        f"User-Agent: {USER_AGENT}",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


def now() -> int:
    """Whole Unix seconds."""
    return int(time())


def _said(kind: Kind, came: Came, reply: Reply) -> str:
    if came is Came.LATE:
        return "200 after the deadline"
    told = f"no answer: {reply.fault}" if reply.status is None else str(reply.status)
    return f"{told} to a forgery" if kind is Kind.FORGERY else told
