"""Carrying out sequences on the target by the steps of scenarios, and judging them by the checks of
scenarios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from conformance.checks.receiver.case import count, judge
from conformance.engine.exchanges import At
from conformance.engine.receiver.preflight import lives
from conformance.engine.receiver.session import EFFECT_SECONDS, Session
from conformance.engine.receiver.steps import CaseRun
from conformance.fuzz.campaign.model import Action, Actions, Model, Told, Words
from conformance.fuzz.campaign.outcomes import Aborted, Failure, Seen, TargetDown
from conformance.model.exchange import Exchange, Fault, Role
from conformance.model.rules import Finding, Judgement, Level, Unjudged
from conformance.model.text import Text
from conformance.scenario.receiver import Case, Expect, Scenario, Step, parse_step

KEPT = 3000
"""Exchanges of all sequences that go into the trace, beside those that show a failure."""
QUICK, SLACK = 0.1, 5.0
"""At a quick look an effect is waited for this many seconds at the least, or this many times as long as
the slowest of those before took. What is reported has been waited for as long as rules do."""


@dataclass(frozen=True, slots=True)
class SequenceShown:
    """What a failing sequence came to, with its steps as a scenario file has them."""

    actions: Actions
    steps: tuple[Words, ...]
    exchanges: tuple[int, ...]
    level: Level
    said: Text


class Sequences:
    """Carries out sequences for one rule, one at a time: `begin`, `act` for each action, `settle`. What
    is `known` of a sequence must not hide what else it shows."""

    def __init__(
        self, session: Session, scenario: Scenario, known: Callable[[Failure], bool]
    ) -> None:
        self._session, self._known = session, known
        self._rule = scenario.rule
        self._slowest = 0.0
        self._start = len(session.trace)
        self._whole = False  # whether every exchange goes into the trace
        self.begin()

    def begin(self) -> None:
        """Forget the sequence before."""
        self._case = CaseRun(self._session, self._rule.id, Case(None, self._rule.level, ()), [])
        self.model = Model()
        self._done: list[Action] = []
        self._count = 0
        self._exchanges: list[Exchange] = []

    async def act(self, action: Action) -> Seen:
        """Carry out one action; what ends the hunt, if anything does."""
        steps = self.model.steps(action)
        made: list[Exchange] = []
        self._keep()
        try:
            for words in steps:
                step = replace(parse_step(words, self._rule.level), expects=())
                made += await self._case.step(self._count, step)
                self._count += 1
        finally:
            self._session.keeping = True
        self._done.append(action)
        self._exchanges += made
        accepted = any(each.status in self._session.profile.accepted for each in made)
        self.model.note(action, steps, accepted=accepted)
        silent = [e for e in made if e.answer is None and e.fault is not Fault.GIVEN_UP]
        if silent and not await lives(self._session):
            return TargetDown(self._shown(self.model.told(), silent, Level.MUST, _GONE))
        return None

    async def settle(self) -> Seen:
        """What the sequence came to, at a quick look."""
        return await self._look(self.model.told(), self._quick)

    async def run(self, actions: Actions, *, patient: bool) -> Seen:
        """Carry out a whole sequence by itself; `patient` waits for effects as long as rules do, and
        has every exchange in the trace."""
        self.begin()
        self._whole = patient
        try:
            for action in actions:
                seen = await self.act(action)
                if seen is not None:
                    return seen
            seconds = EFFECT_SECONDS if patient else self._quick
            return await self._look(self.model.told(), seconds)
        finally:
            self._whole = False

    @property
    def _quick(self) -> float:
        """Seconds in which an effect should have shown itself, by those that have."""
        return min(EFFECT_SECONDS, max(QUICK, SLACK * self._slowest))

    def _keep(self) -> None:
        trace = self._session.trace
        self._session.keeping = self._whole or len(trace) - self._start < KEPT

    async def _look(self, told: Told, seconds: float) -> Seen:
        steps = [parse_step(words, self._rule.level) for words in told.steps]
        every = list(self._exchanges)
        if self._session.profile.observed:
            observed = await self._observe(steps, seconds)
            if not all(map(self._fine, observed)) and not await lives(self._session):
                return TargetDown(self._shown(told, every, Level.MUST, _GONE))
            every += observed
        failures = []
        for index, step in enumerate(steps):
            for expect in step.expects:
                seen = self._judge(steps, index, expect, every)
                if isinstance(seen, Unjudged) and seen.error:
                    return Aborted(seen)
                if isinstance(seen, Finding):
                    what = _what(expect, index, every)
                    shown = self._shown(told, every, seen.level, seen.message)
                    failures.append(Failure(what, told.kinds[index], what, len(steps), shown))
        new = (each for each in failures if not self._known(each))
        return next(new, failures[0] if failures else None)

    def _judge(
        self, steps: Sequence[Step], index: int, expect: Expect, exchanges: Sequence[Exchange]
    ) -> Judgement | None:
        """What one expectation of one step comes to, by itself."""
        bare = [replace(each, expects=()) for each in steps]
        bare[index] = replace(steps[index], expects=(expect,))
        case = Case(None, self._rule.level, tuple(bare))
        found = judge(case, exchanges, self._session.profile)
        return found[0] if found else None

    async def _observe(self, steps: Sequence[Step], seconds: float) -> list[Exchange]:
        """The observer's answers about every message that something is expected of, once a later
        message has shown its effect; as exchanges of the steps that expect it."""
        session, at = self._session, At(self._rule.id)
        about: list[tuple[int, str, int]] = []
        for index, step in enumerate(steps):
            wanted = [each.processed for each in step.expects if each.processed is not None]
            if wanted and step.send is not None:
                sent = self._case.sent(step.send.again or step.send.name or "")
                about += [(index, each.msg_id, int(wanted[0])) for each in sent[:1]]
        self._keep()
        try:
            begin = session.clock.monotonic()
            later = await session.plain(Role.CONTROL, at)
            own = await session.effects([str(later.msg_id)], 1, at)
            good = await session.effects([i for _, i, n in about if n], 1, at, seconds)
            bad = await session.effects([i for _, i, n in about if not n], 0, at)
        finally:
            session.keeping = True
        if all(count(each) for each in good):
            self._slowest = max(self._slowest, session.clock.monotonic() - begin)
        by_id = {each.msg_id: each for each in (*good, *bad)}
        return [
            replace(each, step=index)
            for index, msg_id, _ in about
            for each in (later, *own, by_id[msg_id])
        ]

    def _fine(self, exchange: Exchange) -> bool:
        """Whether a control was accepted, if it is one."""
        accepted = self._session.profile.accepted
        return exchange.role is not Role.CONTROL or exchange.status in accepted

    def _shown(
        self, told: Told, exchanges: Sequence[Exchange], level: Level, said: Text
    ) -> SequenceShown:
        ids = dict.fromkeys(each.id for each in exchanges if each.id and each.role is Role.PROBE)
        return SequenceShown(tuple(self._done), tuple(told.steps), tuple(ids), level, said)


def _what(expect: Expect, index: int, exchanges: Sequence[Exchange]) -> str:
    """What tells failures apart: statuses, or the number of effects."""
    here = [each for each in exchanges if each.step == index]
    if expect.processed is None:
        probes = [each for each in here if each.role is Role.PROBE]
        return " ".join(sorted({str(each.status or each.fault) for each in probes}))
    counts = [count(each) for each in here if each.role is Role.OBSERVE]
    seen = counts[-1] if counts else None
    if seen is None:
        return "effects"
    return "lost" if seen < int(expect.processed) else "processed too often"


_GONE = Text("the target stopped answering", "目標已停止響應")
