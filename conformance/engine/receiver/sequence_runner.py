"""Runs fuzz sequences on the target as steps of scenarios, and judges them by the checks of scenarios."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conformance.checks.receiver.case import count, judge
from conformance.engine.exchanges import Place
from conformance.engine.receiver.preflight import is_alive
from conformance.engine.receiver.session import EFFECT_SECONDS, Session
from conformance.engine.receiver.steps import CaseRun
from conformance.fuzz.campaign.model import Action, Actions, Model, Words, one_by_one
from conformance.fuzz.campaign.outcomes import Aborted, ExampleResult, Failure, TargetDown
from conformance.model.exchange import Exchange, Fault, Role
from conformance.model.rules import Finding, Judgement, Level, Unjudged, gravest
from conformance.model.sentence import Sentence
from conformance.scenario.receiver import Expect, Step, parse_step
from conformance.scenario.records import Case, Scenario

if TYPE_CHECKING:
    from conformance.fuzz.campaign.campaign import Campaign

LIMITS = {"others": 2, "give-up": 4, "restart": 2}
"""How often a slow action is drawn before it is left out of further sequences."""
FINAL_SENDS = 3
"""How often, at the end, a message whose sender gave up is sent until it is accepted."""
CONFIRMATIONS = 3
"""How often a sequence is run again at most until it fails again."""
ACTION_SIZE = 10_000
"""The size of one action more, which is worse than any number of copies or of other messages."""
PASSING = ("unanswered", "unmeasured")
"""Codes of what leaves one sequence unjudged, and says nothing about the next."""
MOST_RECORDED = 3000
"""Exchanges of all sequences that go into the trace, besides those that show a failure."""
LEAST_WAIT, SLACK, REMEMBERED = 0.1, 5.0, 8
"""A first look waits for an effect for at least LEAST_WAIT seconds, and for SLACK times as long as the
slowest of the last effects took, those of REMEMBERED sequences: a moment in which everything was slow must
not slow down the rest. A failure is reported only after the full wait of the rules."""


@dataclass(frozen=True, slots=True)
class SequenceEvidence:
    """A failing sequence, with its steps as a scenario file has them, and the ids of its exchanges."""

    actions: Actions
    steps: tuple[Words, ...]
    exchanges: tuple[int, ...]
    level: Level
    message: Sentence


class SequenceRunner:
    """Runs sequences for one rule, one at a time."""

    def __init__(self, session: Session, scenario: Scenario) -> None:
        self._session = session
        self._rule = scenario.rule
        self._lags: deque[float] = deque(maxlen=REMEMBERED)
        self._start = len(session.trace)
        self._patient = False
        self._uses: Counter[str] = Counter()  # kind of action → how often it was drawn
        self._exhausted: set[str] = set()  # kinds that are not carried out any more
        self._passed: set[Actions] = set()  # while a failure is shrunk

    async def attempt(
        self, sequences: Sequence[Actions], campaign: Campaign
    ) -> tuple[int, ExampleResult]:
        """Run the only one of `sequences`, with a short wait for its effects. Returns 1 and its result: of
        several failures the first that the campaign seeks. While it is shrinking, a sequence that passed is
        not run again."""
        (drawn,) = sequences
        if not campaign.shrinking:
            self._passed.clear()
            self._exhausted = {kind for kind, limit in LIMITS.items() if self._uses[kind] >= limit}
            self._uses.update(action.kind for action in drawn)
        actions = tuple(action for action in drawn if action.kind not in self._exhausted)
        if not actions or actions in self._passed:
            return 1, None
        outcome = await self._run(actions, campaign.seeks)
        if isinstance(outcome, Unjudged):
            campaign.unjudged.append(outcome)
            return 1, None
        if outcome is None:
            self._passed.add(actions)
        return 1, outcome

    async def confirm(self, failure: Failure) -> Failure | None:
        """Run a failing sequence again, as long as it takes for its effects to show: first with every message
        sent by itself. Returns the failure with its new exchanges, or None when it does not fail in the
        same way."""
        actions: Actions = failure.evidence.actions
        self._patient = True
        try:
            for candidate in (one_by_one(actions), *[actions] * CONFIRMATIONS):
                outcome = await self._run(candidate, lambda again: again.what == failure.what)
                if isinstance(outcome, Failure) and outcome.what == failure.what:
                    return outcome
            return None
        finally:
            self._patient = False

    async def _run(
        self, actions: Actions, preferred: Callable[[Failure], bool]
    ) -> ExampleResult | Unjudged:
        """The result of a whole sequence: of several failures the first that is `preferred`. Unjudged when
        nothing failed, and an unanswered request may have."""
        self._case = CaseRun(self._session, self._rule.id, Case(None, self._rule.level, ()))
        self._model = Model()
        self._size = sum(ACTION_SIZE + action.copies + action.count for action in actions)
        self._actions: list[Action] = []
        self._count = 0
        self._exchanges: list[Exchange] = []
        for _ in range(1 + FINAL_SENDS):
            for action in actions:
                down = await self._act(action)
                if down is not None:
                    return down
            actions = tuple(Action("send", name) for name in self._model.unsure)
        return await self._outcome(preferred)

    async def _act(self, action: Action) -> TargetDown | None:
        """Carry out one action. Returns TargetDown when the target died of it."""
        steps = self._model.steps(action)
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
        self._model.note(action, steps, accepted=accepted)
        silent = [e for e in exchanges if e.answer is None and e.fault is not Fault.GIVEN_UP]
        if silent and not await is_alive(self._session):
            return self._target_down(silent)
        return None

    def _limit_recording(self) -> None:
        trace = self._session.trace
        self._session.recording = self._patient or len(trace) - self._start < MOST_RECORDED

    async def _outcome(self, preferred: Callable[[Failure], bool]) -> ExampleResult | Unjudged:
        sequence = self._model.scenario_steps()
        steps = [parse_step(words, self._rule.level) for words in sequence.steps]
        exchanges = list(self._exchanges)
        if self._session.profile.observed:
            observed = await self._observe(steps)
            if any(map(self._is_refused_control, observed)) and not await is_alive(self._session):
                return self._target_down(exchanges)
            exchanges += observed
        failures, unjudged = [], []
        for index, step in enumerate(steps):
            for expect in step.expects:
                judgement = self._judge(steps, index, expect, exchanges)
                if isinstance(judgement, Unjudged) and judgement.error:
                    unjudged.append(judgement)
                if isinstance(judgement, Finding):
                    what = _symptom(expect, index, exchanges)
                    evidence = self._evidence(exchanges, judgement.level, judgement.message)
                    failures.append(Failure(what, sequence.kinds[index], self._size, evidence))
        if failures:
            return next(filter(preferred, failures), failures[0])
        lasting = [each for each in unjudged if each.code not in PASSING]
        return Aborted(lasting[0]) if lasting else next(iter(unjudged), None)

    def _judge(
        self, steps: Sequence[Step], index: int, expect: Expect, exchanges: Sequence[Exchange]
    ) -> Judgement:
        """Judges one expectation of one step by itself."""
        bare = [replace(step, expects=()) for step in steps]
        bare[index] = replace(steps[index], expects=(expect,))
        case = Case(None, self._rule.level, tuple(bare))
        return gravest(judge(case, exchanges, self._session.profile))

    async def _observe(self, steps: Sequence[Step]) -> list[Exchange]:
        """The observer's answers about every message whose effects are expected, once a later message has
        shown its own effect. They are exchanges of the steps that expect the effects."""
        session, place = self._session, Place(self._rule.id)
        hasty = min(EFFECT_SECONDS, max(LEAST_WAIT, SLACK * max(self._lags, default=0.0)))
        seconds = EFFECT_SECONDS if self._patient else hasty
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
            self._lags.append(session.clock.monotonic() - begin)
        by_id = {exchange.msg_id: exchange for exchange in (*good, *bad)}
        return [
            replace(exchange, step=index)
            for index, msg_id, _ in expected
            for exchange in (later, *own, by_id[msg_id])
        ]

    def _is_refused_control(self, exchange: Exchange) -> bool:
        accepted = self._session.profile.accepted
        return exchange.role is Role.CONTROL and exchange.status not in accepted

    def _target_down(self, exchanges: Sequence[Exchange]) -> TargetDown:
        return TargetDown(self._evidence(exchanges, Level.MUST, _NO_ANSWER))

    def _evidence(
        self, exchanges: Sequence[Exchange], level: Level, message: Sentence
    ) -> SequenceEvidence:
        steps = tuple(self._model.scenario_steps().steps)
        ids = dict.fromkeys(each.id for each in exchanges if each.id and each.role is Role.PROBE)
        return SequenceEvidence(tuple(self._actions), steps, tuple(ids), level, message)


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
