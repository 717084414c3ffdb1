"""What the parts of one run share: the wire, the trace, fresh ids, and how an exchange is made."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

from conformance.checks.receiver.case import count
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.engine.exchanges import USER_AGENT, At, exchange_of
from conformance.engine.receiver.compose import ComposedRequest, compose
from conformance.engine.stalls import Stalls
from conformance.model.clock import Clock
from conformance.model.exchange import HELD_UP, Exchange, Fault, Request, Role
from conformance.options.receiver import Options
from conformance.options.urls import PLACE
from conformance.scenario.receiver import Send
from conformance.trace import Trace
from conformance.wire.client import Wire
from conformance.wire.raw import Connection, Gate
from conformance.wire.reply import Reply

EFFECT_SECONDS = 5.0
"""How long an effect may come after the answer."""
HICCUPS = 3
"""So often an observer that answers badly is asked again."""
DEAD_AFTER = 32
"""So many requests in a row without an answer, and the target is given up for the time being."""
ID_STEP = 10
"""Ids differ in more than their last digit, so that a damaged id is nobody's."""

PLAIN = Send()


BETWEEN = At(case="between")


class Session:
    """One run's means. `profile` grow as the diagnosis goes on, and stand still afterwards. `stalls`
    tells when this process was held up."""

    def __init__(
        self, options: Options, wire: Wire, profile: ReceiverProfile, clock: Clock, stalls: Stalls
    ) -> None:
        self.options = options
        self.wire = wire
        self.profile = profile
        self.clock = clock
        self.stalls = stalls
        self.trace = Trace()
        self.keeping = True  # whether exchanges go into the trace
        self.unshown = 0  # cases in which a later plain message showed no effect
        self._unanswered = 0
        # 19 digits below 2^63 whatever the draw, so that a run's bodies are equally long.
        self._last_id = random.SystemRandom().randrange(10**18, 9 * 10**18) // ID_STEP * ID_STEP

    @property
    def dead(self) -> bool:
        """Whether the target has stopped answering; then nothing is sent to it."""
        return self._unanswered >= DEAD_AFTER

    def revive(self) -> None:
        """Let the next request go out, whatever came of the last ones."""
        self._unanswered = 0

    def fresh_id(self) -> str:
        """A msgId that no run has used."""
        self._last_id += ID_STEP
        return str(self._last_id)

    def compose(
        self, send: Send, named: dict[str, ComposedRequest] | None = None
    ) -> ComposedRequest:
        """The request for `send`, with a fresh id and the time now."""
        also = self.options.also_url
        url = also if send.other_instance and also is not None else self.options.url
        return compose(send, self.fresh_id(), self.clock.now(), url, self.profile, named or {})

    async def exchange(
        self,
        sent: ComposedRequest,
        role: Role,
        at: At,
        *,
        gate: Gate | None = None,
        kept: list[Connection] | None = None,
    ) -> Exchange:
        """Send a composed request and record what came of it."""
        if self.dead:
            now = self.clock.monotonic()
            reply = Reply(
                None, Fault.REFUSED, "not sent: the target stopped answering", now, now, now
            )
        else:
            reply = await self.wire.send(sent.request, gate=gate, kept=kept)
            reply = self._without_stalls(reply)
        if reply.fault is not Fault.GIVEN_UP:
            self._unanswered = self._unanswered + 1 if reply.answer is None else 0
        return self._note(exchange_of(sent.request, sent.signing, reply, role, at, sent.msg_id))

    def _without_stalls(self, reply: Reply) -> Reply:
        """`reply`, given up where it is past the deadline by no more than this process was held up while
        it was waited for."""
        late = reply.ended - reply.sent - self.profile.deadline
        if 0 < late <= self.stalls.worst(reply.sent):
            return replace(reply, fault=Fault.GIVEN_UP, detail=HELD_UP)
        return reply

    async def plain(self, role: Role, at: At, *, elsewhere: bool = False) -> Exchange:
        """Send a plain valid message, `elsewhere` to the instance of --also-url."""
        send = Send(other_instance=True) if elsewhere else PLAIN
        return await self.exchange(self.compose(send), role, at)

    async def effects(
        self, ids: Sequence[str], wanted: int, at: At, seconds: float = EFFECT_SECONDS
    ) -> list[Exchange]:
        """Ask the observer about each message until `wanted` effects show, at most `seconds`; the
        last answer for each is recorded."""
        return await asyncio.gather(*(self._effect(each, wanted, seconds, at) for each in ids))

    async def _effect(self, msg_id: str, wanted: int, seconds: float, at: At) -> Exchange:
        assert self.options.observer_url is not None  # noqa: S101 - asked only with an observer
        url = self.options.observer_url.replace(PLACE, msg_id)
        request = Request("GET", url, ((b"User-Agent", USER_AGENT.encode()),), b"")
        begin = self.clock.monotonic()
        pause, hiccups = 0.01, 0
        while True:
            reply = await self.wire.send(request)
            asked = exchange_of(request, None, reply, Role.OBSERVE, at, msg_id)
            seen = count(asked)
            hiccups += seen is None
            settled = seen is not None and seen >= wanted
            # What this process was held up for is no time in which an effect could be seen.
            left = begin + seconds + self.stalls.lost(begin) - self.clock.monotonic()
            if settled or hiccups > HICCUPS or left <= 0:
                return self._note(asked)
            await self.clock.sleep(pause)
            pause = min(0.2, pause * 1.5)

    def _note(self, exchange: Exchange) -> Exchange:
        return self.trace.add(exchange) if self.keeping else exchange
