"""Carries out the steps of one case at the sender, and waits for the deliveries that must, or must not,
arrive.

Knows nothing of how the exchanges are judged, but for how long the expectations make it wait.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from conformance import fuzz
from conformance.checks.registry import CHECKS
from conformance.checks.sender.api import message
from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.waiting import Waiting, enough_attempts
from conformance.engine.case_record import CannotRunError
from conformance.engine.command import POLL_SECONDS, restart
from conformance.engine.exchanges import Place
from conformance.engine.sender.emitter import EmittedMessage, accepted
from conformance.engine.sender.registrations import CHANNELS, Registration, SenderPeer, scripted
from conformance.engine.sender.session import Settled
from conformance.model.exchange import Exchange
from conformance.model.rules import Unjudged
from conformance.model.sentence import Sentence
from conformance.receiver.mock import MockEndpoint, RefusingEndpoint
from conformance.scenario.records import Case
from conformance.scenario.sender import Action, Call, Emit

EMIT_TRIES, PATIENT_TRIES = 5, 50
"""How often an event that the sender refuses as one too many (429, 503) is emitted at most: normally,
and when it is one of many drawn ones."""
MOST_SCRIPTS = 40
"""Messages that get drawn answers, at most: some of these answers stall the sender until its deadline."""


class SenderCaseRun:
    """One case while it runs. It has a configuration of its own, or shares `registration` with other cases
    that need the same configuration."""

    def __init__(
        self, peer: SenderPeer, rule: str, case: Case, registration: Registration | None
    ) -> None:
        self._peer = peer
        self._session = peer.session
        self._sender_case = case.sender_case
        self._place = Place(rule, case.name)
        self._shared = registration
        self._answers = case.sender_case.endpoint.answers
        self._other: Registration | None = None
        self._by_name: dict[str, list[EmittedMessage]] = {}
        self._steps: dict[str, int] = {}  # msgId → the step that emitted it last
        self._emit_times: dict[str, float] = {}  # msgId → when the call that emitted it ended

    async def run(self) -> list[Exchange]:
        """Carry out the case. Returns all of its exchanges: API calls, events and delivery attempts, in the
        order in which they began. Raises CannotRunError."""
        trace, registrations = self._session.trace, self._peer.registrations
        before = len(trace)
        own: list[Registration] = []
        try:
            await self._register(own)
            for index, action in enumerate(self._sender_case.actions):
                await self._act(index, action)
        finally:
            self._record_arrivals(own)
            for registration in own:
                await asyncio.shield(registrations.unregister(registration))
        key = self._place.rule, self._place.case
        exchanges = [e for e in trace.exchanges[before:] if (e.rule, e.case) == key]
        return sorted(exchanges, key=lambda exchange: (exchange.started, exchange.id))

    async def _register(self, own: list[Registration]) -> None:
        """Register the case's endpoints, and put into `own` those that it does not share with others."""
        sender_case, registrations = self._sender_case, self._peer.registrations
        kinds: Sequence[str] = sender_case.kinds or [
            registrations.channel(crowded=sender_case.crowded)
        ]
        if sender_case.drawn == "contents":
            kinds = CHANNELS
        if sender_case.other is not None:
            self._other = registrations.open_other(sender_case.other, self._place, kinds)
            self._other.endpoint.script(scripted(sender_case.other.answers))
            if sender_case.other.configured:
                await registrations.submit(self._other, self._place)
            own.append(self._other)
            _require_active(self._other)
        if self._shared is not None:
            self._registration = self._shared
        else:
            self._registration = registrations.open(sender_case.endpoint, self._place, kinds)
            if not sender_case.emits:  # nobody knows the id of a Test in advance
                answers = scripted(sender_case.endpoint.answers, self._other)
                self._registration.endpoint.script(answers)
            if sender_case.endpoint.configured:
                await registrations.submit(self._registration, self._place)
            own.append(self._registration)
        _require_active(self._registration)

    def _at_step(self, step: int) -> Place:
        return Place(self._place.rule, self._place.case, step)

    def _record_arrivals(self, registrations: Sequence[Registration]) -> None:
        """Put the case's arrivals into the trace, under the step that emitted their message."""
        places: dict[str | None, Place] = {
            msg_id: self._at_step(step) for msg_id, step in self._steps.items()
        }
        for registration in registrations:
            self._peer.registrations.record_arrivals(registration, places)
            if self._sender_case.endpoint.kind == "untrusted":
                self._peer.registrations.record_handshakes(registration, "untrusted")
        if self._shared is not None:
            self._peer.registrations.record_own_arrivals(self._shared, places)

    async def _act(self, index: int, action: Action) -> None:
        if action.answers:
            self._answers = action.answers
            self._registration.endpoint.assign(self._steps, scripted(action.answers, self._other))
        since = self._session.clock.monotonic()
        if action.emit is not None:
            await self._emit(index, action.emit)
        elif action.call is not None:
            await self._call(action.call, self._at_step(index))
        elif action.restart:
            await self._restart()
        await self._wait(index, action, since)

    async def _emit(self, index: int, emit: Emit) -> None:
        events = await self._events(emit)
        if emit.name is not None:
            self._by_name[emit.name] = events
        self._steps |= {event.msg_id: index for event in events}
        opening = asyncio.ensure_future(self._open()) if self._refuses else None
        tries = EMIT_TRIES if emit.drawn is None else PATIENT_TRIES
        place = self._at_step(index)
        calls = await asyncio.gather(*(self._emit_event(event, place, tries) for event in events))
        for call in calls:
            self._emit_times[str(call.msg_id)] = call.ended
            if emit.drawn is not None and not accepted(call):
                del self._steps[str(call.msg_id)]  # there is nothing to wait for
        if opening is not None:
            await opening

    async def _events(self, emit: Emit) -> list[EmittedMessage]:
        """The events that a step emits, with the answers assigned that their attempts get."""
        registration = self._registration
        if emit.repeat_of is not None:
            return self._by_name[emit.repeat_of]
        if emit.drawn is not None:
            return await self._drawn_events(emit)
        events = self._peer.emitter.events(emit, registration.kind)
        ids = [event.msg_id for event in events]
        registration.endpoint.assign(ids, scripted(self._answers, self._other))
        if self._other is not None and self._sender_case.other is not None:
            answers = self._sender_case.other.answers
            self._other.endpoint.assign(ids, scripted(answers))
        return events

    async def _drawn_events(self, emit: Emit) -> list[EmittedMessage]:
        """Events with drawn contents; or plain ones, each with drawn answers."""
        emitter, options = self._peer.emitter, self._session.options
        endpoint = self._registration.endpoint
        if emit.drawn == "contents":
            contents = await asyncio.to_thread(fuzz.contents, options.fuzz, options.seed)
            events = emitter.events_with(contents)
            endpoint.assign((event.msg_id for event in events), ())
            return events
        number = min(options.fuzz, MOST_SCRIPTS)
        scripts = await asyncio.to_thread(fuzz.scripts, number, options.seed)
        events = emitter.events(Emit(messages=len(scripts)), self._registration.kind)
        for event, script in zip(events, scripts, strict=True):
            endpoint.assign([event.msg_id], scripted(script))
        return events

    async def _emit_event(self, event: EmittedMessage, place: Place, tries: int) -> Exchange:
        for _ in range(tries):
            emitted = await self._peer.emitter.emit(event, place)
            if emitted.status not in (429, 503):
                break
            await self._session.clock.sleep(POLL_SECONDS)
        return emitted

    @property
    def _refuses(self) -> bool:
        return isinstance(self._registration.endpoint, RefusingEndpoint)

    async def _open(self) -> None:
        """Let a refusing endpoint accept connections, once it has refused the first attempt."""
        await self._session.clock.sleep(self._session.profile.refusal)
        endpoint = self._registration.endpoint
        assert isinstance(endpoint, RefusingEndpoint)  # noqa: S101 - `_refuses` was checked
        await endpoint.listen()

    async def _call(self, call: Call, place: Place) -> None:
        session, registrations = self._session, self._peer.registrations
        registration = self._registration
        match call.name:
            case "List":
                await session.call("List", place)
            case "Test":
                await session.call("Test", place, id=registration.ident)
            case "Config":
                fields = _without_none({**registration.settings, **call.fields})
                await registrations.submit(registration, place, fields)
            case _:
                settings = (
                    registration.settings
                    if call.name == "Update"
                    else {"URL": registration.settings["URL"]}
                )
                changes = registrations.settings_in(call.fields)
                fields = {**registrations.id_field(registration), **settings, **changes}
                registration.settings |= changes
                await session.call("Update", place, _without_none(fields))

    async def _restart(self) -> None:
        session, command = self._session, self._session.options.restart_command
        assert command is not None  # noqa: S101 - without it the case is skipped

        async def serves() -> bool:
            session.send_options = session.send_options.renewed()
            return (await session.call("List", Place(case="between"))).status is not None

        await restart(command, serves, session.clock, Sentence("the sender's API did not answer"))

    async def _wait(self, index: int, action: Action, since: float) -> None:
        """Wait for what the step expects."""
        ids = [msg_id for msg_id, step in self._steps.items() if step == index]
        until = self._session.until
        for expected in action.expectations:
            other = self._other if expected.other else None
            endpoint = (other or self._registration).endpoint
            if expected.attempts is not None:
                enough = partial(enough_attempts, expected=expected.attempts)
                await until(endpoint, self._settled(enough, endpoint, ids, since))
            if expected.arrives is False:
                await until(endpoint, self._quiet(ids, since))
            elif expected.arrives:
                await until(endpoint, self._all_arrived(endpoint, ids, since))
            check = CHECKS["sender"].get(expected.check or "")
            if check is not None and check.settled_when is not None:
                await until(endpoint, self._settled(check.settled_when, endpoint, ids, since))

    def _settled(
        self,
        settled_when: Callable[[Waiting, SenderProfile], float | None],
        endpoint: MockEndpoint,
        ids: Sequence[str],
        since: float,
    ) -> Settled:
        """`settled_when` for what has arrived at `endpoint` by then."""
        retry_count = self._registration.settings["RetryCount"]

        def settled() -> float | None:
            waiting = Waiting(by_message(endpoint), ids, self._emit_times, since, retry_count)
            return settled_when(waiting, self._session.profile)

        return settled

    def _quiet(self, ids: Sequence[str], since: float) -> Settled:
        """Settled after the profile's quiet time without a new arrival. It begins when the messages were
        emitted, or with the last arrival for them at the case's own endpoint."""
        starts = [self._emit_times[msg_id] for msg_id in ids if msg_id in self._emit_times]
        own = by_message(self._registration.endpoint)
        last = max([since, last_arrival(own, ids), *starts])
        return lambda: last + self._session.profile.quiet

    def _all_arrived(self, endpoint: MockEndpoint, ids: Sequence[str], since: float) -> Settled:
        """Settled when each message has arrived at least once; or, after a call of Test, when anything has
        arrived that was not emitted."""
        profile = self._session.profile
        arrival = profile.arrival
        if self._refuses:  # the refused attempts come first
            arrival += profile.patience(1) + profile.patience(2)

        def settled() -> float | None:
            by_id = by_message(endpoint)
            if ids:
                missing = [msg_id for msg_id in ids if not by_id[msg_id]]
                starts = [self._emit_times.get(msg_id, since) for msg_id in missing]
                return max([last_arrival(by_id, ids), *starts]) + arrival if starts else None
            recent = [each for each in endpoint.arrivals if each.started >= since]
            tested = any(not self._peer.emitter.was_emitted(each) for each in recent)
            return None if tested else since + arrival

        return settled


def _require_active(registration: Registration) -> None:
    """Raise CannotRunError when the sender refused the configuration that a case needs."""
    answer = registration.answer
    if answer is None or registration.active:
        return
    words = message(answer) or answer.detail
    detail = f"{answer.status or answer.fault}" + (f": {words}" if words else "")
    reason = Sentence(
        "not judged: the sender did not accept this configuration ({detail})", detail=detail
    )
    temporary = answer.status is None or answer.status == 429 or answer.status >= 500
    code = "configuration-refused"
    raise CannotRunError(Unjudged(code, reason, error=temporary, exchanges=(answer.id,)))


def by_message(endpoint: MockEndpoint) -> defaultdict[str, list[Exchange]]:
    """msgId → the attempts that arrived at an endpoint, in their order."""
    attempts: defaultdict[str, list[Exchange]] = defaultdict(list)
    for arrival in endpoint.arrivals:
        if arrival.msg_id is not None:
            attempts[arrival.msg_id].append(arrival)
    return attempts


def last_arrival(by_id: Mapping[str, Sequence[Exchange]], ids: Sequence[str]) -> float:
    """When (monotonic) the last attempt for one of the messages ended; 0 if there is none."""
    return max((e.ended for msg_id in ids for e in by_id.get(msg_id, ())), default=0.0)


def _without_none(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
