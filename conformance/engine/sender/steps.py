"""Carrying out the steps of one case at the sender, and waiting for what must, or must not, come."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

from conformance import fuzz
from conformance.checks.sender.api import message
from conformance.checks.sender.attempt_count import expected_attempts
from conformance.engine.command import AGAIN_SECONDS, restart
from conformance.engine.exchanges import At
from conformance.engine.sender.session import (
    CHANNELS,
    EmittedMessage,
    Registration,
    SenderSession,
    Settled,
    accepted,
)
from conformance.model.exchange import Exchange
from conformance.model.rules import Unjudged
from conformance.model.text import Text
from conformance.receiver.mock import MockEndpoint, RefusingEndpoint
from conformance.scenario.records import Case
from conformance.scenario.sender import Action, Call, Emit

EMIT_TRIES, PATIENT_TRIES = 5, 50
"""How often an event that is refused as one too many (429, 503) is given again, and one of a crowd."""
MOST_SCRIPTS = 40
"""Messages that each meet drawn answers: some of them hold the sender up until its deadline."""

Attempts = tuple[int, int | None]
"""How many there must be for a message, at least and at most."""


class ConfigurationRefusedError(Exception):
    """A sender did not take what a case needs. `unjudged` says so."""

    def __init__(self, answer: Exchange) -> None:
        words = message(answer) or answer.detail
        what = f"{answer.status or answer.fault}" + (f": {words}" if words else "")
        said = Text(
            f"not judged: the sender did not take this configuration ({what})",
            f"未判定：發送方未接受這項配置（{what}）",
        )
        passing = answer.status is None or answer.status == 429 or answer.status >= 500
        self.unjudged = Unjudged(said, error=passing, exchanges=(answer.id,))


class SenderCaseRun:
    """One case on its way. It has a configuration of its own, or shares `registration` with other cases whose
    configuration is the same."""

    def __init__(
        self,
        session: SenderSession,
        rule: str,
        case: Case,
        registration: Registration | None = None,
    ) -> None:
        self._session = session
        self._sending = case.sender_case
        self._at = At(rule, case.name)
        self._shared = registration
        self._answers = case.sender_case.endpoint.answers
        self._other: Registration | None = None
        self._named: dict[str, list[EmittedMessage]] = {}
        self._steps: dict[str, int] = {}  # msgId → the step that gave it last
        self._emitted: dict[str, float] = {}

    async def run(self) -> list[Exchange]:
        """All exchanges of the case: calls, events, and the attempts that came. Raises
        ConfigurationRefusedError."""
        session, sender_case = self._session, self._sending
        began = len(session.trace)
        posts: list[Registration] = []
        kinds: Sequence[str] = sender_case.kinds or [session.channel(crowded=sender_case.crowded)]
        if sender_case.drawn == "contents":
            kinds = CHANNELS
        try:
            if sender_case.other is not None:
                self._other = await session.configure(
                    sender_case.other, self._at, kinds, other=True, scripted=True
                )
                posts.append(self._other)
                _stands(self._other)
            if self._shared is None:
                registration = await session.configure(
                    sender_case.endpoint,
                    self._at,
                    kinds,
                    scripted=not sender_case.emits,  # a Test has an id that nobody can know before
                    to=self._other,
                )
                posts.append(registration)
            self._post = self._shared or registration
            _stands(self._post)
            for index, action in enumerate(sender_case.actions):
                await self._act(index, action)
        finally:
            self._take(posts)
            for registration in posts:
                await asyncio.shield(session.unregister(registration))
        at = self._at
        mine = [
            e for e in session.trace.exchanges[began:] if (e.rule, e.case) == (at.rule, at.case)
        ]
        return sorted(mine, key=lambda each: (each.started, each.id))

    def _take(self, posts: Sequence[Registration]) -> None:
        """Put what came for the case into the trace, under the step that gave the message."""
        at = self._at
        steps: dict[str | None, At] = {
            msg_id: At(at.rule, at.case, step) for msg_id, step in self._steps.items()
        }
        for registration in posts:
            self._session.take(registration, steps)
        if self._shared is not None:
            self._session.take(self._shared, steps, own=True)

    async def _act(self, index: int, action: Action) -> None:
        at = At(self._at.rule, self._at.case, index)
        if action.answers:
            self._answers = action.answers
            self._post.endpoint.assign(
                self._steps, self._session.answers(action.answers, self._other)
            )
        since = self._session.clock.monotonic()
        if action.emit is not None:
            await self._emit(index, action.emit, at)
        elif action.call is not None:
            await self._call(action.call, at)
        elif action.restart:
            await self._restart()
        await self._wait(index, action, since)

    async def _emit(self, index: int, emit: Emit, at: At) -> None:
        session, registration = self._session, self._post
        if emit.repeat_of is not None:
            events = self._named[emit.repeat_of]
        elif emit.drawn is not None:
            events = await self._drawn(emit)
        else:
            events = session.events(emit, registration.kind)
            ids = [event.msg_id for event in events]
            registration.endpoint.assign(ids, session.answers(self._answers, self._other))
            if self._other is not None and self._sending.other is not None:
                answers = self._sending.other.answers
                self._other.endpoint.assign(ids, session.answers(answers, None))
        if emit.name is not None:
            self._named[emit.name] = events
        self._steps |= {event.msg_id: index for event in events}
        opening = asyncio.ensure_future(self._open()) if self._refuses else None
        tries = EMIT_TRIES if emit.drawn is None else PATIENT_TRIES
        given = await asyncio.gather(*(self._give(event, at, tries) for event in events))
        for each in given:
            self._emitted[str(each.msg_id)] = each.ended
            if emit.drawn is not None and not accepted(each):
                del self._steps[str(each.msg_id)]  # nothing is to be waited for
        if opening is not None:
            await opening

    async def _drawn(self, emit: Emit) -> list[EmittedMessage]:
        """Events with drawn contents; or plain ones, each with drawn answers."""
        session, options, endpoint = self._session, self._session.options, self._post.endpoint
        if emit.drawn == "contents":
            drawn = await asyncio.to_thread(fuzz.contents, options.fuzz, options.seed)
            events = session.drawn(drawn)
            endpoint.assign((event.msg_id for event in events), ())
            return events
        most = min(options.fuzz, MOST_SCRIPTS)
        scripts = await asyncio.to_thread(fuzz.scripts, most, options.seed)
        events = session.events(Emit(messages=len(scripts)), self._post.kind)
        for event, script in zip(events, scripts, strict=True):
            endpoint.assign([event.msg_id], session.answers(script, None))
        return events

    async def _give(self, event: EmittedMessage, at: At, tries: int) -> Exchange:
        session = self._session
        for _ in range(tries):
            emitted = await session.emit(event, at)
            if emitted.status not in (429, 503):
                break
            await session.clock.sleep(AGAIN_SECONDS)
        return emitted

    @property
    def _refuses(self) -> bool:
        return isinstance(self._post.endpoint, RefusingEndpoint)

    async def _open(self) -> None:
        """Let a refusing endpoint take connections, once the first attempt was refused."""
        await self._session.clock.sleep(self._session.profile.refusal)
        assert isinstance(self._post.endpoint, RefusingEndpoint)  # noqa: S101 - asked before
        await self._post.endpoint.listen()

    async def _call(self, call: Call, at: At) -> None:
        session, registration = self._session, self._post
        match call.name:
            case "List":
                await session.call("List", at)
            case "Test":
                await session.call("Test", at, id=registration.ident)
            case "Config":
                fields = _without_none({**registration.settings, **call.fields})
                await session.submit(registration, at, fields)
            case _:
                whole = (
                    registration.settings
                    if call.name == "Update"
                    else {"URL": registration.settings["URL"]}
                )
                changes = session.settings_in(call.fields)
                fields = {**session.naming(registration), **whole, **changes}
                registration.settings |= changes
                await session.call("Update", at, _without_none(fields))

    async def _restart(self) -> None:
        session, command = self._session, self._session.options.restart_command
        assert command is not None  # noqa: S101 - the case needs it, else it is skipped

        async def serves() -> bool:
            await session.wire.renew()
            return (await session.call("List", At(case="between"))).status is not None

        await restart(command, serves, session.clock, "the sender's API did not answer")

    async def _wait(self, index: int, action: Action, since: float) -> None:
        """Wait for what the step's expectations are about."""
        ids = [msg_id for msg_id, step in self._steps.items() if step == index]
        for seen in action.expectations:
            endpoint = self._other.endpoint if seen.other and self._other else self._post.endpoint
            if seen.attempts is not None:
                await self._session.until(endpoint, self._attempted(endpoint, ids, seen.attempts))
            if seen.arrives is False:
                await self._session.until(endpoint, self._quiet(ids, since))
            elif seen.arrives:
                await self._session.until(endpoint, self._arrived(endpoint, ids, since))
            if seen.check == "as-answered":
                await self._session.until(endpoint, self._attempted(endpoint, ids))
            if seen.check == "delivered-after-restart":
                await self._session.until(endpoint, self._delivered(endpoint, since))

    def _attempted(
        self, endpoint: MockEndpoint, ids: Sequence[str], wanted: Attempts | None = None
    ) -> Settled:
        """As many attempts for each message as are `wanted`, or else as its answers ask for."""
        retry_count = self._post.settings["RetryCount"]
        profile = self._session.profile

        def settled() -> float | None:
            came = by_message(endpoint)
            # As long as it works through many messages, none of them is late.
            busy = last_sign(came, ids) if len(ids) > 1 else 0.0
            waiting = []
            for msg_id in ids:
                attempts = came[msg_id]
                least, most = wanted or (expected_attempts(attempts, retry_count),) * 2
                if len(attempts) >= least and (most is None or len(attempts) > most):
                    continue
                if msg_id in self._emitted:
                    made = len(attempts)
                    still = profile.patience(1) if made < least else profile.quiet_after(made)
                    due = profile.due(attempts, self._emitted[msg_id], most)
                    waiting.append(max(busy + still, due) if busy else due)
            return max(waiting, default=None)

        return settled

    def _quiet(self, ids: Sequence[str], since: float) -> Settled:
        """Nothing is to come for so long after the messages were given, and after what came of them."""
        given = [self._emitted[msg_id] for msg_id in ids if msg_id in self._emitted]
        own = by_message(self._post.endpoint)
        last = max([since, last_sign(own, ids), *given])
        return lambda: last + self._session.profile.quiet

    def _arrived(self, endpoint: MockEndpoint, ids: Sequence[str], since: float) -> Settled:
        """Each message at least once; or, after a call of Test, anything at all."""
        profile = self._session.profile
        arrival = profile.arrival
        if self._refuses:  # the attempts that were refused came first
            arrival += profile.patience(1) + profile.patience(2)

        def settled() -> float | None:
            came = by_message(endpoint)
            if ids:
                missing = [msg_id for msg_id in ids if not came[msg_id]]
                given = [self._emitted.get(msg_id, since) for msg_id in missing]
                return max([last_sign(came, ids), *given]) + arrival if given else None
            came_since = [each for each in endpoint.arrivals if each.started >= since]
            fresh = any(not self._session.made(each) for each in came_since)
            return None if fresh else since + arrival

        return settled

    def _delivered(self, endpoint: MockEndpoint, since: float) -> Settled:
        """Every message answered 200, however often it has failed before."""
        profile = self._session.profile

        def settled() -> float | None:
            came = by_message(endpoint)
            missing = [
                came[msg_id]
                for msg_id in self._steps
                if not any(each.status == 200 for each in came[msg_id])
            ]
            patience = [profile.patience(len(attempts) + 1) for attempts in missing]
            return since + profile.arrival + max(patience) if patience else None

        return settled


def _stands(registration: Registration) -> None:
    if registration.answer is not None and not registration.active:
        raise ConfigurationRefusedError(registration.answer)


def by_message(endpoint: MockEndpoint) -> defaultdict[str, list[Exchange]]:
    """msgId → the attempts that came to an endpoint, in their order."""
    came: defaultdict[str, list[Exchange]] = defaultdict(list)
    for each in endpoint.arrivals:
        if each.msg_id is not None:
            came[each.msg_id].append(each)
    return came


def last_sign(came: Mapping[str, Sequence[Exchange]], ids: Sequence[str]) -> float:
    """When something came for one of the messages last."""
    return max((e.ended for msg_id in ids for e in came.get(msg_id, ())), default=0.0)


def _without_none(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
