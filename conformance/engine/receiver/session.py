"""Sends one run's requests and records their exchanges: owns the trace and the fresh ids.

Knows nothing of rules and judgements.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

from conformance.checks.receiver.case import count
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.engine.exchanges import USER_AGENT, Place, exchange_of
from conformance.engine.receiver.compose import ComposedRequest, compose
from conformance.engine.stalls import Stalls
from conformance.model.clock import Clock
from conformance.model.exchange import HELD_UP, Exchange, Fault, Request, Role
from conformance.model.sentence import EMPTY
from conformance.options.receiver import Options
from conformance.options.urls import PLACE
from conformance.protocol.schemes import Scheme
from conformance.protocol.signing import Signer
from conformance.scenario.receiver import Send
from conformance.trace import Trace
from conformance.wire.raw import Connection, Gate
from conformance.wire.reply import Reply
from conformance.wire.transport import ORDINARY, SendRequest

EFFECT_SECONDS = 5.0
"""Seconds within which an effect must show after the answer."""
MOST_OBSERVER_FAULTS = 3
"""Unusable answers of the observer after which it is not asked again."""
DEAD_AFTER = 32
"""Requests in a row without an answer after which nothing is sent to the target for the time being."""
ID_STEP = 10
"""Distance between ids: they differ in more than their last digit, so that tampering with an id never
yields another message's."""

PLAIN = Send()

BETWEEN = Place(case="between")
"""For messages that are sent between the cases."""


class Session:
    """One run's connection to its target. Preflight replaces `profile` as it learns; afterwards it does
    not change. `send` is the transport: nothing else leads to the target. `send_options` say how requests are
    sent. `stalls` measures when this process itself was stalled."""

    def __init__(self, options: Options, send: SendRequest, clock: Clock, stalls: Stalls) -> None:
        self.options = options
        self._send = send
        self.send_options = ORDINARY
        self.profile = ReceiverProfile(
            url=options.url,
            requested=options.dialect,
            scheme=Scheme(Signer(options.dialect, options.secret), None, EMPTY),
            accepted=frozenset(options.dialect.success),
            deadline=options.dialect.deadline,
        )
        self.clock = clock
        self.stalls = stalls
        self.trace = Trace()
        self.recording = True  # whether exchanges go into the trace
        self.silent_observations = 0  # cases in which a later plain message showed no effect
        self.refused_for_now: dict[str, ComposedRequest] = {}
        """The valid messages that the target refused only for the moment, by msgId."""
        self._unanswered = 0
        # Always 19 digits and below 2^63, so that the bodies of every run are equally long.
        self._last_id = random.SystemRandom().randrange(10**18, 9 * 10**18) // ID_STEP * ID_STEP

    @property
    def dead(self) -> bool:
        """Whether the target has stopped answering; then nothing is sent to it."""
        return self._unanswered >= DEAD_AFTER

    def revive(self) -> None:
        """Send to the target again, even if it did not answer the last requests."""
        self._unanswered = 0

    def fresh_id(self) -> str:
        """A msgId that no run has used before."""
        self._last_id += ID_STEP
        return str(self._last_id)

    def compose(
        self, send: Send, earlier: dict[str, ComposedRequest] | None = None
    ) -> ComposedRequest:
        """The request for `send`, with a fresh id and the current time. `earlier` holds, by name, the
        requests to which it may refer."""
        profile = self.profile
        if send.other_instance and self.options.also_url is not None:
            profile = replace(profile, url=self.options.also_url)
        return compose(send, profile, self.fresh_id(), self.clock.now(), earlier or {})

    async def exchange(
        self,
        composed: ComposedRequest,
        role: Role,
        place: Place,
        *,
        gate: Gate | None = None,
        connections: list[Connection] | None = None,
    ) -> Exchange:
        """Send a composed request and record the exchange. `gate` releases a burst at once. `connections`
        holds those that keep-alive requests of one case share; the caller closes them."""
        if self.dead:
            now = self.clock.monotonic()
            reply = Reply(
                None, Fault.REFUSED, "not sent: the target stopped answering", now, now, now
            )
        else:
            how = replace(self.send_options, gate=gate, kept=connections)
            reply = await self._send(composed.request, how)
            reply = self._discount_stalls(reply)
        if reply.fault is not Fault.GIVEN_UP:
            self._unanswered = self._unanswered + 1 if reply.answer is None else 0
        exchange = exchange_of(composed.request, reply, role, place, composed.msg_id)
        return self._record(replace(exchange, signing=composed.signing))

    def _discount_stalls(self, reply: Reply) -> Reply:
        """`reply`, marked as given up when it is late by no more than this process was stalled while it
        waited for it."""
        late = reply.ended - reply.sent - self.profile.deadline
        if 0 < late <= self.stalls.worst(reply.sent):
            return replace(reply, fault=Fault.GIVEN_UP, detail=HELD_UP)
        return reply

    async def plain(self, role: Role, place: Place, *, other_instance: bool = False) -> Exchange:
        """Send a plain valid message, to the `other_instance` (--also-url) on request."""
        send = Send(other_instance=True) if other_instance else PLAIN
        return await self.exchange(self.compose(send), role, place)

    async def effects(
        self, ids: Sequence[str], expected: int, place: Place, seconds: float = EFFECT_SECONDS
    ) -> list[Exchange]:
        """Ask the observer about each message until it reports `expected` effects, for at most
        `seconds`. Records the last answer for each message."""
        return await asyncio.gather(
            *(self._effect(msg_id, expected, seconds, place) for msg_id in ids)
        )

    async def _effect(self, msg_id: str, expected: int, seconds: float, place: Place) -> Exchange:
        assert self.options.observer_url is not None  # noqa: S101 - called only with an observer
        url = self.options.observer_url.replace(PLACE, msg_id)
        request = Request("GET", url, ((b"User-Agent", USER_AGENT.encode()),), b"")
        begin = self.clock.monotonic()
        pause, faults = 0.01, 0
        while True:
            reply = await self._send(request, self.send_options)
            exchange = exchange_of(request, reply, Role.OBSERVE, place, msg_id)
            effects = count(exchange)
            faults += effects is None
            settled = effects is not None and effects >= expected
            # While this process was stalled it could not have seen an effect.
            left = begin + seconds + self.stalls.lost(begin) - self.clock.monotonic()
            if settled or faults > MOST_OBSERVER_FAULTS or left <= 0:
                return self._record(exchange)
            await self.clock.sleep(pause)
            pause = min(0.2, pause * 1.5)

    def _record(self, exchange: Exchange) -> Exchange:
        return self.trace.add(exchange) if self.recording else exchange
