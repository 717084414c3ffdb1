"""One run against a live sender: preflight, scenarios in parallel or in turns, and the report.

A case that fails while others run is run again before it is judged: it is not to blame for the load that
other messages put on the sender. A case that fails while this process was stalled is run again, as often
as the time allows. For a sender that keeps a single configuration, cases run in turns, those with the same
settings together.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from conformance.checks.registry import CHECKS
from conformance.checks.sender.case import describe_pass, judge
from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.recorded_profile import as_data
from conformance.engine.metadata import (
    NOTHING_PASSED,
    Key,
    add_metadata,
    mark_superseded,
)
from conformance.engine.plan import Listener, Plan, exchanges_over
from conformance.engine.results import (
    TIME_RAN_OUT,
    decide_result,
    judge_as_far_as_run,
    own_fault,
)
from conformance.engine.sender.preconditions import duration, skip_reason
from conformance.engine.sender.preflight import run_preflight
from conformance.engine.sender.session import BEFORE, SETTINGS, Registration, SenderSession
from conformance.engine.sender.steps import ConfigurationRefusedError, SenderCaseRun
from conformance.engine.stalls import Stalls, as_stalled, drop_unreliable, is_stalled
from conformance.engine.stop import Stop
from conformance.model.clock import Clock
from conformance.model.errors import HarnessError
from conformance.model.exchange import Exchange
from conformance.model.language import ENGLISH, Language
from conformance.model.report import Report, Result
from conformance.model.rules import Judgement, Outcome, Unjudged, all_held, verdict
from conformance.model.sentence import EMPTY, Sentence
from conformance.options.secrets import hide, other_secret
from conformance.options.sender import SenderOptions, spellings
from conformance.protocol.signing import Signer
from conformance.receiver.mock import Mock, listening
from conformance.scenario.records import Case, Scenario
from conformance.serving import certificates
from conformance.wire.client import Wire, tls_context

MOST_PARALLEL = 32
"""Cases that run in parallel, at most: more would only wait for a sender's database."""

HEAD_START, LONGEST_START = 0.5, 3.0
"""Seconds of a head start besides the waits in it, and the most that these waits may add."""

API_PATIENCE = 15.0
"""Seconds to wait for an answer of the API: Test itself waits for an endpoint that does not answer."""

BEFORE_ANSWERS = (
    "sender.retry.on-non-200",
    "sender.retry.on-timeout",
    "sender.retry.on-connection-fault",
    "sender.retry.none-after-200",
    "sender.retry.count",
    "sender.time.deadline",
)
"""Rules that come before the case with drawn answers: a sender that breaks one of them fails it too."""


_LOG = logging.getLogger("hookproof")

Pair = tuple[Scenario, Case]
T = TypeVar("T")


class SenderRun:
    """One run. `listener` is called with each result as soon as it is settled."""

    def __init__(
        self,
        options: SenderOptions,
        listener: Listener = lambda result: None,
        clock: Clock | None = None,
        language: Language = ENGLISH,
    ) -> None:
        self.options = options
        self.plan = Plan("sender", options, listener)
        self._clock = clock or Clock()
        self.language = language
        self._tls = tls_context(options.ca, system=options.secure)
        self._final: dict[Key, list[Exchange]] = {}
        self._complete = False
        self._stalls = Stalls(self._clock)
        # Cases to run again because this process was stalled, and the seconds that each took.
        self._stalled: list[tuple[Pair, float]] = []
        self._until = 0.0

    def listen(self, listener: Listener) -> None:
        """Call `listener`, in place of the previous one, with each result as soon as it is settled."""
        self.plan.listener = listener

    @property
    def keys(self) -> list[Key]:
        """Every (rule, case) that the run will judge, in the catalogue's order."""
        return self.plan.keys

    async def report(self) -> Report:
        """Judge the sender; ends within the options' timeout and a little more. Raises InputError when
        the mock receiver cannot listen at the address of --listen."""
        started, begin = datetime.now(UTC), self._clock.monotonic()
        self._until = begin + self.options.timeout
        options = self.options
        profile = SenderProfile(
            requested=Signer(options.dialect, options.secret),
            other_secret=other_secret(options.secret),
        )
        async with self._stalls.watching(), AsyncExitStack() as stack:
            mocks = await self._mocks(stack)
            wire = Wire(
                self._clock,
                patience=API_PATIENCE,
                concurrency=options.concurrency,
                tls=self._tls,
            )
            await stack.enter_async_context(wire)
            session = SenderSession(options, wire, mocks, profile, self._clock, self._stalls)
            try:
                stop = await self._drive(session)
            finally:
                await asyncio.shield(session.unregister_all())
            for registration in session.registrations:
                session.record_arrivals(registration)
        self._judge_the_rest(session, stop)
        return self._assemble(session, stop, started, begin)

    async def _mocks(self, stack: AsyncExitStack) -> dict[str, Mock]:
        options = self.options
        host, port = options.listen
        tls = _tls_of_mock(options)
        default = listening(host, port, options.public_url, tls, clock=self._clock)
        mocks = {"": await stack.enter_async_context(default)}
        if tls is not None:
            mocks["https"] = mocks[""]
            plain = listening(host, 0, clock=self._clock)
            mocks["http"] = await stack.enter_async_context(plain)
        if certificates.missing() is None and any(
            "openssl" in each.needs for each in self.plan.chosen
        ):
            context = await asyncio.to_thread(certificates.self_signed)
            untrusted = listening(host, 0, None, context, clock=self._clock)
            mocks["untrusted"] = await stack.enter_async_context(untrusted)
        return mocks

    async def _drive(self, session: SenderSession) -> Stop | None:
        try:
            async with asyncio.timeout(self.options.timeout):
                stop = await self._diagnosis(session)
                if stop is None:
                    await self._scenarios(session)
                self._complete = True
                return stop
        except TimeoutError:
            return None

    async def _diagnosis(self, session: SenderSession) -> Stop | None:
        try:
            return await run_preflight(session)
        except Exception as fault:  # a fault of the suite itself is no verdict on the target
            _LOG.exception("the sender could not be probed: the preflight failed")
            return Stop("own-fault", own_fault(fault), ())

    async def _scenarios(self, session: SenderSession) -> None:
        ready = [
            (scenario, case)
            for scenario in self.plan.chosen
            for case in scenario.cases
            if case.acts and self._skip(scenario, case, session) is None
        ]
        shared = [pair for pair in ready if not pair[0].alone and not pair[1].sender_case.drawn]
        profile = session.profile
        if profile.delivers_several or (
            not profile.emits and profile.lists_several and profile.tests_by_id
        ):
            suspects = await self._in_parallel(session, shared)
        else:
            suspects = await self._in_turns(session, shared)
        await self._repeat(session, suspects)
        for pair in (pair for pair in ready if pair[1].sender_case.drawn):
            await self._drawn(session, *pair)
        alone = [pair for pair in ready if pair[0].alone]
        # Cases that block the sender come last: it may take a while to work off the backlog.
        for pair in sorted(alone, key=lambda pair: pair[1].sender_case.holds_up):
            await self._case(session, *pair, last=True)
        await self._repeat_stalled(session)

    async def _repeat_stalled(self, session: SenderSession) -> None:
        """Run the stalled cases again, one by one, until none is left or the time is used up."""
        while self._stalled:
            (scenario, case), seconds = self._stalled.pop(0)
            if seconds >= self._until - self._clock.monotonic():
                continue  # broken off, it would leave the checks over the whole run without a verdict
            if self._skip(scenario, case, session) is None:
                await self._case(session, scenario, case, last=True)

    async def _in_parallel(self, session: SenderSession, pairs: Sequence[Pair]) -> list[Pair]:
        """Run all pairs, many at a time. Returns those that should run again. If one endpoint can block
        others at this sender, the cases that do so run last; if its Test ignores the ID, the cases that
        call Test run one by one."""
        profile = session.profile
        tests = [pair for pair in pairs if not profile.tests_by_id and pair[1].sender_case.tests]
        rest = [pair for pair in pairs if pair not in tests]
        slow = [pair for pair in rest if not profile.isolates and pair[1].sender_case.holds_up]
        suspects = []
        places = asyncio.Semaphore(MOST_PARALLEL)

        async def run(pair: Pair, delay: float) -> None:
            await self._clock.sleep(delay)
            async with places:
                if not await self._case(session, *pair):
                    suspects.append(pair)

        fast = [pair for pair in rest if pair not in slow]
        for batch in (fast, slow, *([pair] for pair in tests)):
            longest_first = sorted(batch, key=lambda pair: -duration(pair[1], profile))
            start = _head_start(batch, profile)
            await _gather(
                run(pair, 0.0 if pair[1].sender_case.crowded else start) for pair in longest_first
            )
        return suspects

    async def _in_turns(self, session: SenderSession, pairs: Sequence[Pair]) -> list[Pair]:
        """Run pairs in groups that share a configuration, one group after the other. Returns those that
        should run again."""
        groups: dict[str, list[Pair]] = {}
        for number, pair in enumerate(pairs):
            sender_case = pair[1].sender_case
            settings = json.dumps(SETTINGS | dict(sender_case.endpoint.configure), sort_keys=True)
            single = sender_case.other is None or not sender_case.other.configured
            shareable = sender_case.endpoint.kind is None and single and not sender_case.calls
            groups.setdefault(settings if shareable else str(number), []).append(pair)
        suspects: list[Pair] = []
        longest_first = sorted(
            groups.values(), key=lambda group: -_duration(group, session.profile)
        )
        for group in longest_first:
            sender_case = group[0][1].sender_case
            if len(group) == 1:
                done = [await self._case(session, *pair) for pair in group]
            else:
                kinds = [kind for pair in group for kind in pair[1].sender_case.kinds]
                listener = replace(sender_case.endpoint, answers=())
                registration = await session.configure(
                    listener, BEFORE, kinds or [session.channel(crowded=True)]
                )
                try:
                    done = await _gather(
                        self._case(session, *pair, registration=registration) for pair in group
                    )
                finally:
                    session.record_arrivals(registration)
                    await session.unregister(registration)
            suspects += [pair for pair, is_done in zip(group, done, strict=True) if not is_done]
        return suspects

    async def _repeat(self, session: SenderSession, suspects: Sequence[Pair]) -> None:
        """Run suspects again: those with very many messages alone, the others as few at a time as the
        remaining time allows."""
        for pair in (pair for pair in suspects if pair[1].sender_case.crowded):
            await self._case(session, *pair, last=True)
        suspects = [pair for pair in suspects if not pair[1].sender_case.crowded]
        needed = sum(duration(case, session.profile) for _, case in suspects)
        left = max(1.0, 0.8 * (self._until - self._clock.monotonic()))
        places = asyncio.Semaphore(
            1 + int(needed / left) if session.profile.delivers_several else 1
        )

        async def run(pair: Pair) -> None:
            async with places:
                await self._case(session, *pair, last=True)

        await _gather(run(pair) for pair in suspects)

    async def _drawn(self, session: SenderSession, scenario: Scenario, case: Case) -> None:
        """Run a case with drawn contents or answers, unless the rules that come before it have failed."""
        broken = [
            result.rule.id
            for result in self.plan.results()
            if result.rule.id in BEFORE_ANSWERS and result.outcome in (Outcome.FAIL, Outcome.WARN)
        ]
        if case.sender_case.drawn == "answers" and broken:
            reason = Sentence("not judged: see {broken} first", broken=broken[0])
            self._settle(scenario, case, [Unjudged("see-first-result", reason)])
        elif not await self._case(session, scenario, case):
            await self._case(session, scenario, case, last=True)

    async def _case(
        self,
        session: SenderSession,
        scenario: Scenario,
        case: Case,
        *,
        registration: Registration | None = None,
        last: bool = False,
    ) -> bool:
        """Run and judge one case. Returns False when it should run again alone, or once more because this
        process was stalled. Its result is then provisional until it has run for the `last` time, or the
        time runs out."""
        begin = self._clock.monotonic()
        rule = scenario.rule.id
        judgements: list[Judgement]
        judged, lost = False, 0.0
        try:
            exchanges = await SenderCaseRun(session, rule, case, registration).run()
            lost = self._stalls.worst(begin)
            judgements = judge(case, exchanges, session.profile)
            judged = True
        except ConfigurationRefusedError as refusal:
            exchanges, judgements = [], [refusal.unjudged]
        except HarnessError as fault:
            exchanges, judgements = (
                [],
                [Unjudged("step-failed", fault.sentence, error=True)],
            )
        except Exception as fault:  # a fault of the suite itself is no verdict on the target
            _LOG.exception("%s could not be judged", rule)
            exchanges, judgements = [], [Unjudged("own-fault", own_fault(fault), error=True)]
        stalled = is_stalled(judgements, lost)
        judged = judged and not stalled
        judgements = [*(as_stalled(judgements) if stalled else drop_unreliable(judgements, lost))]
        self._final[rule, case.name] = exchanges
        seconds = self._clock.monotonic() - begin
        done = all_held(judgements) or (last and not stalled)
        if last and stalled:
            self._stalled.append(((scenario, case), seconds))
        self._settle(
            scenario,
            case,
            judgements,
            exchanges,
            seconds,
            pass_message=describe_pass(case, exchanges, session.profile),
            provisional=not done,
            judged=judged,
        )
        return done

    def _settle(  # noqa: PLR0913 - one CaseRecord will take their place
        self,
        scenario: Scenario,
        case: Case,
        judgements: Sequence[Judgement],
        exchanges: Sequence[Exchange] = (),
        seconds: float = 0.0,
        *,
        pass_message: Sentence = EMPTY,
        provisional: bool = False,
        judged: bool = False,
    ) -> None:
        context = [exchange.id for exchange in exchanges if case.acts]
        result = decide_result(
            scenario, case, judgements, context, seconds=seconds, strict=self.options.strict
        )
        message = self._hidden(result.message or pass_message)
        settle = self.plan.settle_provisionally if provisional else self.plan.settle
        settle(replace(result, message=message, judged=judged))

    def _hidden(self, text: Sentence) -> Sentence:
        """`text` without the secrets that a sender may have given away in it."""
        secrets = spellings(self.options)
        return text.with_text(lambda part: hide(part, secrets))

    def _skip(self, scenario: Scenario, case: Case, session: SenderSession) -> Unjudged | None:
        left = self._until - self._clock.monotonic()
        return skip_reason(scenario, case, self.options, session.profile, left)

    def _judge_the_rest(self, session: SenderSession, stop: Stop | None) -> None:
        """Judge the checks over many rules, and settle each remaining case with a reason."""
        for scenario, case in self.plan.pending():
            judgement: Judgement | None
            if stop is not None:
                judgement = self.plan.judgement_of_stop(stop, scenario, case)
            else:
                judgement = self._skip(scenario, case, session)
            judgements: list[Judgement] = [judgement] if judgement is not None else []
            checked = judgement is None and scenario.check is not None and not case.acts
            if judgement is None and scenario.check is not None and not case.acts:
                exchanges = exchanges_over(scenario, session.trace, self._final)
                judgements = judge_as_far_as_run(
                    CHECKS["sender"][scenario.check].judge(exchanges, session.profile, case.level),
                    complete=self._complete,
                )
            elif judgement is None:
                judgements = [Unjudged("time-ran-out", TIME_RAN_OUT, error=True)]
            self._settle(scenario, case, judgements, judged=checked)
        self.plan.settle_provisional()

    def _assemble(
        self, session: SenderSession, stop: Stop | None, started: datetime, begin: float
    ) -> Report:
        mark_superseded(session.trace, self.keys, self._final)
        ordered = sorted(session.trace, key=lambda exchange: (exchange.started, exchange.id))
        new_ids = session.trace.number(exchange.id for exchange in ordered)
        results = [
            replace(result, exchanges=tuple(new_ids[old] for old in result.exchanges))
            for result in self.plan.results()
        ]
        scheme = session.profile.scheme
        report = Report(
            side="sender",
            target=self.options.api_url,
            dialect=self.options.dialect.name,
            spoken=scheme.signer.dialect.name if scheme is not None else None,
            seed=self.options.seed,
            verdict=verdict((result.outcome for result in results), complete=self._complete),
            started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            seconds=self._clock.monotonic() - begin,
            results=tuple(results),
            cause=self._hidden(self._cause(session, stop, results)),
            language=self.language,
            trace=session.trace,
        )
        add_metadata(
            report,
            self.plan.chosen,
            as_data(session.profile),
            epoch=started.timestamp() - begin,
            complete=self._complete,
            strict=self.options.strict,
        )
        session.trace.mask(spellings(self.options), bytes(self.options.secret))
        return report

    def _cause(
        self, session: SenderSession, stop: Stop | None, results: Iterable[Result]
    ) -> Sentence:
        """The statement beside the verdict: why it is no better, or what it leaves open."""
        if stop is not None:
            return stop.reason
        if not self._complete:
            return TIME_RAN_OUT
        if not session.profile.emits:
            return _NOT_EMITTED
        if not {each.outcome for each in results} & {Outcome.PASS, Outcome.FAIL}:
            return NOTHING_PASSED
        return EMPTY


async def _gather(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run everything at once. Unlike `asyncio.gather`, this waits for all of it even when it is cancelled:
    cases must unregister their configurations."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]


def _head_start(pairs: Sequence[Pair], profile: SenderProfile) -> float:
    """Seconds that a case with very many messages runs before the others: its first waits are short, and
    other work of the sender would be mistaken for a part of them."""
    if not any(case.sender_case.crowded for _, case in pairs):
        return 0.0
    return HEAD_START + min(LONGEST_START, sum(profile.wait(attempt) for attempt in (1, 2, 3)))


def _duration(pairs: Sequence[Pair], profile: SenderProfile) -> float:
    return max(duration(case, profile) for _, case in pairs)


def _tls_of_mock(options: SenderOptions) -> ssl.SSLContext | None:
    """The context for the mock receiver's https; None for http. Raises InputError."""
    if options.tls_cert is None or options.tls_key is None:
        return None
    return certificates.load(options.tls_cert, options.tls_key)


_NOT_EMITTED = Sentence("Only what Test shows was judged: give --emit-url or --emit-command.")
