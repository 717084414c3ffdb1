"""Carries out the steps of one case against the target.

Knows nothing of how the exchanges are judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from conformance.checks.receiver.case import count
from conformance.engine.command import restart
from conformance.engine.exchanges import Place
from conformance.engine.receiver.compose import ComposedRequest
from conformance.engine.receiver.session import BETWEEN, Session
from conformance.model.exchange import Exchange, Fault, Role
from conformance.model.sentence import Sentence
from conformance.scenario.receiver import Expect, Send, Step
from conformance.scenario.records import Case
from conformance.wire.raw import Connection, Gate

RETRIES = 3
"""How often a message that was refused as busy is sent again, as a sender would."""
RETRY_SECONDS = 0.2
MOST_RETRIED = 50
"""Messages that one `resend` step sends again at most."""
LATER_SECONDS = (2.0, 5.0)
"""Seconds within which each of two later messages may show its effect; one may be lost by chance."""
LOSSY_AFTER = 3
"""Cases without a later effect after which the others wait only LOSSY_SECONDS for one."""
LOSSY_SECONDS = 1.0
BACKGROUND_LEAD = 0.25
"""Seconds by which a background request precedes the next step."""


class CaseRun:
    """One case of `rule` while it runs."""

    def __init__(self, session: Session, rule: str, case: Case) -> None:
        self._session = session
        self._rule = rule
        self._case = case
        self._by_name: dict[str, list[ComposedRequest]] = {}
        self._connections: list[Connection] = []
        self._last_sent: list[tuple[ComposedRequest, Exchange]] = []
        self._background: list[asyncio.Task[list[Exchange]]] = []
        self.exchanges: list[Exchange] = []

    async def run(self) -> list[Exchange]:
        """Carry out the case. Returns all of its exchanges: of its steps, of the control messages around a
        refusal, and of the observer."""
        try:
            if self._case.refusing:
                await self._control(0)
            if any(step.send is not None and step.send.other_instance for step in self._case.steps):
                await self._control(0, other_instance=True)
            for index, step in enumerate(self._case.steps):
                self.exchanges += await self.step(index, step)
            for task in self._background:
                self.exchanges += await task
            if self._case.refusing and not (self._case.counting and self._session.profile.observed):
                await self._control(len(self._case.steps) - 1)
        finally:
            for task in self._background:
                task.cancel()
            for connection in self._connections:
                connection.writer.close()
        return self.exchanges

    def _place(self, step: int) -> Place:
        return Place(self._rule, self._case.name, step)

    async def _control(self, step: int, *, other_instance: bool = False) -> None:
        place = self._place(step)
        control = await self._session.plain(Role.CONTROL, place, other_instance=other_instance)
        self.exchanges.append(control)

    def requests(self, name: str) -> list[ComposedRequest]:
        """The requests that the step called `name` sent."""
        return self._by_name[name]

    async def step(self, index: int, step: Step) -> list[Exchange]:
        """Carry out one step. Returns its exchanges."""
        exchanges: list[Exchange] = []
        ids: list[str] = []
        expected = [expect.processed for expect in step.expects if expect.processed is not None]
        observed = bool(expected) and self._session.profile.observed
        if observed and expected == ["unchanged"] and step.send is not None and step.send.repeat_of:
            ids = [request.msg_id for request in self._by_name[step.send.repeat_of]]
            exchanges = await self._session.effects(ids, 1, self._place(index))
        if step.observe is not None:
            ids = [request.msg_id for request in self._by_name[step.observe]]
        exchanges += await self._perform(index, step)
        if observed:
            ids = ids or list(dict.fromkeys(each.msg_id for each in exchanges if each.msg_id))
            effects = 1 if expected[0] == "unchanged" else expected[0]
            # The later message must go to the instance whose effects are being observed.
            other_instance = step.send is not None and step.send.other_instance
            accepted = self._session.profile.accepted
            taken = {e.msg_id for e in (*self.exchanges, *exchanges) if e.status in accepted}
            later = Send(other_instance=other_instance)
            exchanges += await self._observe(index, ids, effects, taken, later)
        return exchanges

    async def _perform(self, index: int, step: Step) -> list[Exchange]:
        """What the step does at the target, without observing it."""
        if step.send is not None and step.send.background:
            self._background.append(asyncio.ensure_future(self._send(index, step.send)))
            await self._session.clock.sleep(BACKGROUND_LEAD)
        elif step.send is not None:
            exchanges = await self._send(index, step.send)
            self._note_busy(step.send, step.expects)
            return exchanges
        elif step.resend:
            return await self._resend(index)
        elif step.restart:
            await self._restart()
        elif step.pause:
            await self._session.clock.sleep(step.pause)
        return []

    async def _send(self, index: int, send: Send) -> list[Exchange]:
        requests = self._compose(send)
        burst = send.at_once or send.copies > 1
        gate = Gate(len(requests)) if burst else None
        exchanges = await asyncio.gather(
            *(
                self._session.exchange(
                    request,
                    Role.PROBE,
                    self._place(index),
                    gate=gate,
                    connections=self._connections,
                )
                for request in requests
            )
        )
        self._last_sent = list(zip(requests, exchanges, strict=True))
        return list(exchanges)

    def _compose(self, send: Send) -> list[ComposedRequest]:
        session = self._session
        if send.repeat_of is not None:
            originals = self._by_name[send.repeat_of][-(send.last or 0) :]
            requests = [
                session.compose(send, {**self._first_by_name(), send.repeat_of: original})
                for original in originals
            ]
        else:
            requests = [session.compose(send, self._first_by_name()) for _ in range(send.messages)]
        if send.copies > 1:
            requests = [requests[0]] * send.copies
        if send.name is not None:
            self._by_name[send.name] = requests
        return requests

    def _first_by_name(self) -> dict[str, ComposedRequest]:
        return {name: requests[0] for name, requests in self._by_name.items()}

    def _note_busy(self, send: Send, expects: Sequence[Expect]) -> None:
        """Remember, for `resend`, the valid messages that the target answered with 429 or 5xx, or not at
        all."""
        words = {word for expect in expects for word in expect.status}
        refusable = words & {"refused", "4xx", "no-5xx"} or send.method != "POST"
        altered = send.tampering or send.mutation or send.body or send.without or send.timestamp
        # The target may know the id of an earlier message from the first time.
        borrowed = send.signature_of or send.repeat_of or send.id_of
        if refusable or altered or borrowed:
            return
        profile = self._session.profile
        taken = {
            request.msg_id
            for request, exchange in self._last_sent
            if exchange.status in profile.accepted
        }
        # Without an observer nobody knows whether an unanswered message took effect.
        self._session.refused_for_now |= {
            request.msg_id: request
            for request, exchange in self._last_sent
            if is_busy(exchange)
            and request.msg_id not in taken  # another copy of it was accepted
            and (profile.observed or exchange.status is not None)
        }

    async def _resend(self, index: int) -> list[Exchange]:
        repeat = Send(repeat_of="it")
        waiting = list(self._session.refused_for_now.values())[:MOST_RETRIED]
        exchanges: list[Exchange] = []
        for original in waiting:
            for _ in range(RETRIES):
                request = self._session.compose(repeat, {"it": original})
                exchange = await self._session.exchange(request, Role.PROBE, self._place(index))
                exchanges.append(exchange)
                if not is_busy(exchange):
                    break
                await self._session.clock.sleep(RETRY_SECONDS)
        return exchanges

    async def _restart(self) -> None:
        session, command = self._session, self._session.options.restart_command
        assert command is not None  # noqa: S101 - without it the case is skipped

        async def serves() -> bool:
            session.send_options = session.send_options.renewed()
            control = await session.plain(Role.CONTROL, BETWEEN)
            return control.status in session.profile.accepted

        await restart(
            command,
            serves,
            session.clock,
            Sentence("the receiver did not accept a plain valid message"),
        )

    async def _observe(
        self,
        index: int,
        ids: Sequence[str],
        expected: int,
        taken: Collection[str | None],
        later: Send,
    ) -> list[Exchange]:
        """Ask the observer about the messages `ids`, once a `later` plain message has shown its own effect.
        Waits for `expected` effects of those that were `taken`; asks about the others once."""
        session, place = self._session, self._place(index)
        exchanges: list[Exchange] = []
        lossy = session.silent_observations >= LOSSY_AFTER
        for seconds in (LOSSY_SECONDS,) if lossy else LATER_SECONDS:
            control = await session.exchange(session.compose(later), Role.CONTROL, place)
            exchanges.append(control)
            if control.status not in session.profile.accepted:
                break
            exchanges += await session.effects([str(control.msg_id)], 1, place, seconds)
            if count(exchanges[-1]) != 0:
                break
        else:
            session.silent_observations += 1
        accepted = [msg_id for msg_id in ids if msg_id in taken]
        exchanges += await session.effects(accepted, expected, place)
        rejected = [msg_id for msg_id in ids if msg_id not in taken]
        return exchanges + await session.effects(rejected, 0, place)


def is_busy(exchange: Exchange) -> bool:
    """Whether an answer, or the lack of one, means "not now" rather than "not this"."""
    if exchange.status is not None:
        return exchange.status == 429 or exchange.status >= 500
    return exchange.fault in (Fault.TIMEOUT, Fault.CLOSED)
