"""Tries fuzz examples on the target, one at a time: sends them, judges them by the checks that judge
scenarios, and finds out which part of a failing example the target rejects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from conformance.checks.receiver.case import NOT_NOW, judge_steps
from conformance.engine.exchanges import Place
from conformance.engine.receiver.compose import ComposedRequest, compose_signed
from conformance.engine.receiver.preflight import is_alive
from conformance.engine.receiver.session import Session
from conformance.fuzz.campaign.outcomes import Aborted, ExampleResult, Failure, TargetDown
from conformance.fuzz.strategies.example import Example, Shape
from conformance.model.exchange import Exchange, Fault, Request, Role
from conformance.model.rules import (
    GRAVITY,
    NO_EVIDENCE,
    Finding,
    Held,
    Judgement,
    Level,
    Unjudged,
    gravest,
    held,
)
from conformance.model.sentence import Sentence
from conformance.protocol.dialect import verify
from conformance.protocol.signing import Signed, Signer
from conformance.scenario.load import built_in
from conformance.scenario.receiver import Expect, Send, Step
from conformance.scenario.records import Scenario

if TYPE_CHECKING:
    from conformance.fuzz.campaign.campaign import Campaign

EXPECTED = {"valid": "accepted", "malformed": "no-5xx", "forged": "refused"}
"""kind of fuzzing → the status that is expected."""

LATE = "late"
"""What failed when a complete answer came past the deadline."""
COMPARISON_ID = "1" * 19
"""The id of requests that are only compared, never sent."""
ODDITY_SIZE = 10**8
"""The size of one oddity in bytes: one more is worse than any longer body."""
MOST_RECORDED = 1000
"""Exchanges of one rule that go into the trace, besides those that show a failure."""


@dataclass(frozen=True, slots=True)
class ExampleEvidence:
    """A failing example and its exchange. `message` says what was seen and what was expected, `where`
    which part of the example causes it."""

    example: Example
    exchange: Exchange
    level: Level
    message: Sentence
    where: Sentence


class ExampleRunner:
    """Tries examples for one rule."""

    def __init__(self, session: Session, scenario: Scenario) -> None:
        self._session = session
        self._rule = scenario.rule
        self._expected = EXPECTED[scenario.fuzz or ""]
        self._deadline = session.profile.deadline if scenario.fuzz == "valid" else None
        self._begin = len(session.trace)
        self._passed: set[Request] = set()  # while a failure is shrunk

    async def attempt(
        self, examples: Sequence[Example], campaign: Campaign
    ) -> tuple[int, ExampleResult]:
        """Try `examples` in turn until one fails. Returns how many were tried, and the last one's result.
        Ends early when the campaign's time is up. While it is shrinking, a request that passed is not sent
        again."""
        session, shrinking = self._session, campaign.shrinking
        if not shrinking:
            self._passed.clear()
        for number, example in enumerate(examples, 1):
            if session.clock.monotonic() >= campaign.until:
                return number - 1, None
            request = self._compose(example, COMPARISON_ID, 0.0).request if shrinking else None
            if request in self._passed:
                continue
            session.recording = len(session.trace) - self._begin < MOST_RECORDED
            try:
                outcome = await self._attempt_one(example, campaign)
            finally:
                session.recording = True
            if outcome is not None:
                return number, outcome
            if request is not None:
                self._passed.add(request)
        return len(examples), None

    async def confirm(self, failure: Failure) -> Failure | None:
        """Try a failing example again. Returns the failure with its new exchange, or None when it does not
        fail in the same way."""
        evidence: ExampleEvidence = failure.evidence
        exchange, judgement = await self._send(evidence.example)
        if not isinstance(judgement, Finding) or self._symptom(exchange) != failure.what:
            return None
        evidence = replace(evidence, exchange=exchange, message=judgement.message)
        return replace(failure, evidence=evidence)

    async def _attempt_one(self, example: Example, campaign: Campaign) -> ExampleResult:
        profile = self._session.profile
        exchange, judgement = await self._send(example)
        if exchange.answer is None and not await is_alive(self._session):
            return self._target_down(example, exchange, _NO_ANSWER)
        limited = exchange.status in NOT_NOW and exchange.status != profile.refusal[0]
        if limited and not isinstance(judgement, Finding):
            # It would refuse any message now, so a refusal shows nothing.
            return Aborted(Unjudged("rate-limit", _rate_limit(exchange), error=True))
        if isinstance(judgement, Unjudged) and exchange.fault is not None:
            _, judgement = await self._send(example)
            if isinstance(judgement, Unjudged):
                campaign.unjudged.append(judgement)
                return None
            campaign.unsteady += 1
        if isinstance(judgement, Unjudged):
            return Aborted(judgement) if judgement.error else None
        if isinstance(judgement, Held):
            return None
        if not campaign.shrinking:
            control = await self._session.plain(Role.CONTROL, Place(self._rule.id))
            if control.status not in profile.accepted and not await is_alive(self._session):
                return self._target_down(example, exchange, _REFUSES_PLAIN)
            second, judgement = await self._send(example)
            if not isinstance(judgement, Finding) or (
                self._symptom(second) != self._symptom(exchange)
            ):
                campaign.unsteady += 1
                return None
            exchange = second
        return await self._failure(example, exchange, judgement.message)

    def _target_down(self, example: Example, exchange: Exchange, message: Sentence) -> TargetDown:
        recorded = exchange if exchange.id else self._session.trace.add(exchange)
        return TargetDown(ExampleEvidence(example, recorded, Level.MUST, message, example.where))

    async def _failure(self, example: Example, exchange: Exchange, message: Sentence) -> Failure:
        symptom = self._symptom(exchange)
        piece, levels = await self._smallest_piece(example, symptom)
        # Whatever the shape of a message, a complete answer must come in time.
        grave = exchange.status is None or symptom == LATE
        level = Level.MUST if grave else min(levels, key=GRAVITY.__getitem__)
        return Failure(
            what=symptom,
            marks=frozenset({str(piece.where)}),
            size=ODDITY_SIZE * len(example.oddities) + len(exchange.request.body),
            evidence=ExampleEvidence(example, exchange, level, message, piece.where),
        )

    async def _smallest_piece(self, example: Example, symptom: str) -> tuple[Example, list[Level]]:
        """The piece of the example that alone causes the symptom, else the whole example; and the levels
        of the fixed rules about its oddities."""
        pieces = example.pieces()
        for piece in pieces if len(pieces) > 1 else ():
            exchange, judgement = await self._send(piece)
            if isinstance(judgement, Finding) and self._symptom(exchange) == symptom:
                return piece, self._levels(piece)
        return pieces[0] if len(pieces) == 1 else example, self._levels(*pieces)

    def _levels(self, *examples: Example) -> list[Level]:
        shapes = [oddity.shape for example in examples for oddity in example.oddities]
        # Of an account or a time the guide gives only the type, so its value is no MUST.
        own = Level.SHOULD if self._expected == "accepted" else self._rule.level
        return [own if shape is None else level_of(shape) for shape in shapes]

    def _symptom(self, exchange: Exchange) -> str:
        """What tells failures apart: the status, or the fault in its place."""
        if exchange.status is None:
            return str(exchange.fault)
        fine = exchange.status in self._session.profile.accepted
        return LATE if self._deadline is not None and fine else str(exchange.status)

    async def _send(self, example: Example) -> tuple[Exchange, Judgement]:
        """Send one example. Returns its exchange and the judgement on it, a finding if there is one."""
        session, level = self._session, self._rule.level
        request = self._compose(example, session.fresh_id(), session.clock.now())
        exchange = await session.exchange(request, Role.PROBE, Place(self._rule.id))
        profile = session.profile
        if profile.scheme.rewritten and (exchange.status, exchange.fault) == profile.refusal:
            if self._expected == "accepted":  # receiver.signature.raw-bytes reports it
                return exchange, NO_EVIDENCE
            return exchange, held(level, [exchange])
        if example.tampering is not None and _is_authentic(request.signed, profile.scheme.signer):
            return exchange, held(level, [exchange])  # the tampering has changed nothing
        expect = Expect(level, status=(self._expected,), within=self._deadline)
        steps = [Step(send=Send(), expects=(expect,))]
        observed = await self._observe(exchange)
        return exchange, gravest(judge_steps(steps, [exchange, *observed], profile))

    async def _observe(self, exchange: Exchange) -> list[Exchange]:
        """What an observer shows of an unanswered forgery, once a later message has had its effect."""
        session, place = self._session, Place(self._rule.id)
        unanswered = self._expected == "refused" and exchange.fault is Fault.TIMEOUT
        if not (unanswered and session.profile.observed):
            return []
        later = await session.plain(Role.CONTROL, place)
        shown = await session.effects([str(later.msg_id)], 1, place)
        return [later, *shown, *await session.effects([str(exchange.msg_id)], 0, place)]

    def _compose(self, example: Example, msg_id: str, now: float) -> ComposedRequest:
        profile = self._session.profile
        body = example.body(msg_id, now, form=profile.form, kind=profile.plain)
        headers = {
            name: value for oddity in example.oddities for name, value in oddity.headers.items()
        }
        signer = profile.scheme.signer
        signed = signer.sign(signer.dialect.timestamp(now), body)
        if example.tampering is not None:
            signed = example.tampering(signed, signer)
        return compose_signed(signed, headers, profile, msg_id)


@cache
def _levels() -> dict[Shape, Level]:
    levels: dict[Shape, Level] = {}
    for scenario in built_in("receiver"):
        levels[scenario.rule.id, None] = scenario.rule.level
        levels.update({(scenario.rule.id, case.name): case.level for case in scenario.cases})
    return levels


def level_of(shape: Shape) -> Level:
    """The level of the fixed rule about `shape`."""
    return _levels()[shape]


def _is_authentic(signed: Signed, signer: Signer) -> bool:
    """Whether the holder of the secret could have sent it."""
    return (
        signed.timestamp is not None
        and len(signed.signatures) == 1
        and verify(
            signer.dialect, signer.secret, signed.timestamp, signed.body, signed.signatures[0]
        )
    )


_NO_ANSWER = Sentence("the target stopped answering")
_REFUSES_PLAIN = Sentence("the target no longer accepts plain valid messages")


def _rate_limit(exchange: Exchange) -> Sentence:
    return Sentence(
        "not judged: a rate limit or a lockout answers every message {status}; test an "
        "instance without one",
        status=exchange.status or 0,
    )
