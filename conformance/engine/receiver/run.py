"""One run against a live receiver: preflight, scenarios in parallel, and the report.

A case that met a connection fault, a time-out or a "not now" while others ran is run again alone before it
is judged: it is not to blame for what another request did to the target. A case that fails while this
process was stalled is run again, as often as the time allows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from conformance.checks.receiver.case import judge
from conformance.checks.receiver.crash_suspects import describe_suspects, suspects
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.receiver.recorded_profile import as_data
from conformance.checks.receiver.root_causes import without_root_cause
from conformance.checks.receiver.wording import RATE_LIMIT
from conformance.checks.registry import CHECKS
from conformance.engine.metadata import (
    NOTHING_PASSED,
    Key,
    add_metadata,
    mark_superseded,
)
from conformance.engine.plan import Listener, Plan
from conformance.engine.receiver.compose import ComposedRequest
from conformance.engine.receiver.fuzz_report import judge_by_fuzzing
from conformance.engine.receiver.preconditions import skip_reason
from conformance.engine.receiver.preflight import AFTER, is_alive, run_preflight, send_final_message
from conformance.engine.receiver.results import FuzzJudgement, accepts_forgeries, result_of
from conformance.engine.receiver.session import Session
from conformance.engine.receiver.steps import CaseRun, is_busy
from conformance.engine.results import TIME_RAN_OUT, judge_as_far_as_run, own_fault
from conformance.engine.stalls import CHAIN, Stalls, as_stalled, drop_unreliable, is_stalled
from conformance.engine.stop import Stop
from conformance.model.clock import Clock
from conformance.model.errors import HarnessError
from conformance.model.exchange import HELD_UP, Exchange, Fault, Role, Transport
from conformance.model.language import ENGLISH, Language
from conformance.model.report import Report, Result
from conformance.model.rules import Finding, Judgement, Outcome, Unjudged, all_held, verdict
from conformance.model.sentence import EMPTY, Sentence
from conformance.options.receiver import Options, spellings
from conformance.options.secrets import is_distinctive
from conformance.protocol.schemes import Scheme
from conformance.protocol.signing import Signer
from conformance.scenario.records import Case, Scenario
from conformance.trace import Trace
from conformance.wire.client import Wire, tls_context

GRACE = CHAIN
"""Seconds past the deadline for which the run still waits for an answer, to report how late it is. No
stall explains an answer that has not come by then."""

SHARE = 0.4
"""The share of the remaining time that a scenario with very many messages may take."""

FUZZ_SHARE = 0.9
"""The share of the remaining time that all fuzz rules together may take."""

_LOG = logging.getLogger("hookproof")

Pair = tuple[Scenario, Case]


class ReceiverRun:
    """One run. `listener` is called with each result as soon as it is settled."""

    def __init__(
        self,
        options: Options,
        listener: Listener = lambda result: None,
        clock: Clock | None = None,
        language: Language = ENGLISH,
    ) -> None:
        self.options = options
        self.plan = Plan("receiver", options, listener)
        self._clock = clock or Clock()
        self.language = language
        self._tls = tls_context(options.ca, system=options.secure)
        self._final: dict[Key, list[Exchange]] = {}
        self._complete = False
        self._stalls = Stalls(self._clock)
        # Cases to run again because this process was stalled, and the seconds that each took.
        self._stalled: list[tuple[Pair, float]] = []
        self._pace = 0.0  # seconds that a request took while scenarios ran in parallel
        self._until = 0.0
        self._gone = EMPTY  # why nothing more could be sent to the target
        self._death = EMPTY  # what the target died of, if no chosen rule reports it

    def listen(self, listener: Listener) -> None:
        """Call `listener`, in place of the previous one, with each result as soon as it is settled."""
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
        scheme = Scheme(Signer(options.dialect, options.secret), None, EMPTY)
        profile = ReceiverProfile(
            url=options.url,
            requested=options.dialect,
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
                    await send_final_message(session)
                self._complete = True
                return stop
        except TimeoutError:
            return None

    async def _diagnosis(self, session: Session) -> Stop | None:
        try:
            return await run_preflight(session)
        except Exception as fault:  # a fault of the suite itself is no verdict on the target
            _LOG.exception("the target could not be probed: the preflight failed")
            return Stop("own-fault", own_fault(fault), ())

    async def _scenarios(self, session: Session) -> None:
        busy: list[ComposedRequest] = []
        ready = [
            (scenario, case)
            for scenario in self.plan.chosen
            if skip_reason(scenario, self.options, session.profile) is None
            for case in scenario.cases
            if case.steps
        ]
        parallel = [pair for pair in ready if not pair[0].alone]

        suspects: list[Pair] = []

        async def run_in_parallel(pairs: Sequence[Pair]) -> None:
            settled = await asyncio.gather(*(self._case(session, *pair, busy) for pair in pairs))
            suspects.extend(pair for pair, done in zip(pairs, settled, strict=True) if not done)

        async with asyncio.TaskGroup() as group:
            # Cases that mostly wait hardly load the target meanwhile.
            group.create_task(run_in_parallel([pair for pair in parallel if _waits(pair[1])]))
            begin, before = self._clock.monotonic(), len(session.trace)
            await run_in_parallel([pair for pair in parallel if not _waits(pair[1])])
            self._pace = (self._clock.monotonic() - begin) / max(1, len(session.trace) - before)
            alone = [
                [pair for pair in ready if pair[0] is scenario]
                for scenario in self.plan.chosen
                if scenario.alone
            ]
            await self._one_by_one(session, alone, busy, doubtful=bool(suspects))
        if suspects:
            await session.wire.renew()
        await self._one_by_one(session, [[pair] for pair in suspects], busy, doubtful=True)
        await self._repeat_stalled(session, busy)
        await self._fuzz(session)

    async def _repeat_stalled(self, session: Session, busy: list[ComposedRequest]) -> None:
        """Run the stalled cases again, one by one, until none is left or the time is used up."""
        while self._stalled and not self._gone:
            pair, seconds = self._stalled.pop(0)
            if seconds < self._until - self._clock.monotonic():
                await self._one_by_one(session, [[pair]], busy, doubtful=False)

    async def _fuzz(self, session: Session) -> None:
        """Judge the fuzz rules one after the other, each within its share of the remaining time."""
        rules = [
            scenario
            for scenario in self.plan.chosen
            if scenario.fuzz and skip_reason(scenario, self.options, session.profile) is None
        ]
        gone = bool(self._gone)
        for index, scenario in enumerate(rules):
            begin, before = self._clock.monotonic(), len(session.trace)
            if gone:
                reason = self._gone or self._note_loss(session)
                fuzz = FuzzJudgement([Unjudged("target-gone", reason, error=True)])
            else:
                session.revive()
                share = FUZZ_SHARE * (self._until - begin) / (len(rules) - index)
                fuzz = await judge_by_fuzzing(session, scenario, share)
                gone = fuzz.target_down
            case = scenario.cases[0]
            self._final[scenario.rule.id, case.name] = session.trace.exchanges[before:]
            seconds = self._clock.monotonic() - begin
            self._settle(session, scenario, case, fuzz.judgements, seconds=seconds, fuzz=fuzz)

    async def _one_by_one(
        self,
        session: Session,
        groups: Sequence[Sequence[Pair]],
        busy: list[ComposedRequest],
        *,
        doubtful: bool,
    ) -> None:
        """Run one group of cases after the other as long as the target lives; `doubtful` says that it may
        be dead already."""
        for index, group in enumerate(groups):
            if doubtful:
                session.revive()
            if doubtful and not await is_alive(session):
                self._gone = RATE_LIMIT if _limited(session.trace) else self._note_loss(session)
                for pair in (pair for remaining in groups[index:] for pair in remaining):
                    self._settle(session, *pair, [Unjudged("target-gone", self._gone, error=True)])
                return
            if self._takes_too_long(session, group):
                continue
            await asyncio.gather(*(self._case(session, *pair, busy, last=True) for pair in group))
            exchanges = [e for rule, case in group for e in self._final[rule.rule.id, case.name]]
            doubtful = any(is_busy(each) or each.fault is Fault.REFUSED for each in exchanges)

    def _note_loss(self, session: Session) -> Sentence:
        """The reason reported for everything that a dead target left unjudged. It refers to the rule that
        reports the death; when that rule is not in the run, it names what the target died of."""
        if any(scenario.rule.id == AFTER.rule for scenario in self.plan.chosen):
            return _NOT_JUDGED + _GONE + _SEE_ALIVE
        self._death = self._death or _GONE + describe_suspects(
            suspects(session.trace, self.options.url)
        )
        return _NOT_JUDGED + self._death

    def _takes_too_long(self, session: Session, group: Sequence[Pair]) -> bool:
        """Whether the group would take too much of the remaining time at the target's pace. If so, it is
        settled as skipped."""
        sends = [step.send for _, case in group for step in case.steps if step.send is not None]
        seconds = sum(send.last or send.messages for send in sends) * self._pace
        if seconds <= SHARE * (self._until - self._clock.monotonic()):
            return False
        reason = Sentence(
            "would take about {seconds:.0f} s at the target's pace: give a longer --timeout",
            seconds=seconds,
        )
        for pair in group:
            self._final[pair[0].rule.id, pair[1].name] = []
            self._settle(session, *pair, [Unjudged("too-little-time", reason)])
        return True

    async def _case(
        self,
        session: Session,
        scenario: Scenario,
        case: Case,
        busy: list[ComposedRequest],
        *,
        last: bool = False,
    ) -> bool:
        """Run and judge one case. Returns False, and settles nothing, when it should run again alone; never
        so for the `last` time. A case that was stalled then is an error until it is run once more."""
        begin = self._clock.monotonic()
        rule = scenario.rule.id
        judgements: list[Judgement]
        judged, lost = False, 0.0
        try:
            exchanges = await CaseRun(session, rule, case, busy).run()
            lost = self._stalls.worst(begin)
            judgements = judge(case, exchanges, session.profile)
            judged = True
        except HarnessError as fault:
            exchanges, judgements = (
                [],
                [Unjudged("step-failed", fault.sentence, error=True)],
            )
        except Exception as fault:  # a fault of the suite itself is no verdict on the target
            _LOG.exception("%s could not be judged", rule)
            exchanges, judgements = [], [Unjudged("own-fault", own_fault(fault), error=True)]
        disturbed = any(is_busy(e) or e.fault is Fault.REFUSED for e in exchanges)
        timed = any(expect.within for step in case.steps for expect in step.expects)
        if not all_held(judgements) and not last and (disturbed or timed):
            return False
        reliable = drop_unreliable(judgements, lost)
        unmeasured = any(exchange.detail == HELD_UP for exchange in exchanges)
        found = any(isinstance(judgement, Finding) for judgement in reliable)
        stalled = is_stalled(judgements, lost) or (unmeasured and not found)
        if stalled and not last:
            return False
        judged = judged and not stalled
        first = case is scenario.cases[0]
        judgements = without_root_cause(
            rule,
            as_stalled(judgements) if stalled else reliable,
            exchanges,
            session.profile,
            first=first,
        )
        self._final[rule, case.name] = exchanges
        seconds = self._clock.monotonic() - begin
        if stalled:
            self._stalled.append(((scenario, case), seconds))
        self._settle(
            session,
            scenario,
            case,
            judgements,
            exchanges,
            seconds,
            provisional=stalled,
            judged=judged,
        )
        return True

    def _settle(  # noqa: PLR0913 - one CaseRecord will take their place
        self,
        session: Session,
        scenario: Scenario,
        case: Case,
        judgements: Sequence[Judgement],
        exchanges: Sequence[Exchange] = (),
        seconds: float = 0.0,
        *,
        fuzz: FuzzJudgement | None = None,
        provisional: bool = False,
        judged: bool = False,
    ) -> None:
        result = result_of(
            scenario,
            case,
            judgements,
            exchanges,
            session.profile,
            self.options.headers,
            seconds=seconds,
            strict=self.options.strict,
            fuzz=fuzz,
        )
        settle = self.plan.settle_provisionally if provisional else self.plan.settle
        settle(replace(result, judged=judged))

    def _judge_the_rest(self, session: Session, stop: Stop | None) -> None:
        """Judge the checks over many rules, and settle each remaining case with a reason."""
        for scenario, case in self.plan.pending():
            judgement: Judgement | None
            if stop is not None:
                judgement = self.plan.judgement_of_stop(stop, scenario, case)
            else:
                judgement = skip_reason(scenario, self.options, session.profile)
            if judgement is None and self._gone and "*" not in scenario.over:
                judgement = Unjudged(
                    "target-gone", self._gone, error=True
                )  # the check would see some cases only
            if judgement is None and scenario.check is not None:
                over = self._exchanges_over(scenario, session)
                judgements = judge_as_far_as_run(
                    CHECKS["receiver"][scenario.check].judge(
                        over, session.profile, scenario.rule.level
                    ),
                    complete=self._complete,
                )
                context = () if all_held(judgements) else over
                self._settle(session, scenario, case, judgements, context, judged=True)
                continue
            judgement = judgement or Unjudged("time-ran-out", TIME_RAN_OUT, error=True)
            self._settle(session, scenario, case, [judgement])
        self.plan.settle_provisional()

    def _exchanges_over(self, scenario: Scenario, session: Session) -> list[Exchange]:
        """The exchanges that a check examines: of the whole run, or the final ones of the cases."""
        if "*" in scenario.over:
            return self._in_order(session.trace)
        return self._in_order(
            exchange
            for (rule, _), exchanges in self._final.items()
            if any(fnmatchcase(rule, pattern) for pattern in scenario.over)
            for exchange in exchanges
        )

    def _in_order(self, exchanges: Iterable[Exchange]) -> list[Exchange]:
        """The exchanges before the suite, then those of the cases in the catalogue's order, then those of
        superseded attempts. Never in the order in which cases happened to end."""
        positions = {key: position for position, key in enumerate(self.keys)}
        # A case lists its exchanges as it sent them; ids are assigned as they ended.
        final = {each.id: n for of_case in self._final.values() for n, each in enumerate(of_case)}

        def position(exchange: Exchange) -> tuple[bool, bool, int, int]:
            case = positions.get((exchange.rule or "", exchange.case), -1)
            superseded = case >= 0 and exchange.id not in final
            after = exchange.case == "after"
            return superseded, after, case, final.get(exchange.id, exchange.id)

        return sorted(exchanges, key=position)

    def _assemble(
        self, session: Session, stop: Stop | None, started: datetime, begin: float
    ) -> Report:
        trace = session.trace
        mark_superseded(trace, self.keys, self._final)
        new_ids = trace.number(exchange.id for exchange in self._in_order(trace))
        results = [
            replace(result, exchanges=tuple(new_ids[old] for old in result.exchanges))
            for result in self.plan.results()
        ]
        profile = session.profile
        understood = bool(profile.scheme.description) or any(
            each.role is Role.PLAIN and each.status in profile.accepted for each in trace
        )
        report = Report(
            side="receiver",
            target=self.options.url,
            dialect=self.options.dialect.name,
            spoken=profile.scheme.signer.dialect.name if understood else None,
            seed=self.options.seed,
            verdict=verdict((result.outcome for result in results), complete=self._complete),
            started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            seconds=self._clock.monotonic() - begin,
            results=tuple(results),
            cause=self._cause(profile, stop, results),
            language=self.language,
            trace=trace,
        )
        add_metadata(
            report,
            self.plan.chosen,
            as_data(profile),
            epoch=started.timestamp() - begin,
            complete=self._complete,
            strict=self.options.strict,
            headers=self.options.headers,
        )
        # Only now: the metadata may contain a secret too.
        secret = bytes(profile.scheme.signer.secret)
        trace.mask(
            spellings(self.options) | ({secret} if is_distinctive(secret) else set()), secret
        )
        return report

    def _cause(
        self, profile: ReceiverProfile, stop: Stop | None, results: Sequence[Result]
    ) -> Sentence:
        """The statement beside the verdict: why it is no better, or what it leaves open."""
        observed = profile.observed or profile.inferred is not None
        if stop is not None:
            return stop.reason
        if not self._complete:
            return TIME_RAN_OUT
        if accepts_forgeries(results):
            return _ACCEPTS_FORGERIES
        if self._death:
            return _NO_MORE + self._death + Sentence(".")
        if profile.blind is not None:
            return profile.blind
        if not observed and any("observer" in scenario.needs for scenario in self.plan.chosen):
            return _NOT_OBSERVED
        if not {result.outcome for result in results} & {Outcome.PASS, Outcome.FAIL}:
            return self._gone or NOTHING_PASSED
        return EMPTY


def _limited(trace: Trace) -> bool:
    """Whether the target's last answer was 429."""
    return len(trace) > 0 and trace.exchanges[-1].status == 429


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
_SEE_ALIVE = Sentence(" (see {rule})", rule=str(AFTER.rule))
