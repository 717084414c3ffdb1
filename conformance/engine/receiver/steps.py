"""Carrying out the steps of one case against the target."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from conformance.checks.receiver.case import count
from conformance.engine.command import restart
from conformance.engine.exchanges import At
from conformance.engine.receiver.compose import ComposedRequest
from conformance.engine.receiver.session import BETWEEN, Session
from conformance.model.exchange import Exchange, Fault, Role
from conformance.scenario.receiver import Send, Step
from conformance.scenario.records import Case
from conformance.wire.raw import Connection, Gate

RETRIES = 3
"""How often a message that was refused as busy is sent again, as a sender would."""
RETRY_SECONDS = 0.2
MOST_RETRIED = 50
LATER = (2.0, 5.0)
"""Seconds in which each of two later messages may show its effect; one may be lost by chance."""
LOSSY_AFTER = 3
"""So many cases without a later effect, and the rest waits only LOSSY_SECONDS for one."""
LOSSY_SECONDS = 1.0
BACKGROUND_LEAD = 0.25
"""Seconds for which a background request is under way before the next step."""


class CaseRun:
    """One case on its way. `busy` is shared by the whole run: the valid messages that the target
    answered with 429, 5xx or not at all, for `resend`."""

    def __init__(
        self, session: Session, rule: str, case: Case, busy: list[ComposedRequest]
    ) -> None:
        self._session = session
        self._rule = rule
        self._case = case
        self._busy = busy
        self._named: dict[str, list[ComposedRequest]] = {}
        self._kept: list[Connection] = []
        self._answered: list[tuple[ComposedRequest, Exchange]] = []
        self._behind: list[asyncio.Task[list[Exchange]]] = []
        self.exchanges: list[Exchange] = []

    async def run(self) -> list[Exchange]:
        """All exchanges of the case: its steps, the controls around a refusal, the observer's."""
        try:
            if self._case.refusing:
                await self._control(0)
            if any(step.send is not None and step.send.other_instance for step in self._case.steps):
                await self._control(0, elsewhere=True)
            for index, step in enumerate(self._case.steps):
                self.exchanges += await self.step(index, step)
            for task in self._behind:
                self.exchanges += await task
            if self._case.refusing and not (self._case.counting and self._session.profile.observed):
                await self._control(len(self._case.steps) - 1)
        finally:
            for task in self._behind:
                task.cancel()
            for connection in self._kept:
                connection.writer.close()
        return self.exchanges

    def _at(self, step: int) -> At:
        return At(self._rule, self._case.name, step)

    async def _control(self, step: int, *, elsewhere: bool = False) -> None:
        control = await self._session.plain(Role.CONTROL, self._at(step), elsewhere=elsewhere)
        self.exchanges.append(control)

    def sent(self, name: str) -> list[ComposedRequest]:
        """What was sent under `name`."""
        return self._named[name]

    async def step(self, index: int, step: Step) -> list[Exchange]:
        """Carry out one step; the exchanges that it made."""
        found: list[Exchange] = []
        ids: list[str] = []
        wanted = [expect.processed for expect in step.expects if expect.processed is not None]
        observed = bool(wanted) and self._session.profile.observed
        if observed and wanted == ["unchanged"] and step.send is not None and step.send.repeat_of:
            ids = [sent.msg_id for sent in self._named[step.send.repeat_of]]
            found = await self._session.effects(ids, 1, self._at(index))
        if step.send is not None and step.send.background:
            self._behind.append(asyncio.ensure_future(self._send(index, step.send)))
            await self._session.clock.sleep(BACKGROUND_LEAD)
        elif step.send is not None:
            found += await self._send(index, step.send)
            self._note_busy(step)
        elif step.resend:
            found = await self._resend(index)
        elif step.restart:
            await self._restart()
        elif step.observe is not None:
            ids = [sent.msg_id for sent in self._named[step.observe]]
        elif step.pause:
            await self._session.clock.sleep(step.pause)
        if observed:
            ids = ids or list(dict.fromkeys(each.msg_id for each in found if each.msg_id))
            effects = 1 if wanted[0] == "unchanged" else wanted[0]
            # What is looked at must be able to show what the instance does that was sent to.
            elsewhere = step.send is not None and step.send.other_instance
            accepted = self._session.profile.accepted
            taken = {e.msg_id for e in (*self.exchanges, *found) if e.status in accepted}
            found += await self._observe(index, ids, effects, taken, elsewhere=elsewhere)
        return found

    async def _send(self, index: int, send: Send) -> list[Exchange]:
        requests = self._compose(send)
        burst = send.at_once or send.copies > 1
        gate = Gate(len(requests)) if burst else None
        exchanges = await asyncio.gather(
            *(
                self._session.exchange(
                    sent, Role.PROBE, self._at(index), gate=gate, kept=self._kept
                )
                for sent in requests
            )
        )
        self._answered = list(zip(requests, exchanges, strict=True))
        return list(exchanges)

    def _compose(self, send: Send) -> list[ComposedRequest]:
        session = self._session
        if send.repeat_of is not None:
            earlier = self._named[send.repeat_of][-(send.last or 0) :]
            requests = [
                session.compose(send, {**self._first_of_each(), send.repeat_of: sent})
                for sent in earlier
            ]
        else:
            requests = [session.compose(send, self._first_of_each()) for _ in range(send.messages)]
        if send.copies > 1:
            requests = [requests[0]] * send.copies
        if send.name is not None:
            self._named[send.name] = requests
        return requests

    def _first_of_each(self) -> dict[str, ComposedRequest]:
        return {name: sent[0] for name, sent in self._named.items()}

    def _note_busy(self, step: Step) -> None:
        """Remember valid messages that were not taken for the moment."""
        send = step.send
        valid = not self._rule.startswith("receiver.body.") and (
            send is not None
            and send.method == "POST"
            and not (
                send.tampering
                or send.mutation
                or send.body
                or send.signature_of
                or send.without
                or send.timestamp
                or send.repeat_of  # its id may be known since it was sent first
                or send.id_of
            )
        )
        if valid:
            # Without an observer, whether an unanswered message took effect cannot be told.
            profile = self._session.profile
            taken = {sent.msg_id for sent, e in self._answered if e.status in profile.accepted}
            self._busy += [
                sent
                for sent, exchange in self._answered
                if is_busy(exchange)
                and sent.msg_id not in taken  # of another copy
                and (profile.observed or exchange.status is not None)
            ]

    async def _resend(self, index: int) -> list[Exchange]:
        again = Send(repeat_of="it")
        waiting = list({sent.msg_id: sent for sent in self._busy}.values())[:MOST_RETRIED]
        found: list[Exchange] = []
        for sent in waiting:
            for _ in range(RETRIES):
                request = self._session.compose(again, {"it": sent})
                exchange = await self._session.exchange(request, Role.PROBE, self._at(index))
                found.append(exchange)
                if not is_busy(exchange):
                    break
                await self._session.clock.sleep(RETRY_SECONDS)
        return found

    async def _restart(self) -> None:
        session, command = self._session, self._session.options.restart_command
        assert command is not None  # noqa: S101 - the case needs it, else it is skipped

        async def serves() -> bool:
            await session.wire.renew()
            back = await session.plain(Role.CONTROL, BETWEEN)
            return back.status in session.profile.accepted

        await restart(
            command, serves, session.clock, "the receiver did not accept a plain valid message"
        )

    async def _observe(
        self,
        index: int,
        ids: Sequence[str],
        wanted: int,
        taken: Collection[str | None],
        *,
        elsewhere: bool,
    ) -> list[Exchange]:
        """Ask about effects, once a later plain message has shown its own. Only what was `taken` is
        waited for."""
        at = self._at(index)
        asked: list[Exchange] = []
        lossy = self._session.unshown >= LOSSY_AFTER
        for seconds in (LOSSY_SECONDS,) if lossy else LATER:
            later = await self._session.plain(Role.CONTROL, at, elsewhere=elsewhere)
            asked.append(later)
            if later.status not in self._session.profile.accepted:
                break
            asked += await self._session.effects([str(later.msg_id)], 1, at, seconds)
            if count(asked[-1]) != 0:
                break
        else:
            self._session.unshown += 1
        asked += await self._session.effects([each for each in ids if each in taken], wanted, at)
        return asked + await self._session.effects([e for e in ids if e not in taken], 0, at)


def is_busy(exchange: Exchange) -> bool:
    """Whether an answer, or its lack, says "not now" rather than "not this"."""
    if exchange.status is not None:
        return exchange.status == 429 or exchange.status >= 500
    return exchange.fault in (Fault.TIMEOUT, Fault.CLOSED)
