"""One run against a live sender: diagnosis, scenarios side by side or in turns, and the report.

A case that shows a fault while others run beside it is run once more before it is judged: what other
messages cost the sender is not this one's fault. One that shows a fault while this process was held up is
run again, as often as the time allows. A sender that keeps a single configuration is judged
in turns, cases with the same settings together.
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

from conformance.checks.sender.case import judge
from conformance.checks.sender.pass_evidence import shown
from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.recorded_profile import as_data
from conformance.checks.sender.step_checks import NAMED
from conformance.checks.sender.test_reports import told_apart
from conformance.checks.sender.wire import WIRE_CHECKS
from conformance.engine.metadata import NOTHING_PASSED, TIME_RAN_OUT, Key, conclude, mark_superseded
from conformance.engine.plan import Listener, Plan, over
from conformance.engine.results import concluded, own_fault
from conformance.engine.sender.preconditions import duration, obstacle
from conformance.engine.sender.preflight import diagnose
from conformance.engine.sender.session import BEFORE, SETTINGS, Registration, SenderSession
from conformance.engine.sender.steps import ConfigurationRefusedError, SenderCaseRun
from conformance.engine.stalls import Stalls, is_spoilt, sound, spoilt
from conformance.engine.stop import Stop
from conformance.model.clock import Clock
from conformance.model.errors import HarnessError
from conformance.model.exchange import Exchange
from conformance.model.report import Report, Result
from conformance.model.rules import Judgement, Outcome, Unjudged, verdict
from conformance.model.text import NO_TEXT, Text
from conformance.options.secrets import hide, other_secret
from conformance.options.sender import SenderOptions, spellings
from conformance.protocol.tampering import Signer
from conformance.receiver.mock import Mock, listening
from conformance.scenario.receiver import Case, Scenario
from conformance.serving import certificates
from conformance.wire.client import Wire, tls_context

AT_A_TIME = 32
"""Cases that are run side by side: more would only wait for a sender's database."""

HEAD_START, LONGEST_START = 0.5, 3.0
"""Seconds of a head start beside the waits in it, and that these may come to."""

API_PATIENCE = 15.0
"""Seconds for an answer of the API: Test waits for an endpoint that does not answer."""

BEFORE_ANSWERS = (
    "sender.retry.on-non-200",
    "sender.retry.on-timeout",
    "sender.retry.on-connection-fault",
    "sender.retry.none-after-200",
    "sender.retry.count",
    "sender.time.deadline",
)
"""Rules that drawn answers break as well when one of them is broken."""

CHECKS = WIRE_CHECKS | {"told-apart": told_apart}

_LOG = logging.getLogger("hookproof")

Pair = tuple[Scenario, Case]
T = TypeVar("T")


class SenderRun:
    """One run. `listener` is told each result as it comes."""

    def __init__(
        self,
        options: SenderOptions,
        listener: Listener = lambda result: None,
        clock: Clock | None = None,
        language: str = "en",
    ) -> None:
        self.options = options
        self.plan = Plan("sender", options, CHECKS, NAMED, listener)
        self._clock = clock or Clock()
        self.language = language
        self._tls = tls_context(options.ca, system=options.secure)
        self._final: dict[Key, list[Exchange]] = {}
        self._complete = False
        self._stalls = Stalls(self._clock)
        self._held_up: list[Pair] = []  # cases to run again, since this process was held up
        self._skipped: set[Key] = set()  # those of them that were skips
        self._until = 0.0

    def listen(self, listener: Listener) -> None:
        """Tell `listener` each result as it comes, in place of the one before."""
        self.plan.listener = listener

    @property
    def keys(self) -> list[Key]:
        """Every (rule, case) that the run will judge, in the catalogue's order."""
        return self.plan.keys

    async def report(self) -> Report:
        """Judge the sender; ends within the options' timeout and a little more. Raises InputError when
        the mock receiver cannot listen where it is told to."""
        started, begin = datetime.now(UTC), self._clock.monotonic()
        self._until = begin + self.options.timeout
        options = self.options
        profile = SenderProfile(
            asked=Signer(options.dialect, options.secret),
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
            for registration in session.posts:
                session.take(registration)
        self._judge_the_rest(session, stop)
        return self._assemble(session, stop, started, begin)

    async def _mocks(self, stack: AsyncExitStack) -> dict[str, Mock]:
        options = self.options
        host, port = options.listen
        tls = _served(options)
        first = listening(host, port, options.public_url, tls, clock=self._clock)
        mocks = {"": await stack.enter_async_context(first)}
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
            return await diagnose(session)
        except Exception as fault:  # a fault of the suite's own is no verdict on the target
            _LOG.exception("the sender could not be diagnosed")
            return Stop(own_fault(fault), False, ())

    async def _scenarios(self, session: SenderSession) -> None:
        ready = [
            (each, case)
            for each in self.plan.chosen
            for case in each.cases
            if case.acts and self._skip(each, case, session) is None
        ]
        together = [pair for pair in ready if not pair[0].alone and not pair[1].sender_case.drawn]
        profile = session.profile
        if profile.delivers_several or (
            not profile.emits and profile.lists_several and profile.tests_by_id
        ):
            suspects = await self._side_by_side(session, together)
        else:
            suspects = await self._in_turns(session, together)
        await self._once_more(session, suspects)
        for pair in (pair for pair in ready if pair[1].sender_case.drawn):
            await self._drawn(session, *pair)
        alone = [pair for pair in ready if pair[0].alone]
        # What holds the sender up comes last: it may take a while until that is worked off.
        for pair in sorted(alone, key=lambda pair: pair[1].sender_case.holds_up):
            await self._case(session, *pair, again=True)
        await self._held_up_again(session)

    async def _held_up_again(self, session: SenderSession) -> None:
        """Run what was held up again, one by one, until it is not or the time is used up."""
        while self._held_up:
            scenario, case = self._held_up.pop(0)
            if self._skip(scenario, case, session) is None:
                await self._case(session, scenario, case, again=True)

    async def _side_by_side(self, session: SenderSession, pairs: Sequence[Pair]) -> list[Pair]:
        """Run all pairs, many at a time; those that should be run again. A sender in which one endpoint holds
        up another gets those that do so last, and one whose Test goes anywhere, tests one by one."""
        profile = session.profile
        tests = [pair for pair in pairs if not profile.tests_by_id and pair[1].sender_case.tests]
        rest = [pair for pair in pairs if pair not in tests]
        slow = [pair for pair in rest if not profile.isolates and pair[1].sender_case.holds_up]
        suspects = []
        places = asyncio.Semaphore(AT_A_TIME)

        async def run(pair: Pair, after: float) -> None:
            await self._clock.sleep(after)
            async with places:
                if not await self._case(session, *pair):
                    suspects.append(pair)

        for some in ([pair for pair in rest if pair not in slow], slow, *([it] for it in tests)):
            longest_first = sorted(some, key=lambda pair: -duration(pair[1], profile))
            start = _head_start(some, profile)
            await _together(
                run(pair, 0.0 if pair[1].sender_case.crowded else start) for pair in longest_first
            )
        return suspects

    async def _in_turns(self, session: SenderSession, pairs: Sequence[Pair]) -> list[Pair]:
        """Run pairs in groups that share a configuration, one group after the other."""
        groups: dict[str, list[Pair]] = {}
        for number, pair in enumerate(pairs):
            sender_case = pair[1].sender_case
            alike = json.dumps(SETTINGS | dict(sender_case.listener.configure), sort_keys=True)
            alone = sender_case.other is None or not sender_case.other.configured
            plain = sender_case.listener.way is None and alone and not sender_case.calls
            groups.setdefault(alike if plain else str(number), []).append(pair)
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
                listener = replace(sender_case.listener, answers=())
                registration = await session.configure(
                    listener, BEFORE, kinds or [session.channel(crowded=True)]
                )
                try:
                    done = await _together(
                        self._case(session, *pair, registration=registration) for pair in group
                    )
                finally:
                    session.take(registration)
                    await session.unregister(registration)
            suspects += [pair for pair, is_done in zip(group, done, strict=True) if not is_done]
        return suspects

    async def _once_more(self, session: SenderSession, suspects: Sequence[Pair]) -> None:
        """Run suspects again, as few at a time as the run's time allows, and what brings a crowd of
        messages by itself."""
        for pair in (pair for pair in suspects if pair[1].sender_case.crowded):
            await self._case(session, *pair, again=True)
        suspects = [pair for pair in suspects if not pair[1].sender_case.crowded]
        needed = sum(duration(case, session.profile) for _, case in suspects)
        left = max(1.0, 0.8 * (self._until - self._clock.monotonic()))
        places = asyncio.Semaphore(
            1 + int(needed / left) if session.profile.delivers_several else 1
        )

        async def run(pair: Pair) -> None:
            async with places:
                await self._case(session, *pair, again=True)

        await _together(run(pair) for pair in suspects)

    async def _drawn(self, session: SenderSession, scenario: Scenario, case: Case) -> None:
        """Run a case of which something is drawn, unless its plain counterparts show what it would."""
        broken = [
            each.rule.id
            for each in self.plan.results()
            if each.rule.id in BEFORE_ANSWERS and each.outcome in (Outcome.FAIL, Outcome.WARN)
        ]
        if case.sender_case.drawn == "answers" and broken:
            first = Text(f"not judged: see {broken[0]} first", f"未判定：請先看 {broken[0]}")
            self._settle(scenario, case, [Unjudged(first)])
        elif not await self._case(session, scenario, case):
            await self._case(session, scenario, case, again=True)

    async def _case(
        self,
        session: SenderSession,
        scenario: Scenario,
        case: Case,
        *,
        registration: Registration | None = None,
        again: bool = False,
    ) -> bool:
        """Run and judge one case; False when it should run `again` by itself, or once more because this
        process was held up: its result is then told later, and stands as it is should the time run
        out."""
        begin = self._clock.monotonic()
        rule = scenario.rule.id
        found: list[Judgement]
        judged, lost = False, 0.0
        try:
            exchanges = await SenderCaseRun(session, rule, case, registration).run()
            lost = self._stalls.worst(begin)
            found = judge(case, exchanges, session.profile)
            judged = True
        except ConfigurationRefusedError as refusal:
            exchanges, found = [], [refusal.unjudged]
        except HarnessError as fault:
            exchanges, found = [], [Unjudged(Text(str(fault), str(fault)), error=True)]
        except Exception as fault:  # a fault of the suite's own is no verdict on the target
            _LOG.exception("%s could not be judged", rule)
            exchanges, found = [], [Unjudged(own_fault(fault), error=True)]
        stalled = is_spoilt(found, lost)
        judged = judged and not stalled
        found = [*(spoilt(found) if stalled else sound(found, lost))]
        self._final[rule, case.name] = exchanges
        seconds = self._clock.monotonic() - begin
        done = not found or (again and not stalled)
        if again and stalled and not self._is_skipped_again(rule, case, found):
            self._held_up.append((scenario, case))
        figures = shown(case, exchanges, session.profile)
        self._settle(scenario, case, found, exchanges, seconds, figures, tell=done, judged=judged)
        return done

    def _is_skipped_again(self, rule: str, case: Case, found: Sequence[Judgement]) -> bool:
        """Whether a case is a skip, and was one when it was held up before: a machine that is too slow to
        show more is no reason to go on until the time is used up."""
        skipped = not any(isinstance(each, Unjudged) and each.error for each in found)
        before = (rule, case.name) in self._skipped
        self._skipped |= {(rule, case.name)} if skipped else set()
        return skipped and before

    def _settle(
        self,
        scenario: Scenario,
        case: Case,
        found: Sequence[Judgement],
        exchanges: Sequence[Exchange] = (),
        seconds: float = 0.0,
        said: Text = NO_TEXT,
        *,
        tell: bool = True,
        judged: bool = False,
    ) -> None:
        """Keep what came out; `said` is told of a case that holds."""
        beside = [each.id for each in exchanges if case.acts]
        result = concluded(
            scenario, case, found, beside, seconds=seconds, strict=self.options.strict
        )
        message = self._hidden(result.message or said)
        self.plan.settle(replace(result, message=message, judged=judged), tell=tell)

    def _hidden(self, text: Text) -> Text:
        """What is told of a sender that gives a secret away."""
        secrets = spellings(self.options)
        return Text(hide(text.en, secrets), hide(text.zh, secrets))

    def _skip(self, scenario: Scenario, case: Case, session: SenderSession) -> Unjudged | None:
        """Why a case cannot be judged with what the user gave and what was seen; None when it can."""
        left = self._until - self._clock.monotonic()
        return obstacle(scenario, case, self.options, session.profile, left)

    def _judge_the_rest(self, session: SenderSession, stop: Stop | None) -> None:
        """The checks over many rules, and a reason for each case that has no result yet."""
        for scenario, case in self.plan.pending():
            found: Judgement | None
            if stop is not None:
                found = self.plan.stopped(stop, scenario, case)
            else:
                found = self._skip(scenario, case, session)
            judged: list[Judgement] = [found] if found is not None else []
            checked = found is None and scenario.check is not None and not case.acts
            if found is None and scenario.check is not None and not case.acts:
                exchanges = over(scenario, session.trace, self._final)
                judged = CHECKS[scenario.check](exchanges, session.profile, case.level)
                if not judged and not (self._complete and exchanges):
                    judged = [Unjudged(TIME_RAN_OUT, error=True)]
            elif found is None:
                judged = [Unjudged(TIME_RAN_OUT, error=True)]
            self._settle(scenario, case, judged, judged=checked)
        self.plan.tell_the_rest()

    def _assemble(
        self, session: SenderSession, stop: Stop | None, started: datetime, begin: float
    ) -> Report:
        mark_superseded(session.trace, self.keys, self._final)
        ordered = sorted(session.trace, key=lambda each: (each.started, each.id))
        renamed = session.trace.number(each.id for each in ordered)
        results = [
            replace(each, exchanges=tuple(renamed[old] for old in each.exchanges))
            for each in self.plan.results()
        ]
        scheme = session.profile.scheme
        report = Report(
            side="sender",
            target=self.options.api_url,
            dialect=self.options.dialect.name,
            spoken=scheme.signer.dialect.name if scheme is not None else None,
            seed=self.options.seed,
            verdict=verdict((each.outcome for each in results), complete=self._complete),
            started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            seconds=self._clock.monotonic() - begin,
            results=tuple(results),
            cause=self._hidden(self._cause(session, stop, results)),
            language=self.language,
            trace=session.trace,
        )
        conclude(
            report,
            self.plan.chosen,
            as_data(session.profile),
            epoch=started.timestamp() - begin,
            complete=self._complete,
            strict=self.options.strict,
        )
        session.trace.mask(spellings(self.options), bytes(self.options.secret))
        return report

    def _cause(self, session: SenderSession, stop: Stop | None, results: Iterable[Result]) -> Text:
        """What is to be said beside the verdict: why it is no better, or what it leaves open."""
        if stop is not None:
            return stop.reason
        if not self._complete:
            return TIME_RAN_OUT
        if not session.profile.emits:
            return _NOT_EMITTED
        if not {each.outcome for each in results} & {Outcome.PASS, Outcome.FAIL}:
            return NOTHING_PASSED
        return NO_TEXT


async def _together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Everything at once. Unlike `gather`, one that is broken off waits until all have come to their
    ends: they take their configurations away."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]


def _head_start(pairs: Sequence[Pair], profile: SenderProfile) -> float:
    """Seconds that a case with a crowd of messages has for itself: its first waits are short, and what
    others let the sender do meanwhile would be taken for a part of them."""
    if not any(case.sender_case.crowded for _, case in pairs):
        return 0.0
    return HEAD_START + min(LONGEST_START, sum(profile.wait(attempt) for attempt in (1, 2, 3)))


def _duration(pairs: Sequence[Pair], profile: SenderProfile) -> float:
    return max(duration(case, profile) for _, case in pairs)


def _served(options: SenderOptions) -> ssl.SSLContext | None:
    """What the mock receiver serves https with, if it does. Raises InputError."""
    if options.tls_cert is None or options.tls_key is None:
        return None
    return certificates.given(options.tls_cert, options.tls_key)


_NOT_EMITTED = Text(
    "Only what Test shows was judged: give --emit-url or --emit-command.",
    "只判定了測試所能顯示的部分：請提供 --emit-url 或 --emit-command。",
)
