"""One run against a live receiver: diagnosis, scenarios side by side, and the report.

A case that met a connection fault, a time-out or a "not now" while others ran beside it is run once
more by itself before it is judged: what another request did to the target is not its fault. One that
shows a fault while this process was held up is run again, as often as the time allows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from conformance.checks.receiver.case import judge
from conformance.checks.receiver.crash_suspects import named, suspects
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.receiver.recorded_profile import as_data
from conformance.checks.receiver.root_causes import past
from conformance.checks.receiver.whole_run import CHECKS
from conformance.checks.receiver.wording import RATE_LIMIT
from conformance.engine.metadata import (
    NO_FUZZ,
    NOTHING_PASSED,
    TIME_RAN_OUT,
    Key,
    conclude,
    mark_superseded,
)
from conformance.engine.plan import Listener, Plan
from conformance.engine.receiver.compose import ComposedRequest
from conformance.engine.receiver.fuzz_report import fuzzed
from conformance.engine.receiver.preflight import AFTER, diagnose, lives, look_after
from conformance.engine.receiver.results import Told, result_of, unchecked
from conformance.engine.receiver.session import Session
from conformance.engine.receiver.steps import CaseRun, is_busy
from conformance.engine.results import joined, own_fault
from conformance.engine.stalls import CHAIN, Stalls, is_spoilt, sound, spoilt
from conformance.engine.stop import Stop
from conformance.model.clock import Clock
from conformance.model.errors import HarnessError
from conformance.model.exchange import HELD_UP, Exchange, Fault, Role, Transport
from conformance.model.report import Report, Result
from conformance.model.rules import Judgement, Outcome, Unjudged, verdict
from conformance.model.text import NO_TEXT, Text
from conformance.options.receiver import Options, spellings
from conformance.options.secrets import is_telling
from conformance.protocol.signing import Scheme
from conformance.protocol.tampering import Signer
from conformance.scenario.receiver import Case, Scenario
from conformance.trace import Trace
from conformance.wire.client import Wire, tls_context

GRACE = CHAIN
"""Seconds past the deadline for which an answer is still waited for, to say how late it is: no stall explains
why it has not come by then."""

SHARE = 0.4
"""Of the time that is left: what a scenario of very many messages may take."""

FUZZ_SHARE = 0.9
"""Of the time that is left when the fuzz rules begin: what they may take."""

_LOG = logging.getLogger("hookproof")

Pair = tuple[Scenario, Case]


class ReceiverRun:
    """One run. `listener` is told each result as it comes."""

    def __init__(
        self,
        options: Options,
        listener: Listener = lambda result: None,
        clock: Clock | None = None,
        language: str = "en",
    ) -> None:
        self.options = options
        self.plan = Plan("receiver", options, CHECKS, (), listener)
        self._clock = clock or Clock()
        self.language = language
        self._tls = tls_context(options.ca, system=options.secure)
        self._final: dict[Key, list[Exchange]] = {}
        self._complete = False
        self._stalls = Stalls(self._clock)
        # Cases to run again, since this process was held up, and the seconds that each took.
        self._held_up: list[tuple[Pair, float]] = []
        self._pace = 0.0  # seconds that a request took while scenarios ran side by side
        self._until = 0.0
        self._gone = NO_TEXT  # why the target could not be asked to the end
        self._died = NO_TEXT  # of what, where no chosen rule tells that

    def listen(self, listener: Listener) -> None:
        """Tell `listener` each result as it comes, in place of the one before."""
        self.plan.listener = listener

    @property
    def keys(self) -> list[Key]:
        """Every (rule, case) that the run will judge, in the catalogue's order."""
        return self.plan.keys

    async def report(self) -> Report:
        """Judge the target; ends within the options' timeout and a little more."""
        started, begin = datetime.now(UTC), self._clock.monotonic()
        self._until = begin + self.options.timeout
        options = self.options
        scheme = Scheme(Signer(options.dialect, options.secret), None, NO_TEXT)
        profile = ReceiverProfile(
            url=options.url,
            asked=options.dialect,
            scheme=scheme,
            accepted=frozenset(options.dialect.success),
            deadline=options.dialect.deadline,
        )
        wire = Wire(
            self._clock,
            patience=options.dialect.deadline + GRACE,
            concurrency=options.concurrency,
            tls=self._tls,
            extra=options.headers,
        )
        async with self._stalls.watching(), wire:
            session = Session(options, wire, profile, self._clock, self._stalls)
            stop = await self._drive(session)
        self._judge_the_rest(session, stop)
        return self._assemble(session, stop, started, begin)

    async def _drive(self, session: Session) -> Stop | None:
        try:
            async with asyncio.timeout(self.options.timeout):
                stop = await self._diagnosis(session)
                if stop is None:
                    await self._scenarios(session)
                    session.revive()
                    await look_after(session)
                self._complete = True
                return stop
        except TimeoutError:
            return None

    async def _diagnosis(self, session: Session) -> Stop | None:
        try:
            return await diagnose(session)
        except Exception as fault:  # a fault of the suite's own is no verdict on the target
            _LOG.exception("the target could not be diagnosed")
            return Stop(own_fault(fault), False, ())

    async def _scenarios(self, session: Session) -> None:
        busy: list[ComposedRequest] = []
        ready = [
            (each, case)
            for each in self.plan.chosen
            if self._skip(each, session.profile) is None
            for case in each.cases
            if case.steps
        ]
        suspects: list[Pair] = []

        async def side_by_side(waits: bool) -> None:
            pairs = [it for it in ready if not it[0].alone and _waits(it[1]) is waits]
            settled = await asyncio.gather(*(self._case(session, *pair, busy) for pair in pairs))
            suspects.extend(pair for pair, done in zip(pairs, settled, strict=True) if not done)

        async with asyncio.TaskGroup() as group:
            # What waits by its nature asks next to nothing of the target meanwhile.
            group.create_task(side_by_side(waits=True))
            begin, before = self._clock.monotonic(), len(session.trace)
            await side_by_side(waits=False)
            self._pace = (self._clock.monotonic() - begin) / max(1, len(session.trace) - before)
            alone = [
                [pair for pair in ready if pair[0] is scenario]
                for scenario in self.plan.chosen
                if scenario.alone
            ]
            await self._one_by_one(session, alone, busy, doubtful=bool(suspects))
        if suspects:
            await session.wire.renew()
        await self._one_by_one(session, [[each] for each in suspects], busy, doubtful=True)
        await self._held_up_again(session, busy)
        await self._fuzz(session)

    async def _held_up_again(self, session: Session, busy: list[ComposedRequest]) -> None:
        """Run what was held up again, one by one, until it is not or the time is used up."""
        while self._held_up and not self._gone:
            pair, seconds = self._held_up.pop(0)
            if seconds < self._until - self._clock.monotonic():
                await self._one_by_one(session, [[pair]], busy, doubtful=False)

    async def _fuzz(self, session: Session) -> None:
        """The fuzz rules, one after the other, each within its share of the time that is left."""
        rules = [e for e in self.plan.chosen if e.fuzz and self._skip(e, session.profile) is None]
        gone = bool(self._gone)
        for place, scenario in enumerate(rules):
            begin, before = self._clock.monotonic(), len(session.trace)
            if gone:
                told = Told([Unjudged(self._gone or self._note_loss(session), error=True)])
            else:
                session.revive()
                told = await fuzzed(
                    session, scenario, FUZZ_SHARE * (self._until - begin) / (len(rules) - place)
                )
                gone = told.dead
            key = scenario.rule.id, scenario.cases[0].name
            self._final[key] = session.trace.exchanges[before:]
            seconds = self._clock.monotonic() - begin
            self._settle(
                session, scenario, scenario.cases[0], told.found, seconds=seconds, told=told
            )

    async def _one_by_one(
        self,
        session: Session,
        groups: Sequence[Sequence[Pair]],
        busy: list[ComposedRequest],
        *,
        doubtful: bool,
    ) -> None:
        """Run each group of cases by itself as long as the target lives; `doubtful` when it may
        not."""
        for place, group in enumerate(groups):
            if doubtful:
                session.revive()
            if doubtful and not await lives(session):
                self._gone = RATE_LIMIT if _limited(session.trace) else self._note_loss(session)
                for pair in (pair for left in groups[place:] for pair in left):
                    self._settle(session, *pair, [Unjudged(self._gone, error=True)])
                return
            if self._takes_too_long(session, group):
                continue
            await asyncio.gather(*(self._case(session, *it, busy, again=True) for it in group))
            met = [e for rule, case in group for e in self._final[rule.rule.id, case.name]]
            doubtful = any(is_busy(each) or each.fault is Fault.REFUSED for each in met)

    def _note_loss(self, session: Session) -> Text:
        """What is said of all that a dead target left unjudged: where to read of it, or, when no such
        rule is in the run, of what it died."""
        if any(each.rule.id == AFTER.rule for each in self.plan.chosen):
            return _NOT_JUDGED + _GONE + _SEE_ALIVE
        self._died = self._died or _GONE + named(suspects(session.trace, self.options.url))
        return _NOT_JUDGED + self._died

    def _takes_too_long(self, session: Session, group: Sequence[Pair]) -> bool:
        """Whether the group would use up the run's time at the target's pace; then it is skipped."""
        sends = [step.send for _, case in group for step in case.steps if step.send is not None]
        seconds = sum(send.last or send.messages for send in sends) * self._pace
        if seconds <= SHARE * (self._until - self._clock.monotonic()):
            return False
        reason = Text(
            f"would take about {seconds:.0f} s at the target's pace: give a longer --timeout",
            f"依目標的速度約需 {seconds:.0f} 秒：請加長 --timeout",
        )
        for pair in group:
            self._final[pair[0].rule.id, pair[1].name] = []
            self._settle(session, *pair, [Unjudged(reason)])
        return True

    async def _case(
        self,
        session: Session,
        scenario: Scenario,
        case: Case,
        busy: list[ComposedRequest],
        *,
        again: bool = False,
    ) -> bool:
        """Run and judge one case; False, and no result, when it should run `again` by itself. What was
        held up then is an error, until it is run once more."""
        begin = self._clock.monotonic()
        rule = scenario.rule.id
        found: list[Judgement]
        judged, lost = False, 0.0
        try:
            exchanges = await CaseRun(session, rule, case, busy).run()
            lost = self._stalls.worst(begin)
            found = judge(case, exchanges, session.profile)
            judged = True
        except HarnessError as fault:
            exchanges, found = [], [Unjudged(Text(str(fault), str(fault)), error=True)]
        except Exception as fault:  # a fault of the suite's own is no verdict on the target
            _LOG.exception("%s could not be judged", rule)
            exchanges, found = [], [Unjudged(own_fault(fault), error=True)]
        if found and not again and any(is_busy(e) or e.fault is Fault.REFUSED for e in exchanges):
            return False
        if found and not again and any(e.within for step in case.steps for e in step.expects):
            return False
        left = sound(found, lost)
        unmeasured = any(each.detail == HELD_UP for each in exchanges)
        stalled = is_spoilt(found, lost) or (unmeasured and not left)
        if stalled and not again:
            return False
        judged = judged and not stalled
        found = [*(spoilt(found) if stalled else left)]
        found = past(rule, case is scenario.cases[0], found, exchanges, session.profile)
        self._final[rule, case.name] = exchanges
        seconds = self._clock.monotonic() - begin
        if stalled:
            self._held_up.append(((scenario, case), seconds))
        self._settle(
            session, scenario, case, found, exchanges, seconds, tell=not stalled, judged=judged
        )
        return True

    def _settle(
        self,
        session: Session,
        scenario: Scenario,
        case: Case,
        found: Sequence[Judgement],
        exchanges: Sequence[Exchange] = (),
        seconds: float = 0.0,
        *,
        told: Told | None = None,
        tell: bool = True,
        judged: bool = False,
    ) -> None:
        result = result_of(
            scenario,
            case,
            found,
            exchanges,
            session.profile,
            self.options.headers,
            seconds=seconds,
            strict=self.options.strict,
            told=told,
        )
        self.plan.settle(replace(result, judged=judged), tell=tell)

    def _skip(self, scenario: Scenario, profile: ReceiverProfile) -> Unjudged | None:
        """Why the scenario cannot be seen from outside with what the user gave; None when it can."""
        options = self.options
        if scenario.fuzz and not options.fuzz:
            return Unjudged(NO_FUZZ)
        given = {
            "observer": profile.observed or profile.inferred is not None,
            "observer-url": profile.observed,
            "restart": options.restart_command is not None,
            "also-url": options.also_url is not None,
            "separator": profile.scheme.signer.dialect.separated,
            "signed-timestamp": profile.scheme.signer.dialect.signs_timestamp,
        }
        blind = profile.blind is not None
        missing = [
            NEEDS[need]
            for need in scenario.needs
            if not given[need] and not (blind and need.startswith("observer"))
        ]
        if missing:
            return Unjudged(joined(missing))
        if profile.blind is not None and any(
            need.startswith("observer") for need in scenario.needs
        ):
            return Unjudged(profile.blind, error=True)
        return None

    def _judge_the_rest(self, session: Session, stop: Stop | None) -> None:
        """The checks over many rules, and a reason for each case that has no result yet."""
        for scenario, case in self.plan.pending():
            found: Judgement | None
            if stop is not None:
                found = self.plan.stopped(stop, scenario, case)
            else:
                found = self._skip(scenario, session.profile)
            if found is None and self._gone and "*" not in scenario.over:
                found = Unjudged(self._gone, error=True)  # it would look at some cases only
            if found is None and scenario.check is not None:
                over = self._over(scenario, session)
                judged = CHECKS[scenario.check](over, session.profile, scenario.rule.level)
                if not judged and not (self._complete and over):
                    judged = [Unjudged(TIME_RAN_OUT, error=True)]
                self._settle(session, scenario, case, judged, over if judged else (), judged=True)
                continue
            self._settle(session, scenario, case, [found or Unjudged(TIME_RAN_OUT, error=True)])
        self.plan.tell_the_rest()

    def _over(self, scenario: Scenario, session: Session) -> list[Exchange]:
        """The exchanges on which a check looks: of the whole run, or of the cases as judged."""
        if "*" in scenario.over:
            return self._in_order(session.trace)
        return self._in_order(
            exchange
            for (rule, _), exchanges in self._final.items()
            if any(fnmatchcase(rule, pattern) for pattern in scenario.over)
            for exchange in exchanges
        )

    def _in_order(self, exchanges: Iterable[Exchange]) -> list[Exchange]:
        """First what was sent before the suite, then the cases as in the catalogue, then what was
        run once more: never the order in which cases happened to end."""
        places = {key: place for place, key in enumerate(self.keys)}
        # A case lists its exchanges as it sent them; ids are given as they ended.
        judged = {each.id: n for final in self._final.values() for n, each in enumerate(final)}

        def place(each: Exchange) -> tuple[bool, bool, int, int]:
            case = places.get((each.rule or "", each.case), -1)
            again = case >= 0 and each.id not in judged
            return again, each.case == "after", case, judged.get(each.id, each.id)

        return sorted(exchanges, key=place)

    def _assemble(
        self, session: Session, stop: Stop | None, started: datetime, begin: float
    ) -> Report:
        trace = session.trace
        mark_superseded(trace, self.keys, self._final)
        renamed = trace.number(each.id for each in self._in_order(trace))
        results = [
            replace(each, exchanges=tuple(renamed[old] for old in each.exchanges))
            for each in self.plan.results()
        ]
        profile = session.profile
        understood = bool(profile.scheme.said) or any(
            each.role is Role.PLAIN and each.status in profile.accepted for each in trace
        )
        report = Report(
            side="receiver",
            target=self.options.url,
            dialect=self.options.dialect.name,
            spoken=profile.scheme.signer.dialect.name if understood else None,
            seed=self.options.seed,
            verdict=verdict((each.outcome for each in results), complete=self._complete),
            started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            seconds=self._clock.monotonic() - begin,
            results=tuple(results),
            cause=self._cause(profile, stop, results),
            language=self.language,
            trace=trace,
        )
        conclude(
            report,
            self.plan.chosen,
            as_data(profile),
            epoch=started.timestamp() - begin,
            complete=self._complete,
            strict=self.options.strict,
            headers=self.options.headers,
        )
        # Only now: what is told of the run may hold a secret too.
        secret = bytes(profile.scheme.signer.secret)
        trace.mask(spellings(self.options) | ({secret} if is_telling(secret) else set()), secret)
        return report

    def _cause(
        self, profile: ReceiverProfile, stop: Stop | None, results: Sequence[Result]
    ) -> Text:
        """What is to be said beside the verdict: why it is no better, or what it leaves open."""
        seen = profile.observed or profile.inferred is not None
        if stop is not None:
            return stop.reason
        if not self._complete:
            return TIME_RAN_OUT
        if unchecked(results):
            return _UNCHECKED
        if self._died:
            return _NO_MORE + self._died + Text(".", "。")
        if profile.blind is not None:
            return profile.blind
        if not seen and any("observer" in each.needs for each in self.plan.chosen):
            return _NOT_OBSERVED
        if not {each.outcome for each in results} & {Outcome.PASS, Outcome.FAIL}:
            return self._gone or NOTHING_PASSED
        return NO_TEXT


def _limited(trace: Trace) -> bool:
    """Whether the target's last word was that it is asked too often."""
    return len(trace) > 0 and trace.exchanges[-1].status == 429


def _waits(case: Case) -> bool:
    sends = [step.send for step in case.steps if step.send is not None]
    return any(send.transport in (Transport.SLOW, Transport.EXPECT) for send in sends)


NEEDS = {
    "observer": Text(
        "needs --observer-url, or answers that tell a repeat from a first message",
        "需要 --observer-url，或能區分重複與首次訊息的響應",
    ),
    "observer-url": Text("needs --observer-url", "需要 --observer-url"),
    "restart": Text("needs --restart-command", "需要 --restart-command"),
    "also-url": Text("needs --also-url", "需要 --also-url"),
    "signed-timestamp": Text(
        "does not hold in a dialect that does not sign the timestamp",
        "不簽時間戳的方言不適用",
    ),
    "separator": Text(
        "does not hold in a dialect without a separator between timestamp and body",
        "時間戳與請求體之間沒有分隔符的方言不適用",
    ),
}
_NOT_OBSERVED = Text(
    "Duplicates and lost messages were not judged: give --observer-url.",
    "未判定重複與遺失的訊息：請提供 --observer-url。",
)
_UNCHECKED = Text(
    "Every forged request was accepted: the signature is not checked at all. Mend that first.",
    "所有偽造的請求都被接受：完全沒有驗證簽名。請先修正這一點。",
)
_NOT_JUDGED = Text("not judged: ", "未判定：")
_NO_MORE = Text("No more could be judged: ", "無法繼續判定：")
_GONE = Text("the target no longer accepts plain valid messages", "目標已不再接受普通有效訊息")
_SEE_ALIVE = Text(f" (see {AFTER.rule})", f"（見 {AFTER.rule}）")
