"""The receiver's side of a run: sends each case to a live target, in parallel as far as possible.

A case that met a connection fault, a time-out or a "not now" while others ran is run again alone before it
is judged: it is not to blame for what another request did to the target.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from conformance.checks.receiver.crash_suspects import describe_suspects, suspects
from conformance.checks.receiver.profile import as_data
from conformance.checks.receiver.root_causes import UNVERIFIED
from conformance.checks.receiver.wording import RATE_LIMIT
from conformance.engine.case_record import CaseRecord, FuzzJudgement
from conformance.engine.lifecycle import Change, State, Stop
from conformance.engine.receiver.fuzz_report import judge_by_fuzzing
from conformance.engine.receiver.judge import ReceiverJudge
from conformance.engine.receiver.preconditions import skip_reason
from conformance.engine.receiver.preflight import is_alive, run_preflight, send_final_message
from conformance.engine.receiver.session import Session
from conformance.engine.receiver.steps import CaseRun, is_busy
from conformance.engine.runner import Runner
from conformance.engine.stalls import CHAIN
from conformance.model.clock import Clock
from conformance.model.exchange import Exchange, Fault, Role, Transport
from conformance.model.report import Result
from conformance.model.rules import Outcome, Unjudged
from conformance.model.sentence import EMPTY, Sentence
from conformance.options.receiver import Options
from conformance.options.secrets import Mask
from conformance.scenario.load import built_in
from conformance.scenario.records import Case
from conformance.trace import Trace
from conformance.wire.client import Wire, tls_context
from conformance.wire.transport import SendRequest

GRACE = CHAIN
"""Seconds past the deadline for which the run still waits for an answer, to report how late it is. No
stall explains an answer that has not come by then."""

SHARE = 0.4
"""The share of the remaining time that a scenario with very many messages may take."""

FUZZ_SHARE = 0.9
"""The share of the remaining time that all fuzz rules together may take."""


class ReceiverSide:
    """The receiver at the URL in `options`, reached over HTTP, or through the transport `send`."""

    name = "receiver"

    def __init__(self, options: Options, send: SendRequest | None = None) -> None:
        self.options = options
        self.target = options.url
        self._send = send
        self._tls = tls_context(options.ca, system=options.secure)
        self._pace = 0.0  # seconds that a request took while scenarios ran in parallel
        self._death = EMPTY  # what the target died of, if no chosen rule reports it

    @asynccontextmanager
    async def open(self, runner: Runner) -> AsyncIterator[None]:
        """The session with the target."""
        self._runner = runner
        async with self._transport(runner.clock) as send:
            self._session = Session(self.options, send, runner.clock, runner.stalls)
            yield

    @asynccontextmanager
    async def _transport(self, clock: Clock) -> AsyncIterator[SendRequest]:
        if self._send is not None:
            yield self._send
            return
        wire = Wire(
            clock,
            patience=self.options.dialect.deadline + GRACE,
            concurrency=self.options.concurrency,
            tls=self._tls,
            extra=self.options.headers,
        )
        async with wire:
            yield wire.send

    @property
    def trace(self) -> Trace:
        return self._session.trace

    @property
    def judge(self) -> ReceiverJudge:
        return ReceiverJudge(self._session.profile, self.options.headers)

    async def preflight(self) -> Stop | None:
        """Send a few plain messages, and learn about the target."""
        return await run_preflight(self._session)

    def skip_reason(self, record: CaseRecord) -> Unjudged | None:
        return skip_reason(record.scenario, self.options, self._session.profile)

    async def run_cases(self) -> None:
        """Run the cases in parallel, those that need the target for themselves one after the other, and
        then, by themselves, those that others may have disturbed."""
        session, clock = self._session, self._runner.clock
        ready = [r for r in self._runner.records if r.case.steps and self.skip_reason(r) is None]
        parallel = [record for record in ready if not record.scenario.alone]
        disturbed: list[CaseRecord] = []

        async def run_in_parallel(records: Sequence[CaseRecord]) -> None:
            again = await asyncio.gather(*(self._run(record) for record in records))
            disturbed.extend(record for record in again if record is not None)

        async with asyncio.TaskGroup() as group:
            # Cases that mostly wait hardly load the target meanwhile.
            group.create_task(run_in_parallel([each for each in parallel if _waits(each.case)]))
            begin, before = clock.monotonic(), len(session.trace)
            await run_in_parallel([each for each in parallel if not _waits(each.case)])
            self._pace = (clock.monotonic() - begin) / max(1, len(session.trace) - before)
            alone = [
                [record for record in ready if record.scenario is scenario]
                for scenario in self._runner.chosen
                if scenario.alone
            ]
            await self._one_by_one(alone, doubtful=bool(disturbed))
        if disturbed:
            session.send_options = session.send_options.renewed()
        await self._one_by_one([[record] for record in disturbed], doubtful=True)

    async def run_again(self, record: CaseRecord) -> None:
        """Run a case that was stalled."""
        await self._one_by_one([[record]], doubtful=False)

    async def finish(self) -> None:
        """Fuzz the target, and see whether it is still alive."""
        await self._fuzz()
        self._session.revive()
        await send_final_message(self._session)

    async def _run(self, record: CaseRecord) -> CaseRecord | None:
        """Run one case and settle it. Returns it, and settles nothing, when it should run again alone."""
        run = CaseRun(self._session, record.scenario.rule.id, record.case)
        attempted = await self._runner.attempt(record, run.run())
        if not attempted.by_itself and _is_doubtful(attempted):
            return attempted
        self._runner.settle(attempted)
        return None

    async def _one_by_one(self, groups: Sequence[Sequence[CaseRecord]], *, doubtful: bool) -> None:
        """Run one group of cases after the other as long as the target lives; `doubtful` says that it may
        be dead already."""
        runner, session = self._runner, self._session
        for index, group in enumerate(groups):
            if doubtful:
                session.revive()
            if doubtful and not await is_alive(session):
                reason = RATE_LIMIT if _limited(session.trace) else self._note_loss()
                runner.lifecycle.change(Change.TARGET_LOST, Stop("target-gone", reason, ()))
                for record in (record for remaining in groups[index:] for record in remaining):
                    runner.settle(record.unjudged(Unjudged("target-gone", reason, error=True)))
                return
            if self._takes_too_long(group):
                continue
            await asyncio.gather(*(self._run(record) for record in group))
            exchanges = [each for record in group for each in runner.record(record.key).exchanges]
            doubtful = any(map(_is_refusal, exchanges))

    def _takes_too_long(self, group: Sequence[CaseRecord]) -> bool:
        """Whether the group would take too much of the remaining time at the target's pace. If so, it is
        settled as skipped."""
        steps = [step for record in group for step in record.case.steps]
        sends = [step.send for step in steps if step.send is not None]
        seconds = sum(send.last or send.messages for send in sends) * self._pace
        if seconds <= SHARE * self._runner.seconds_left:
            return False
        reason = Sentence(
            "would take about {seconds:.0f} s at the target's pace: give a longer --timeout",
            seconds=seconds,
        )
        for record in group:
            self._runner.settle(record.unjudged(Unjudged("too-little-time", reason)))
        return True

    async def _fuzz(self) -> None:
        """Judge the fuzz rules one after the other, each within its share of the remaining time."""
        runner, session = self._runner, self._session
        rules = [r for r in runner.records if r.scenario.fuzz and self.skip_reason(r) is None]
        gone = runner.lifecycle.state is State.TARGET_GONE
        for index, record in enumerate(rules):
            begin, before = runner.clock.monotonic(), len(session.trace)
            if gone:
                lost = Unjudged("target-gone", self._reason_of_loss(), error=True)
                fuzz = FuzzJudgement([lost])
            else:
                session.revive()
                share = FUZZ_SHARE * runner.seconds_left / (len(rules) - index)
                fuzz = await judge_by_fuzzing(session, record.scenario, share)
                gone = fuzz.target_down
            fuzzed = replace(
                record,
                exchanges=session.trace.exchanges[before:],
                judgements=fuzz.judgements,
                seconds=runner.clock.monotonic() - begin,
                fuzz=fuzz,
            )
            runner.settle(fuzzed)

    def _reason_of_loss(self) -> Sentence:
        stop = self._runner.lifecycle.stop
        return stop.reason if stop is not None else self._note_loss()

    def _note_loss(self) -> Sentence:
        """The reason reported for everything that a dead target left unjudged. When the rule
        that reports the death is not in the run, it names what the target died of."""
        if any("target-gone" in scenario.explains for scenario in self._runner.chosen):
            return _NOT_JUDGED + _GONE
        self._death = self._death or _GONE + describe_suspects(
            suspects(self._session.trace, self.options.url)
        )
        return _NOT_JUDGED + self._death

    def in_order(self, exchanges: Iterable[Exchange]) -> list[Exchange]:
        """The exchanges before the suite, then those of the cases in the catalogue's order, then those of
        superseded attempts. Never in the order in which cases happened to end."""
        records = self._runner.records
        positions = {record.key: position for position, record in enumerate(records)}
        # A case lists its exchanges as it sent them; ids are assigned as they ended.
        places = {each.id: n for of in records for n, each in enumerate(of.own_exchanges)}

        def position(exchange: Exchange) -> tuple[bool, bool, int, int]:
            case = positions.get((exchange.rule or "", exchange.case), -1)
            superseded = case >= 0 and exchange.id not in places
            after = exchange.case == "after"
            return superseded, after, case, places.get(exchange.id, exchange.id)

        return sorted(exchanges, key=position)

    def cause(self, results: Sequence[Result]) -> Sentence:
        """What the whole run showed, or left open."""
        profile, chosen = self._session.profile, self._runner.chosen
        if _verifies_nothing(results):
            return _ACCEPTS_FORGERIES
        if self._death:
            return _NO_MORE + self._death + Sentence(".")
        if profile.blind is not None:
            return profile.blind
        observed = profile.observed or profile.inferred is not None
        if not observed and any("observer" in scenario.needs for scenario in chosen):
            return _NOT_OBSERVED
        return EMPTY

    @property
    def spoken(self) -> str | None:
        """The dialect in which the target accepted a plain message."""
        profile = self._session.profile
        understood = bool(profile.scheme.description) or any(
            each.role is Role.PLAIN and each.status in profile.accepted for each in self.trace
        )
        return profile.scheme.signer.dialect.name if understood else None

    def run_data(self) -> dict[str, Any]:
        names = [name.decode() for name, _ in self.options.headers]
        return {"profile": as_data(self._session.profile), "headers": names}

    @property
    def mask(self) -> Mask:
        return self.options.mask(self._session.profile.scheme.signer.secret)


def _is_doubtful(record: CaseRecord) -> bool:
    """Whether other cases, or a stall of this process, may have caused what came of a case."""
    timed = any(expect.within for step in record.case.steps for expect in step.expects)
    disturbed = timed or any(map(_is_refusal, record.exchanges))
    return record.stalled or (disturbed and not record.holds)


def _is_refusal(exchange: Exchange) -> bool:
    """Whether the target answered "not now", or not at all."""
    return is_busy(exchange) or exchange.fault is Fault.REFUSED


def _limited(trace: Trace) -> bool:
    """Whether the target's last answer was 429."""
    return len(trace) > 0 and trace.exchanges[-1].status == 429


def _verifies_nothing(results: Iterable[Result]) -> bool:
    """Whether every rule failed that does so where no signature is checked at all."""
    rules = {each.rule.id for each in built_in("receiver") if each.root_cause == UNVERIFIED}
    outcomes = {(each.rule.id, each.outcome) for each in results if each.rule.id in rules}
    return outcomes == {(rule, Outcome.FAIL) for rule in rules}


def _waits(case: Case) -> bool:
    """Whether the case mostly waits: for a slow request, or for 100 Continue."""
    sends = [step.send for step in case.steps if step.send is not None]
    return any(send.transport in (Transport.SLOW, Transport.EXPECT) for send in sends)


_NOT_OBSERVED = Sentence("Duplicates and lost messages were not judged: give --observer-url.")
_ACCEPTS_FORGERIES = Sentence(
    "Every forged request was accepted: the signature is not checked at all. Fix that first."
)
_NOT_JUDGED = Sentence("not judged: ")
_NO_MORE = Sentence("No more could be judged: ")
_GONE = Sentence("the target no longer accepts plain valid messages")
