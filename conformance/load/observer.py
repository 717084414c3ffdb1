"""Querying the observer about every message of a run, and comparing its counts with what was sent.

An effect may follow its answer, and a receiver that works through a long queue has not lost
anything: missing effects are queried again as long as more of them appear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from json import loads
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import gevent
from gevent.pool import Group

from conformance.load.connection_pool import USER_AGENT, ConnectionPool
from conformance.load.ledger import (
    ACKNOWLEDGED,
    FORGED,
    NUMBERS,
    REPEATED,
    VALID,
    Effects,
    Ledger,
)
from conformance.options.urls import PLACE

CONCURRENCY = 32
"""Queries in flight."""
ATTEMPTS = 6
"""Attempts at a query while the observer answers badly or is restarting."""
QUIET_PERIOD = 5.0
"""Seconds without another missing effect appearing, after which the rest counts as lost."""
PAUSE = 0.2
TIMEOUT = 10.0
"""Seconds that one answer may take."""
MAX_FAILURES = 50
"""Failed queries in a row after which the observer is abandoned."""


class Observer:
    """The observer at the URL `template`, in which `{msgId}` stands for a message's id."""

    def __init__(self, template: str, ca: Path | None = None) -> None:
        parts = urlsplit(template)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = (f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", f"User-Agent: {USER_AGENT}")
        self._request = "".join(f"{line}\r\n" for line in (*lines, ""))
        self._connections = ConnectionPool(template, TIMEOUT, ca)
        self._failures = 0
        self.stopped = False

    def stop(self) -> None:
        """Make no more queries."""
        self.stopped = True

    def count(self, msg_id: int) -> int | None:
        """How many times a message took effect; None when the observer gives no count."""
        request = self._request.replace(PLACE, str(msg_id)).encode()
        reply = self._connections.exchange(request, "GET")
        if reply.status != 200:
            return None
        try:
            number = loads(reply.body)["count"]
        except (ValueError, KeyError, TypeError):
            return None
        return number if type(number) is int and number >= 0 else None

    def count_with_retries(self, msg_id: int) -> int | None:
        """The same, but a query without a count is repeated."""
        for attempt in range(ATTEMPTS):
            number = self.count(msg_id)
            if number is not None:
                self._failures = 0
                return number
            gevent.sleep(PAUSE * attempt)
        self._failures += 1
        self.stopped = self.stopped or self._failures >= MAX_FAILURES
        return None

    def count_all(self, ids: Iterable[int], record: Callable[[int, int | None], None]) -> None:
        """Query all `ids`, many at a time, and call `record` with each id and its count."""
        waiting = iter(ids)

        def query() -> None:
            for msg_id in waiting:
                if self.stopped:
                    return
                record(msg_id, self.count_with_retries(msg_id))

        group = Group()
        try:
            for _ in range(CONCURRENCY):
                group.spawn(query)
            group.join()
        finally:
            group.kill(block=False)

    def wait_for_effect(self, msg_id: int) -> bool | None:
        """Whether a message takes effect within QUIET_PERIOD; None when the observer gives no
        count."""
        until = perf_counter() + QUIET_PERIOD
        while True:
            number = self.count_with_retries(msg_id)
            if number is None or number > 0 or perf_counter() > until:
                return None if number is None else number > 0
            gevent.sleep(PAUSE / 4)


class Audit:
    """Collects from `observer` the effects of every message in `ledgers`, once the load has ended."""

    def __init__(self, observer: Observer, ledgers: Iterable[Ledger]) -> None:
        self._observer = observer
        self._ledgers = {ledger.msg_id(0) // NUMBERS: ledger for ledger in ledgers}
        self._missing: set[int] = set()
        self.effects = Effects(sum(len(ledger.states) for ledger in self._ledgers.values()))

    def run(self, progress: Callable[[int, int], None] = lambda queries, messages: None) -> Effects:
        """Query until every effect has been seen, or no missing one appears any more."""
        effects, began = self.effects, perf_counter()

        def record_first(msg_id: int, number: int | None) -> None:
            effects.queries += 1
            effects.unread += number is None
            self._record(msg_id, number)
            progress(effects.queries, effects.messages)

        self._observer.count_all(self._messages(VALID | FORGED), record_first)
        if self._missing:
            self._wait(began)
            # Messages that were still in work may have taken a second effect meanwhile.
            self._observer.count_all(self._messages(REPEATED | FORGED), self._record)
        effects.lost = self._missing
        effects.seconds = perf_counter() - began
        return effects

    def _wait(self, began: float) -> None:
        """Query the missing effects until none has appeared for QUIET_PERIOD."""
        last = perf_counter()
        while self._missing and not self._observer.stopped and perf_counter() - last < QUIET_PERIOD:
            gevent.sleep(PAUSE)
            before = len(self._missing)
            self._observer.count_all(sorted(self._missing), self._record)
            if len(self._missing) < before:
                last = perf_counter()
                self.effects.late += before - len(self._missing)
                self.effects.behind = last - began

    def _record(self, msg_id: int, number: int | None) -> None:
        state = self._ledgers[msg_id // NUMBERS].states[msg_id % NUMBERS]
        if number is None:
            return
        if state & FORGED:
            if number:
                self.effects.forged.add(msg_id)
        elif number > 1:
            self.effects.doubled.add(msg_id)
        if number:
            self._missing.discard(msg_id)
        elif state & ACKNOWLEDGED:
            self._missing.add(msg_id)

    def _messages(self, states: int) -> Iterator[int]:
        """The ids of the messages that have any of the flags in `states`."""
        for ledger in self._ledgers.values():
            yield from (msg_id for msg_id, state in ledger.messages() if state & states)
