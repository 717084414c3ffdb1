"""One process of a load run: what its users share, and how it judges an answer.

It does not know the users: they pass in their requests and the replies.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from time import perf_counter, time
from typing import NamedTuple
from urllib.parse import urlsplit

import gevent

from conformance.load import histogram
from conformance.load.connection_pool import USER_AGENT, Reply
from conformance.load.ledger import ACKNOWLEDGED, Figures, Ledger
from conformance.load.settings import Settings
from conformance.load.traffic import Burst, draw, forgeries
from conformance.model.exchange import Exchange, Fault, Request, Role
from conformance.model.load import Kind, ResponseClass
from conformance.protocol.tampering import Tampering

TICK = 0.02
"""Seconds between two looks at the process's own clock."""
STALL = 0.05
"""Seconds that a tick may be late before the process counts as stalled."""

LATE_START = 0.01
"""Seconds after which a start is late."""

TIMEOUT_DEADLINES = 2
"""An exchange is abandoned after this many deadlines, so that a late answer differs from none."""


class StallClock:
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


class Post(NamedTuple):
    """A request as it is sent: its bytes, and the number of its message."""

    kind: Kind
    request: bytes
    number: int


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
        self.clock = StallClock(self.figures.ticks)
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
        self, post: Post, reply: Reply, start: tuple[float, float]
    ) -> tuple[ResponseClass, float]:
        """Classify the reply to a request and record it in the figures.

        `start` is what `begin_request` returned. Returns the class and the seconds it took.
        """
        began, stall_before = start
        ended = perf_counter()
        elapsed = ended - began
        late = self._is_late(reply, elapsed, stall_before)
        response_class = _classify(post.kind, reply.status, late=late)
        figures = self.figures
        figures.late += late
        figures.responses[post.kind, response_class] += 1
        second = figures.second(ended - self._start)
        ending = "right"
        if response_class is ResponseClass.RIGHT:
            second.right += 1
        else:
            second.wrong += 1
            ending = _describe(response_class, reply)

        def exchange() -> Exchange:
            return self._exchange(post, reply, began - self._start, ended - self._start)

        if post.kind is not Kind.FORGERY:
            if response_class is not ResponseClass.RIGHT:
                figures.failures[ending] += 1
            at = histogram.bucket(elapsed)
            figures.times[at] = figures.times.get(at, 0) + 1
            second.times[at] = second.times.get(at, 0) + 1
            if elapsed > figures.slowest and reply.answer is not None:
                figures.slowest = elapsed
                self.ledger.samples["slowest"] = [exchange()]
        self.ledger.sample(f"{post.kind} {ending}{' late' if late else ''}", exchange)
        return response_class, elapsed

    def _is_late(self, reply: Reply, elapsed: float, stall_before: float) -> bool:
        """Whether there was no whole answer within the deadline, by no fault of this process."""
        if elapsed <= self.settings.deadline or reply.fault not in (None, Fault.TIMEOUT):
            return False
        if elapsed - (self.clock.stall_time() - stall_before) <= self.settings.deadline:
            self.figures.excused += 1
            return False
        return True

    def _exchange(self, post: Post, reply: Reply, began: float, ended: float) -> Exchange:
        head, _, body = post.request.partition(b"\r\n\r\n")
        lines = (line.partition(b": ") for line in head.split(b"\r\n")[1:])
        headers = tuple((name, value) for name, _, value in lines)
        return Exchange(
            id=0,
            role=Role.LOAD,
            rule=None,
            case=post.kind.value,
            step=0,
            msg_id=str(self.ledger.msg_id(post.number)),
            request=Request("POST", self.settings.url, headers, body),
            signing=None,
            answer=reply.answer,
            fault=reply.fault,
            detail=reply.detail,
            started=began,
            sent=began,
            ended=ended,
        )

    def acknowledge(self, number: int) -> None:
        """Record that a message was answered 200, however late: that promises its effect."""
        self.ledger.states[number] |= ACKNOWLEDGED


def request_head(settings: Settings) -> bytes:
    """The request line and the headers that all deliveries share."""
    lines = (
        f"POST {settings.path} HTTP/1.1",
        f"Host: {urlsplit(settings.host).netloc}",
        "Content-Type: application/json",
        f"User-Agent: {USER_AGENT}",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


def unix_time() -> int:
    """The time now in whole Unix seconds."""
    return int(time())


def _classify(kind: Kind, status: int | None, *, late: bool) -> ResponseClass:
    if status is None:
        return ResponseClass.UNANSWERED
    if kind is Kind.FORGERY:
        return ResponseClass.ACCEPTED if 200 <= status < 300 else ResponseClass.RIGHT
    if status != 200:
        return ResponseClass.REFUSED
    return ResponseClass.LATE if late else ResponseClass.RIGHT


def _describe(response_class: ResponseClass, reply: Reply) -> str:
    """What was wrong with an answer, in few words, so that equal ones are counted together."""
    if response_class is ResponseClass.LATE:
        return "200 after the deadline"
    return f"no answer ({reply.fault})" if reply.fault is not None else str(reply.status)
