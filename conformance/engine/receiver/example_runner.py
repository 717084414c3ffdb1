"""Trying examples on the target, one at a time: sent, judged by the checks that judge scenarios, and,
when one fails, looked into for what about it the target minds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from conformance.checks.receiver.case import NOT_NOW, judge
from conformance.engine.exchanges import At
from conformance.engine.receiver.compose import ComposedRequest, compose_body
from conformance.engine.receiver.preflight import lives
from conformance.engine.receiver.session import Session
from conformance.fuzz.campaign.outcomes import Aborted, ExampleResult, Failure, TargetDown
from conformance.fuzz.strategies.example import Example, Shape
from conformance.model.exchange import Exchange, Request, Role
from conformance.model.rules import GRAVITY, Finding, Judgement, Level, Unjudged
from conformance.model.text import Text
from conformance.protocol.dialect import verify
from conformance.protocol.tampering import Signed, Signer
from conformance.scenario.load import built_in
from conformance.scenario.receiver import Expect, Send, Step
from conformance.scenario.records import Case, Scenario

EXPECTED = {"valid": "accepted", "malformed": "no-5xx", "forged": "refused"}
"""kind of fuzzing → the status that is expected."""

LATE = "late"
ALIKE = "1" * 19
"""An id for requests that are compared, and not sent."""
SIZE = 10**8
"""An oddity more is worse than any number of bytes."""

KEPT = 1000
"""Exchanges of one rule that go into the trace beside those that show a failure."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a failing example came to: `said` is what was seen against what was expected, `where` what
    about the example does it."""

    example: Example
    exchange: Exchange
    level: Level
    said: Text
    where: Text


class ExampleRunner:
    """Tries examples for one rule. `hunting` tells what the hunt is about: see `Hunt`."""

    def __init__(self, session: Session, scenario: Scenario) -> None:
        self._session = session
        self._rule = scenario.rule
        self._expected = EXPECTED[scenario.fuzz or ""]
        self._deadline = session.profile.deadline if scenario.fuzz == "valid" else None
        self._begin = len(session.trace)
        self._passed: set[Request] = set()  # while a failure is made smaller
        self.unsteady = 0

    async def attempt(
        self, examples: Sequence[Example], *, shrinking: bool, until: float
    ) -> tuple[int, ExampleResult]:
        """Try `examples` in turn until one fails; how many were tried, and what came of the last. Ends
        early at `until`. When shrinking, what has passed before is not sent again."""
        session = self._session
        if not shrinking:
            self._passed.clear()
        for number, example in enumerate(examples, 1):
            if session.clock.monotonic() >= until:
                return number - 1, None
            alike = self._compose(example, ALIKE, 0.0).request if shrinking else None
            if alike in self._passed:
                continue
            session.keeping = len(session.trace) - self._begin < KEPT
            try:
                seen = await self._try(example, shrinking=shrinking)
            finally:
                session.keeping = True
            if seen is not None:
                return number, seen
            if alike is not None:
                self._passed.add(alike)
        return len(examples), None

    async def confirm(self, failure: Failure) -> Failure | None:
        """Try a failing example once more; the failure as it is then, or None when it is gone."""
        shown: Shown = failure.evidence
        exchange, found = await self._send(shown.example)
        finding = next((each for each in found if isinstance(each, Finding)), None)
        if finding is None or self._what(exchange) != failure.what:
            return None
        again = Shown(shown.example, exchange, shown.level, finding.message, shown.where)
        return Failure(failure.what, failure.marks, failure.origin, failure.size, again)

    async def _try(self, example: Example, *, shrinking: bool) -> ExampleResult:
        exchange, found = await self._send(example)
        if exchange.answer is None and not await lives(self._session):
            return self._death(example, exchange, _GONE)
        stopped = next((each for each in found if isinstance(each, Unjudged)), None)
        limited = exchange.status in NOT_NOW and exchange.status != self._session.profile.refusal[0]
        if limited and (stopped is not None or not found):
            return Aborted(Unjudged(_limited(exchange), error=True))  # refused, whatever it was
        if stopped is not None:
            self.unsteady += exchange.fault is not None
            return Aborted(stopped) if stopped.error and exchange.fault is None else None
        if not found:
            return None
        if not shrinking:
            plain = await self._session.plain(Role.CONTROL, At(self._rule.id))
            if plain.status not in self._session.profile.accepted and not await lives(
                self._session
            ):
                return self._death(example, exchange, _SPOILT)
            again, found = await self._send(example)
            if not found or self._what(again) != self._what(exchange):
                self.unsteady += 1
                return None
            exchange = again
        return await self._failure(example, exchange, found)

    def _death(self, example: Example, exchange: Exchange, said: Text) -> TargetDown:
        recorded = exchange if exchange.id else self._session.trace.add(exchange)
        return TargetDown(Shown(example, recorded, Level.MUST, said, example.where))

    async def _failure(
        self, example: Example, exchange: Exchange, found: Sequence[Judgement]
    ) -> Failure:
        what = self._what(exchange)
        piece, levels = await self._minded(example, what)
        # An answer that does not come in time is no matter of shapes.
        grave = exchange.status is None or what == LATE
        level = Level.MUST if grave else min(levels, key=GRAVITY.__getitem__)
        finding = next(each for each in found if isinstance(each, Finding))
        shown = Shown(example, exchange, level, finding.message, piece.where)
        return Failure(
            what=what,
            marks=frozenset({piece.where.en}),
            origin=f"{what} {piece.where.en}",
            size=SIZE * len(example.oddities) + len(exchange.request.body),
            evidence=shown,
        )

    async def _minded(self, example: Example, what: str) -> tuple[Example, list[Level]]:
        """The piece of the example that is enough for the target to do the same, else all of it; and
        the levels of what it may be."""
        pieces = example.pieces()
        for piece in pieces if len(pieces) > 1 else ():
            exchange, found = await self._send(piece)
            if found and self._what(exchange) == what:
                return piece, self._levels(piece)
        return pieces[0] if len(pieces) == 1 else example, self._levels(*pieces)

    def _levels(self, *examples: Example) -> list[Level]:
        shapes = [oddity.shape for each in examples for oddity in each.oddities]
        # The guide says of an account or a time only of which type it is.
        own = Level.SHOULD if self._expected == "accepted" else self._rule.level
        return [own if shape is None else level_of(shape) for shape in shapes]

    def _what(self, exchange: Exchange) -> str:
        """What tells failures apart: the status, or what came in its place."""
        if exchange.status is None:
            return str(exchange.fault)
        fine = exchange.status in self._session.profile.accepted
        return LATE if self._deadline is not None and fine else str(exchange.status)

    async def _send(self, example: Example) -> tuple[Exchange, list[Judgement]]:
        session = self._session
        sent = self._compose(example, session.fresh_id(), session.clock.now())
        exchange = await session.exchange(sent, Role.PROBE, At(self._rule.id))
        profile = session.profile
        if profile.scheme.rewritten and (exchange.status, exchange.fault) == profile.refusal:
            return exchange, []  # told by receiver.signature.raw-bytes
        if example.damage is not None and _is_right(sent.signed, profile.scheme.signer):
            return exchange, []  # the damage has changed nothing
        expect = Expect(self._rule.level, status=(self._expected,), within=self._deadline)
        case = Case(None, self._rule.level, (Step(send=Send(), expects=(expect,)),))
        found = judge(case, [exchange], profile)
        return exchange, found

    def _compose(self, example: Example, msg_id: str, now: float) -> ComposedRequest:
        session, profile = self._session, self._session.profile
        body = example.body(msg_id, now, form=profile.form, kind=profile.plain)
        headers = {name: value for each in example.oddities for name, value in each.headers.items()}
        return compose_body(
            body, example.damage, headers, msg_id, now, session.options.url, profile
        )


@cache
def _levels() -> dict[Shape, Level]:
    levels: dict[Shape, Level] = {}
    for scenario in built_in("receiver"):
        levels[scenario.rule.id, None] = scenario.rule.level
        levels.update({(scenario.rule.id, case.name): case.level for case in scenario.cases})
    return levels


def level_of(shape: Shape) -> Level:
    """The level of the fixed rule for `shape`."""
    return _levels()[shape]


def _is_right(signed: Signed, signer: Signer) -> bool:
    """Whether the holder of the secret might have sent it."""
    return (
        signed.timestamp is not None
        and len(signed.signatures) == 1
        and verify(
            signer.dialect, signer.secret, signed.timestamp, signed.body, signed.signatures[0]
        )
    )


_GONE = Text("the target stopped answering", "目標已停止響應")
_SPOILT = Text("the target no longer accepts plain valid messages", "目標已不再接受普通有效訊息")


def _limited(exchange: Exchange) -> Text:
    return Text(
        f"not judged: a rate limit, or a lock-out, answered {exchange.status}, whatever was sent; test "
        "an instance without one",
        f"無法判定：速率限制或封鎖對任何請求都返回 {exchange.status}；請測試沒有限制的環境",
    )
