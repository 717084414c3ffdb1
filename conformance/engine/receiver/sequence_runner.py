"""Runs fuzz sequences on the target as steps of scenarios, and judges them by the checks of scenarios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from conformance.checks.receiver.case import count, judge
from conformance.engine.exchanges import Place
from conformance.engine.receiver.preflight import is_alive
from conformance.engine.receiver.session import EFFECT_SECONDS, Session
from conformance.engine.receiver.steps import CaseRun
from conformance.fuzz.campaign.model import Action, Actions, Model, ScenarioSteps, Words
from conformance.fuzz.campaign.outcomes import Aborted, ExampleResult, Failure, TargetDown
from conformance.model.exchange import Exchange, Fault, Role
from conformance.model.rules import Finding, Judgement, Level, Unjudged, gravest
from conformance.model.sentence import Sentence
from conformance.scenario.receiver import Expect, Step, parse_step
from conformance.scenario.records import Case, Scenario

MOST_RECORDED = 3000
"""Exchanges of all sequences that go into the trace, besides those that show a failure."""
LEAST_WAIT, SLACK = 0.1, 5.0
"""A first look waits for an effect for at least LEAST_WAIT seconds, and for SLACK times as long as the
slowest effect so far took. A failure is reported only after the full wait of the rules."""


@dataclass(frozen=True, slots=True)
class SequenceEvidence:
    """A failing sequence, with its steps as a scenario file has them, and the ids of its exchanges."""

    actions: Actions
    steps: tuple[Words, ...]
    exchanges: tuple[int, ...]
    level: Level
    message: Sentence


class SequenceRunner:
    """Runs sequences for one rule, one at a time: `begin`, `act` for each action, `settle`. A failure that
    is `known` is reported only when the sequence shows no other."""

    def __init__(
        self, session: Session, scenario: Scenario, known: Callable[[Failure], bool]
    ) -> None:
        self._session, self._known = session, known
        self._rule = scenario.rule
        self._slowest = 0.0
        self._start = len(session.trace)
        self._record_all = False
        self.begin()

    def begin(self) -> None:
        """Start a new sequence."""
        self._case = CaseRun(self._session, self._rule.id, Case(None, self._rule.level, ()))
        self.model = Model()
        self._actions: list[Action] = []
        self._count = 0
        self._exchanges: list[Exchange] = []

    async def act(self, action: Action) -> ExampleResult:
        """Carry out one action. Returns TargetDown when the target died of it, else None."""
        steps = self.model.steps(action)
        exchanges: list[Exchange] = []
        self._limit_recording()
        try:
            for words in steps:
                step = replace(parse_step(words, self._rule.level), expects=())
                exchanges += await self._case.step(self._count, step)
                self._count += 1
        finally:
            self._session.recording = True
        self._actions.append(action)
        self._exchanges += exchanges
        accepted = any(each.status in self._session.profile.accepted for each in exchanges)
        self.model.note(action, steps, accepted=accepted)
        silent = [e for e in exchanges if e.answer is None and e.fault is not Fault.GIVEN_UP]
        if silent and not await is_alive(self._session):
            return TargetDown(
                self._evidence(self.model.scenario_steps(), silent, Level.MUST, _NO_ANSWER)
            )
        return None

    async def settle(self) -> ExampleResult:
        """The outcome of the sequence so far, after a short wait for its effects."""
        return await self._outcome(self.model.scenario_steps(), self._short_wait)

    async def run(self, actions: Actions, *, patient: bool) -> ExampleResult:
        """Run a whole sequence by itself. With `patient`, waits for effects as long as rules do, and
        records every exchange in the trace."""
        self.begin()
        self._record_all = patient
        try:
            for action in actions:
                outcome = await self.act(action)
                if outcome is not None:
                    return outcome
            seconds = EFFECT_SECONDS if patient else self._short_wait
            return await self._outcome(self.model.scenario_steps(), seconds)
        finally:
            self._record_all = False

    @property
    def _short_wait(self) -> float:
        """Seconds in which an effect should show, judged by earlier ones."""
        return min(EFFECT_SECONDS, max(LEAST_WAIT, SLACK * self._slowest))

    def _limit_recording(self) -> None:
        trace = self._session.trace
        self._session.recording = self._record_all or len(trace) - self._start < MOST_RECORDED

    async def _outcome(self, sequence: ScenarioSteps, seconds: float) -> ExampleResult:
        steps = [parse_step(words, self._rule.level) for words in sequence.steps]
        exchanges = list(self._exchanges)
        if self._session.profile.observed:
            observed = await self._observe(steps, seconds)
            if any(map(self._is_refused_control, observed)) and not await is_alive(self._session):
                return TargetDown(self._evidence(sequence, exchanges, Level.MUST, _NO_ANSWER))
            exchanges += observed
        failures = []
        for index, step in enumerate(steps):
            for expect in step.expects:
                judgement = self._judge(steps, index, expect, exchanges)
                if isinstance(judgement, Unjudged) and judgement.error:
                    return Aborted(judgement)
                if isinstance(judgement, Finding):
                    what = _symptom(expect, index, exchanges)
                    evidence = self._evidence(
                        sequence, exchanges, judgement.level, judgement.message
                    )
                    failures.append(
                        Failure(what, sequence.kinds[index], what, len(steps), evidence)
                    )
        new = (failure for failure in failures if not self._known(failure))
        return next(new, failures[0] if failures else None)

    def _judge(
        self, steps: Sequence[Step], index: int, expect: Expect, exchanges: Sequence[Exchange]
    ) -> Judgement:
        """Judges one expectation of one step by itself."""
        bare = [replace(step, expects=()) for step in steps]
        bare[index] = replace(steps[index], expects=(expect,))
        case = Case(None, self._rule.level, tuple(bare))
        return gravest(judge(case, exchanges, self._session.profile))

    async def _observe(self, steps: Sequence[Step], seconds: float) -> list[Exchange]:
        """The observer's answers about every message whose effects are expected, once a later message has
        shown its own effect. They are exchanges of the steps that expect the effects."""
        session, place = self._session, Place(self._rule.id)
        expected: list[tuple[int, str, int]] = []
        for index, step in enumerate(steps):
            counts = [each.processed for each in step.expects if each.processed is not None]
            if counts and step.send is not None:
                requests = self._case.requests(step.send.repeat_of or step.send.name or "")
                expected += [(index, each.msg_id, int(counts[0])) for each in requests[:1]]
        self._limit_recording()
        try:
            begin = session.clock.monotonic()
            later = await session.plain(Role.CONTROL, place)
            own = await session.effects([str(later.msg_id)], 1, place)
            good = await session.effects([i for _, i, n in expected if n], 1, place, seconds)
            bad = await session.effects([i for _, i, n in expected if not n], 0, place)
        finally:
            session.recording = True
        if all(count(exchange) for exchange in good):
            self._slowest = max(self._slowest, session.clock.monotonic() - begin)
        by_id = {exchange.msg_id: exchange for exchange in (*good, *bad)}
        return [
            replace(exchange, step=index)
            for index, msg_id, _ in expected
            for exchange in (later, *own, by_id[msg_id])
        ]

    def _is_refused_control(self, exchange: Exchange) -> bool:
        accepted = self._session.profile.accepted
        return exchange.role is Role.CONTROL and exchange.status not in accepted

    def _evidence(
        self,
        sequence: ScenarioSteps,
        exchanges: Sequence[Exchange],
        level: Level,
        message: Sentence,
    ) -> SequenceEvidence:
        ids = dict.fromkeys(each.id for each in exchanges if each.id and each.role is Role.PROBE)
        return SequenceEvidence(
            tuple(self._actions), tuple(sequence.steps), tuple(ids), level, message
        )


def _symptom(expect: Expect, index: int, exchanges: Sequence[Exchange]) -> str:
    """What tells failures apart: the statuses, or whether there are too few or too many effects."""
    of_step = [exchange for exchange in exchanges if exchange.step == index]
    if expect.processed is None:
        probes = [exchange for exchange in of_step if exchange.role is Role.PROBE]
        return " ".join(sorted({str(each.status or each.fault) for each in probes}))
    counts = [count(exchange) for exchange in of_step if exchange.role is Role.OBSERVE]
    effects = counts[-1] if counts else None
    if effects is None:
        return "effects"
    return "lost" if effects < int(expect.processed) else "processed too often"


_NO_ANSWER = Sentence("the target stopped answering")
