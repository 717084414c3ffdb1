"""One run as its leading process sees it, from before the first request to the verdict.

Before the load: is the target up, does it accept a valid message, does the observer show it? After
the load: has everything taken effect? It sends a few messages of its own and knows nothing of Locust.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import perf_counter, time

from conformance.load.connection_pool import ConnectionPool, Reply
from conformance.load.ledger import MASTER, RUNS, Effects, Figures, Ledger, msg_id
from conformance.load.observer import Audit, Observer
from conformance.load.settings import Settings
from conformance.load.verdict import LoadRun
from conformance.load.worker import TIMEOUT_DEADLINES, request_head
from conformance.model.sentence import EMPTY, Sentence
from conformance.protocol.dialect import sign
from conformance.protocol.encodings import compact
from conformance.protocol.message import build
from conformance.protocol.signing import Signer
from conformance.scenario import dialects

DRAWS = 3
"""Attempts at drawing a run number whose first message the observer does not know yet."""


class Control:
    """One run. `cause` says why it cannot be judged; empty as long as it can."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cause = EMPTY
        self.observer = (
            Observer(settings.observer_url, settings.ca) if settings.observer_url else None
        )
        self.run_id = random.SystemRandom().randrange(RUNS)
        timeout = settings.deadline * TIMEOUT_DEADLINES
        self._connections = ConnectionPool(settings.host, timeout, settings.ca)
        self._sent = 0
        self._started_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._start = self._end = perf_counter()

    def prepare(self) -> None:
        """Send one valid message and look for its effect; sets `cause` if anything is wrong."""
        self.cause = self._check_new_id() or self._check_receiver() or self._check_observer()
        self._start = perf_counter()

    def stop(self) -> None:
        """Record that the load has ended."""
        self._end = perf_counter()

    def conclude(
        self,
        ledgers: Sequence[Ledger],
        missing_workers: int = 0,
        progress: Callable[[int, int], None] = lambda queries, messages: None,
    ) -> LoadRun:
        """Query the effects of everything that was sent; returns the run, ready to be judged."""
        figures = Figures()
        for ledger in ledgers:
            figures.add(ledger.figures)
        return LoadRun(
            settings=self.settings,
            started=self._started_at,
            seconds=max(0.0, self._end - self._start),
            workers=len(ledgers),
            figures=figures,
            ledgers=ledgers,
            effects=None if self.cause else self._effects(ledgers, progress),
            cause=self.cause,
            missing_workers=missing_workers,
        )

    def _effects(
        self, ledgers: Sequence[Ledger], progress: Callable[[int, int], None]
    ) -> Effects | None:
        if self.observer is None:
            return None
        # "Once" can be believed when the effect of a message sent after all others has appeared.
        if self._deliver(self.settings.signer).status == 200:
            self.observer.wait_for_effect(self._id())
        return Audit(self.observer, ledgers).run(progress)

    def _id(self) -> int:
        """The id of the last message that was sent from here."""
        return msg_id(self.run_id, MASTER, self._sent)

    def _check_new_id(self) -> Sentence:
        """Check that the observer counts 0 for a message that was never sent."""
        if self.observer is None:
            return EMPTY
        for _ in range(DRAWS):
            number = self.observer.count_with_retries(msg_id(self.run_id, MASTER, 1))
            if number is None:
                return Sentence(
                    '--observer-url does not answer {{"count": N}}: open it in a browser'
                )
            if number == 0:
                return EMPTY
            self.run_id = random.SystemRandom().randrange(RUNS)
        return Sentence(
            "the observer counts messages that were never sent: {{msgId}} must select one message"
        )

    def _check_receiver(self) -> Sentence:
        """Check that a valid message is answered 200."""
        reply = self._deliver(self.settings.signer)
        if reply.status == 200:
            return EMPTY
        if reply.status is None:
            return Sentence(
                "the receiver gave no answer ({fault}): check the URL, and that it runs",
                fault=reply.fault,
            )
        dialect = self._detect_dialect() if reply.status in (400, 401, 403) else None
        if dialect is not None:
            return Sentence(
                "the receiver speaks the dialect {dialect}: give --dialect {dialect}",
                dialect=dialect,
            )
        return Sentence(
            "a valid message was answered {status}: check the path, the secret and the dialect",
            status=reply.status,
        )

    def _check_observer(self) -> Sentence:
        """Check that the observer shows that message."""
        if self.observer is None or self.observer.wait_for_effect(self._id()):
            return EMPTY
        return Sentence(
            "the observer does not show a message that was answered 200: check --observer-url"
        )

    def _detect_dialect(self) -> str | None:
        """The known dialect in which the receiver accepts a message, if there is one."""
        for name in dialects.names():
            signer = Signer(dialects.load(name), self.settings.signer.secret)
            if name != self.settings.dialect.name and self._deliver(signer).status == 200:
                return name
        return None

    def _deliver(self, signer: Signer) -> Reply:
        self._sent += 1
        now = time()
        body = compact(build("text", str(self._id()), int(now)).fields())
        stamp = signer.dialect.timestamp(now)
        signature = sign(signer.dialect, signer.secret, stamp, body)
        names = signer.dialect.timestamp_header.encode(), signer.dialect.signature_header.encode()
        return self._connections.exchange(
            b"%b%b: %b\r\n%b: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (request_head(self.settings), names[0], stamp, names[1], signature, len(body), body)
        )
