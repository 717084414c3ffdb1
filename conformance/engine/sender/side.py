"""The sender's side of a run: registers endpoints with a live sender, and carries its cases out in parallel
or in turns.

A case that fails while others run is run again before it is judged: it is not to blame for the load that
other messages put on the sender. For a sender that keeps a single configuration, cases run in turns, those
with the same settings together.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from conformance.checks.sender.profile import SenderProfile, as_data
from conformance.engine.case_record import CaseRecord
from conformance.engine.lifecycle import Stop
from conformance.engine.runner import Runner
from conformance.engine.sender.judge import SenderJudge
from conformance.engine.sender.preconditions import duration, skip_reason
from conformance.engine.sender.preflight import run_preflight
from conformance.engine.sender.registrations import SETTINGS, Registration, SenderPeer
from conformance.engine.sender.session import BEFORE, SenderSession
from conformance.engine.sender.steps import SenderCaseRun
from conformance.model.exchange import Exchange
from conformance.model.report import Result
from conformance.model.rules import Outcome, Unjudged
from conformance.model.sentence import EMPTY, Sentence
from conformance.options.secrets import Mask
from conformance.options.sender import SenderOptions
from conformance.receiver.mock import Mock, listening
from conformance.serving import certificates
from conformance.trace import Trace
from conformance.wire.client import Wire, tls_context

MOST_PARALLEL = 32
"""Cases that run in parallel, at most: more would only wait for a sender's database."""

HEAD_START, LONGEST_START = 0.5, 3.0
"""Seconds of a head start besides the waits in it, and the most that these waits may add."""

API_PATIENCE = 15.0
"""Seconds to wait for an answer of the API: Test itself waits for an endpoint that does not answer."""

T = TypeVar("T")


class SenderSide:
    """The sender behind the API in `options`."""

    name = "sender"

    def __init__(self, options: SenderOptions) -> None:
        self.options = options
        self.target = options.api_url
        self._tls = tls_context(options.ca, system=options.secure)

    @asynccontextmanager
    async def open(self, runner: Runner) -> AsyncIterator[None]:
        """The session with the sender; at its end every configuration is removed. Raises InputError when
        the mock receiver cannot listen at the address of --listen."""
        self._runner = runner
        options, clock = self.options, runner.clock
        async with AsyncExitStack() as stack:
            mocks = await self._mocks(stack)
            wire = Wire(
                clock, patience=API_PATIENCE, concurrency=options.concurrency, tls=self._tls
            )
            await stack.enter_async_context(wire)
            self._session = SenderSession(options, wire.send, mocks, clock, runner.stalls)
            self._peer = SenderPeer(self._session)
            registrations = self._peer.registrations
            try:
                yield
            finally:
                await asyncio.shield(registrations.unregister_all())
            for registration in registrations.all:
                registrations.record_arrivals(registration)

    async def _mocks(self, stack: AsyncExitStack) -> dict[str, Mock]:
        options, clock = self.options, self._runner.clock
        host, port = options.listen
        tls = _tls_of_mock(options)
        default = listening(host, port, options.public_url, tls, clock=clock)
        mocks = {"": await stack.enter_async_context(default)}
        if tls is not None:
            mocks["https"] = mocks[""]
            plain = listening(host, 0, clock=clock)
            mocks["http"] = await stack.enter_async_context(plain)
        if certificates.missing() is None and any(
            "openssl" in each.needs for each in self._runner.chosen
        ):
            context = await asyncio.to_thread(certificates.self_signed)
            untrusted = listening(host, 0, None, context, clock=clock)
            mocks["untrusted"] = await stack.enter_async_context(untrusted)
        return mocks

    @property
    def trace(self) -> Trace:
        return self._session.trace

    @property
    def judge(self) -> SenderJudge:
        return SenderJudge(self._session.profile)

    async def preflight(self) -> Stop | None:
        """Register an endpoint, have a message delivered to it, and learn about the sender."""
        return await run_preflight(self._peer)

    def skip_reason(self, record: CaseRecord) -> Unjudged | None:
        left = self._runner.seconds_left
        return skip_reason(record.scenario, record.case, self.options, self._session.profile, left)

    async def run_cases(self) -> None:
        """Run the cases in parallel or in turns, and those that fail again; then those with drawn contents
        or answers, and those that need the sender for themselves."""
        records = self._runner.records
        ready = [r for r in records if r.case.acts and self.skip_reason(r) is None]
        drawn = [record for record in ready if record.case.sender_case.drawn]
        shared = [r for r in ready if not r.scenario.alone and not r.case.sender_case.drawn]
        profile = self._session.profile
        if profile.delivers_several or (
            not profile.emits and profile.lists_several and profile.tests_by_id
        ):
            failed = await self._in_parallel(shared)
        else:
            failed = await self._in_turns(shared)
        await self._repeat(failed)
        for record in drawn:
            await self._run_drawn(record)
        alone = [record for record in ready if record.scenario.alone]
        # Cases that block the sender come last: it may take a while to work off the backlog.
        for record in sorted(alone, key=lambda record: record.case.sender_case.holds_up):
            await self._run(record)

    async def run_again(self, record: CaseRecord) -> None:
        """Run a case that was stalled, if the time still allows it."""
        if self.skip_reason(record) is None:
            await self._run(record)

    async def finish(self) -> None:
        """Nothing comes after the cases: `open` removes the configurations."""

    async def _run(
        self, record: CaseRecord, registration: Registration | None = None
    ) -> CaseRecord | None:
        """Run one case, with a configuration of its own or this one, and settle it. Returns it when it
        should run again; it is settled provisionally then."""
        rule, case = record.scenario.rule.id, record.case
        run = SenderCaseRun(self._peer, rule, case, registration)
        attempted = await self._runner.attempt(record, run.run())
        if attempted.by_itself or (attempted.holds and not attempted.stalled):
            self._runner.settle(attempted)
            return None
        self._runner.settle_provisionally(attempted)
        return attempted

    async def _in_parallel(self, records: Sequence[CaseRecord]) -> list[CaseRecord]:
        """Run all cases, many at a time. Returns those that should run again. If one endpoint can block
        others at this sender, the cases that do so run last; if its Test ignores the ID, the cases that
        call Test run one by one."""
        profile = self._session.profile
        tests = [r for r in records if not profile.tests_by_id and r.case.sender_case.tests]
        rest = [record for record in records if record not in tests]
        slow = [r for r in rest if not profile.isolates and r.case.sender_case.holds_up]
        failed = []
        places = asyncio.Semaphore(MOST_PARALLEL)

        async def run(record: CaseRecord, delay: float) -> None:
            await self._runner.clock.sleep(delay)
            async with places:
                again = await self._run(record)
                if again is not None:
                    failed.append(again)

        fast = [record for record in rest if record not in slow]
        for batch in (fast, slow, *([record] for record in tests)):
            longest_first = sorted(batch, key=lambda record: -duration(record.case, profile))
            start = _head_start(batch, profile)
            await _gather(
                run(record, 0.0 if record.case.sender_case.crowded else start)
                for record in longest_first
            )
        return failed

    async def _in_turns(self, records: Sequence[CaseRecord]) -> list[CaseRecord]:
        """Run cases in groups that share a configuration, one group after the other. Returns those that
        should run again."""
        groups: dict[str, list[CaseRecord]] = {}
        for number, record in enumerate(records):
            sender_case = record.case.sender_case
            settings = json.dumps(SETTINGS | dict(sender_case.endpoint.configure), sort_keys=True)
            single = sender_case.other is None or not sender_case.other.configured
            shareable = sender_case.endpoint.kind is None and single and not sender_case.calls
            groups.setdefault(settings if shareable else str(number), []).append(record)
        profile = self._session.profile
        again: list[CaseRecord | None] = []
        for group in sorted(groups.values(), key=lambda group: -_duration(group, profile)):
            if len(group) == 1:
                again.append(await self._run(group[0]))
            else:
                again += await self._run_together(group)
        return [record for record in again if record is not None]

    async def _run_together(self, group: Sequence[CaseRecord]) -> list[CaseRecord | None]:
        """Run a group of cases at one configuration."""
        registrations, sender_case = self._peer.registrations, group[0].case.sender_case
        kinds = [kind for record in group for kind in record.case.sender_case.kinds]
        listener = replace(sender_case.endpoint, answers=())
        registration = await registrations.configure(
            listener, BEFORE, kinds or [registrations.channel(crowded=True)]
        )
        try:
            return await _gather(self._run(record, registration) for record in group)
        finally:
            registrations.record_arrivals(registration)
            await registrations.unregister(registration)

    async def _repeat(self, failed: Sequence[CaseRecord]) -> None:
        """Run failed cases again: those with very many messages alone, the others as few at a time as the
        remaining time allows."""
        for record in (record for record in failed if record.case.sender_case.crowded):
            await self._run(record)
        failed = [record for record in failed if not record.case.sender_case.crowded]
        profile = self._session.profile
        needed = sum(duration(record.case, profile) for record in failed)
        left = max(1.0, 0.8 * self._runner.seconds_left)
        places = asyncio.Semaphore(1 + int(needed / left) if profile.delivers_several else 1)

        async def run(record: CaseRecord) -> None:
            async with places:
                await self._run(record)

        await _gather(run(record) for record in failed)

    async def _run_drawn(self, record: CaseRecord) -> None:
        """Run a case with drawn contents or answers, unless the rules that come before it have failed."""
        broken = [
            result.rule.id
            for result in self._runner.results
            if result.rule.id in record.scenario.after
            and result.outcome in (Outcome.FAIL, Outcome.WARN)
        ]
        if record.case.sender_case.drawn == "answers" and broken:
            reason = Sentence("not judged: see {broken} first", broken=broken[0])
            self._runner.settle(record.unjudged(Unjudged("see-first-result", reason)))
            return
        again = await self._run(record)
        if again is not None:
            await self._run(again)

    def in_order(self, exchanges: Iterable[Exchange]) -> list[Exchange]:
        """The exchanges in the order in which they began."""
        return sorted(exchanges, key=lambda exchange: (exchange.started, exchange.id))

    def cause(self, results: Sequence[Result]) -> Sentence:
        """What the whole run left open."""
        return EMPTY if self._session.profile.emits else _NOT_EMITTED

    @property
    def spoken(self) -> str | None:
        """The dialect in which a delivery was signed."""
        scheme = self._session.profile.scheme
        return scheme.signer.dialect.name if scheme is not None else None

    def run_data(self) -> dict[str, Any]:
        return {"profile": as_data(self._session.profile), "headers": []}

    @property
    def mask(self) -> Mask:
        return self.options.mask


async def _gather(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run everything at once. Unlike `asyncio.gather`, this waits for all of it even when it is cancelled:
    cases must unregister their configurations."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]


def _head_start(records: Sequence[CaseRecord], profile: SenderProfile) -> float:
    """Seconds that a case with very many messages runs before the others: its first waits are short, and
    other work of the sender would be mistaken for a part of them."""
    if not any(record.case.sender_case.crowded for record in records):
        return 0.0
    return HEAD_START + min(LONGEST_START, sum(profile.wait(attempt) for attempt in (1, 2, 3)))


def _duration(records: Sequence[CaseRecord], profile: SenderProfile) -> float:
    return max(duration(record.case, profile) for record in records)


def _tls_of_mock(options: SenderOptions) -> ssl.SSLContext | None:
    """The context for the mock receiver's https; None for http. Raises InputError."""
    if options.tls_cert is None or options.tls_key is None:
        return None
    return certificates.load(options.tls_cert, options.tls_key)


_NOT_EMITTED = Sentence("Only what Test shows was judged: give --emit-url or --emit-command.")
