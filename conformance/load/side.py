"""A load run as the runner sees it: a receiver's run whose cases are one load.

Knows nothing of Locust: `generate` starts the load, and returns what its processes recorded.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from conformance.checks.receiver.case import count
from conformance.engine.case_record import CaseRecord
from conformance.engine.lifecycle import Stop
from conformance.engine.receiver.judge import ReceiverJudge
from conformance.engine.receiver.preconditions import NEEDS
from conformance.engine.receiver.side import ReceiverSide
from conformance.engine.runner import Runner
from conformance.load.audit import Audit, Progress
from conformance.load.figures import load_figures
from conformance.load.ledger import Ledger
from conformance.load.settings import Settings
from conformance.model.exchange import Role
from conformance.model.load import LoadFigures
from conformance.model.report import Result
from conformance.model.rules import Unjudged
from conformance.model.sentence import EMPTY, Sentence
from conformance.options.receiver import Options
from conformance.scenario.load import built_in

CONCURRENCY = 32
"""Questions to the observer in flight."""
LONGEST = 7 * 24 * 3600.0
"""Seconds that a run may take: the load has an end of its own, and so does the audit."""
AUDIT_SECONDS, AUDIT_SHARE = 600.0, 3.0
"""The longest wait for effects: these seconds, or this multiple of the load's if that is longer."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a load leaves behind: its seconds, the ledgers, and how many workers left without theirs."""

    ledgers: Sequence[Ledger]
    seconds: float
    missing_workers: int


Generate = Callable[[], Awaitable[Recorded | None]]
"""Starts the load. Returns what it left behind at its end; None where it broke off."""


def options(settings: Settings) -> Options:
    """The options of the run that judges a load with these settings."""
    rules = [each.rule.id for each in built_in("receiver") if "load" in each.needs]
    return Options(
        url=settings.url,
        secret=settings.signer.secret,
        dialect=replace(settings.dialect, deadline=settings.deadline),
        rules=tuple(rules),
        strict=settings.strict,
        seed=settings.seed,
        observer_url=settings.observer_url,
        ca=settings.ca,
        concurrency=CONCURRENCY,
        timeout=LONGEST,
    )


class LoadSide(ReceiverSide):
    """The receiver under a load. `progress` takes how many messages the observer was asked about."""

    def __init__(self, settings: Settings, generate: Generate, progress: Progress) -> None:
        super().__init__(options(settings))
        self._settings = settings
        self._generate = generate
        self._progress = progress
        self._audit: Audit | None = None
        self._figures: LoadFigures | None = None

    @asynccontextmanager
    async def open(self, runner: Runner) -> AsyncIterator[None]:
        """The session with the target. Ctrl-C ends the load, which Locust sees to, or else the audit."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        try:
            async with super().open(runner):
                yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        if self._audit is not None:
            self._audit.stop()

    @property
    def judge(self) -> ReceiverJudge:
        return replace(super().judge, load=self._figures)

    async def preflight(self) -> Stop | None:
        """As for any receiver. It also stops a load in another dialect than the requested one, and one whose
        observer does not answer."""
        stop = await super().preflight()
        if stop is not None:
            return stop
        profile, trace = self._session.profile, self.trace
        scheme = profile.scheme
        if scheme.description:
            reason = Sentence(
                "the receiver signs {scheme} (dialect {dialect}): give --dialect {dialect}",
                scheme=scheme.description,
                dialect=scheme.signer.dialect.name,
            )
            return Stop("other-dialect", reason, tuple(each.id for each in trace)[:1])
        asked = [each for each in trace if each.role is Role.OBSERVE]
        if profile.blind is not None and asked and count(asked[-1]) is None:
            return Stop("observer-unreliable", profile.blind, (asked[-1].id,))
        return None

    async def run_cases(self) -> None:
        """Let the load run, and find out what became of its messages."""
        clock, session = self._runner.clock, self._session
        began = clock.monotonic()
        recorded = await self._generate()
        if recorded is None:
            return
        ended = clock.monotonic()
        for ledger in recorded.ledgers:
            for sample in (each for kept in ledger.samples.values() for each in kept):
                times = {
                    name: began + getattr(sample, name) for name in ("started", "sent", "ended")
                }
                session.trace.add(replace(sample, **times))
        observer = None
        if self.options.observer_url is not None:
            self._audit = Audit(
                session,
                recorded.ledgers,
                ended=ended,
                effect_timeout=self._settings.effect_timeout,
                until=ended + max(AUDIT_SECONDS, AUDIT_SHARE * recorded.seconds),
            )
            observer = await self._audit.run(self._progress)
        self._figures = load_figures(
            self._settings, recorded.ledgers, recorded.seconds, recorded.missing_workers, observer
        )

    async def finish(self) -> None:
        """Nothing comes after a load."""

    def skip_reason(self, record: CaseRecord) -> Unjudged | None:
        if self._figures is None:
            return _BROKEN_OFF
        if "observer-url" in record.scenario.needs and self.options.observer_url is None:
            return Unjudged("needs-observer-url", NEEDS["observer-url"])
        return None

    def cause(self, results: Sequence[Result]) -> Sentence:
        return _BROKEN_OFF.reason if self._figures is None else EMPTY

    def run_data(self) -> dict[str, Any]:
        figures = asdict(self._figures) if self._figures is not None else None
        return super().run_data() | {"load": figures}


_BROKEN_OFF = Unjudged(
    "load-broken-off", Sentence("the load broke off: Locust ended early"), error=True
)
