"""Asking the observer about every message of a run, and what it says against what was sent.

An effect may come after the answer, and a receiver that works on a long queue is not accused of
losing it: what is missing is asked for again as long as more of it appears.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from json import loads
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import gevent
from gevent.pool import Group

from conformance.load.connection_pool import USER_AGENT, Line
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

ASKERS = 32
"""Questions in flight."""
TRIES = 6
"""So often an observer that answers badly, or is being started again, is asked."""
PATIENCE = 5.0
"""Seconds in which nothing that was missing has appeared, after which it is lost."""
PAUSE = 0.2
ANSWER = 10.0
"""Seconds that one answer may take."""
HOPELESS = 50
"""So many messages in a row that it cannot tell about, and the observer is given up."""


class Observer:
    """The observer at the URL `template`. `stop` ends the asking early."""

    def __init__(self, template: str, ca: Path | None = None) -> None:
        parts = urlsplit(template)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = (f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", f"User-Agent: {USER_AGENT}")
        self._request = "".join(f"{line}\r\n" for line in (*lines, ""))
        self._line = Line(template, ANSWER, ca)
        self._row = 0
        self.stopped = False

    def stop(self) -> None:
        """Ask nothing more."""
        self.stopped = True

    def count(self, msg_id: int) -> int | None:
        """How many times a message took effect; None when the observer does not tell."""
        request = self._request.replace(PLACE, str(msg_id)).encode()
        reply = self._line.exchange(request, "GET")
        if reply.status != 200:
            return None
        try:
            found = loads(reply.body)["count"]
        except (ValueError, KeyError, TypeError):
            return None
        return found if type(found) is int and found >= 0 else None

    def patient_count(self, msg_id: int) -> int | None:
        """The same, asked again where the answer was bad."""
        for attempt in range(TRIES):
            found = self.count(msg_id)
            if found is not None:
                self._row = 0
                return found
            gevent.sleep(PAUSE * attempt)
        self._row += 1
        self.stopped = self.stopped or self._row >= HOPELESS
        return None

    def counts(self, ids: Iterable[int], seen: Callable[[int, int | None], None]) -> None:
        """Ask about all `ids`, many at a time; `seen` gets each with its count."""
        waiting = iter(ids)

        def ask() -> None:
            for msg_id in waiting:
                if self.stopped:
                    return
                seen(msg_id, self.patient_count(msg_id))

        group = Group()
        try:
            for _ in range(ASKERS):
                group.spawn(ask)
            group.join()
        finally:
            group.kill(block=False)

    def appears(self, msg_id: int) -> bool | None:
        """Wait until a message shows its effect, at most PATIENCE; None when the observer does not
        tell."""
        until = perf_counter() + PATIENCE
        while True:
            found = self.patient_count(msg_id)
            if found is None or found > 0 or perf_counter() > until:
                return None if found is None else found > 0
            gevent.sleep(PAUSE / 4)


class Audit:
    """What `observer` says about every message in `ledgers`, once the load has ended."""

    def __init__(self, observer: Observer, ledgers: Iterable[Ledger]) -> None:
        self._observer = observer
        self._ledgers = {each.msg_id(0) // NUMBERS: each for each in ledgers}
        self._missing: set[int] = set()
        self.effects = Effects(sum(len(each.states) for each in self._ledgers.values()))

    def run(self, progress: Callable[[int, int], None] = lambda asked, messages: None) -> Effects:
        """Ask until all is told, or nothing that is missing appears any more."""
        effects, began = self.effects, perf_counter()

        def first(msg_id: int, found: int | None) -> None:
            effects.asked += 1
            effects.unread += found is None
            self._seen(msg_id, found)
            progress(effects.asked, effects.messages)

        self._observer.counts(self._messages(VALID | FORGED), first)
        if self._missing:
            self._wait(began)
            # What was still being worked on may have taken a second effect since.
            self._observer.counts(self._messages(REPEATED | FORGED), self._seen)
        effects.lost = self._missing
        effects.seconds = perf_counter() - began
        return effects

    def _wait(self, began: float) -> None:
        moved = perf_counter()
        while self._missing and not self._observer.stopped and perf_counter() - moved < PATIENCE:
            gevent.sleep(PAUSE)
            before = len(self._missing)
            self._observer.counts(sorted(self._missing), self._seen)
            if len(self._missing) < before:
                moved = perf_counter()
                self.effects.late += before - len(self._missing)
                self.effects.behind = moved - began

    def _seen(self, msg_id: int, found: int | None) -> None:
        state = self._ledgers[msg_id // NUMBERS].states[msg_id % NUMBERS]
        if found is None:
            return
        if state & FORGED:
            if found:
                self.effects.forged.add(msg_id)
        elif found > 1:
            self.effects.doubled.add(msg_id)
        if found:
            self._missing.discard(msg_id)
        elif state & ACKNOWLEDGED:
            self._missing.add(msg_id)

    def _messages(self, states: int) -> Iterator[int]:
        """The ids of the messages that are in one of `states`."""
        for ledger in self._ledgers.values():
            yield from (msg_id for msg_id, state in ledger.messages() if state & states)
