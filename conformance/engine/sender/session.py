"""Calls one sender's API, registers mock endpoints with it, emits messages, and records the exchanges.

Knows nothing of rules and judgements.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from conformance.checks.sender.api import configuration_of, ident_of, succeeded
from conformance.checks.sender.profile import SenderProfile
from conformance.engine.command import run_command
from conformance.engine.exchanges import USER_AGENT, Place, exchange_of
from conformance.engine.stalls import Stalls
from conformance.model.clock import Clock
from conformance.model.exchange import (
    Answer,
    Exchange,
    Fault,
    Headers,
    Request,
    Role,
    Transport,
)
from conformance.options.sender import SenderOptions
from conformance.protocol.message import TYPES, build, mark_in, marked
from conformance.receiver import script
from conformance.receiver.mock import Mock, MockEndpoint
from conformance.scenario.sender import Emit, Endpoint, ScriptedAnswer
from conformance.trace import MASK, Trace
from conformance.wire.client import Wire
from conformance.wire.reply import Reply

CHANNELS = ("link", "image", "voice", "video", "emoji", "text")
"""Kinds of messages. Each configuration asks for one of them, so that it does not get what others get."""

SETTINGS: dict[str, Any] = {
    "Enabled": True,
    "Timeout": 5,
    "RetryCount": 3,
    "IncludeSelfMessage": False,
}
"""The settings of a configuration, unless a scenario says otherwise."""

METHODS = {"Config": "POST", "List": "GET", "Test": "GET", "Update": "PUT", "Delete": "DELETE"}
"""API call → HTTP method. The protocol defines them, except for Delete, which some senders add."""

OTHER_SECRET = "{other-secret}"  # noqa: S105 - a placeholder
"""What stands for the secret of other endpoints in a scenario."""

BEFORE = Place()
"""The place of exchanges that belong to no case."""

BATCH_SECONDS = 0.01
"""Seconds in which arrivals are gathered before they are examined."""

Settled = Callable[[], float | None]
"""When (monotonic) to stop waiting; None when everything has arrived."""

SHORT_ID, LONG_ID = (10**14, 9 * 10**14), (10**18, 9 * 10**18)
"""Ranges of ids. A double holds a short id exactly; only the scenario about rounding uses a long one."""


@dataclass(slots=True)
class Registration:
    """A configuration at the sender, and the mock endpoint that it leads to.

    `kind` is the kind of messages that it asks for, `place` where exchanges at the endpoint belong
    unless their message says otherwise, `role` their role. `ident` is the ID that the sender assigned,
    None if it assigned none. `active` says whether the sender may have the configuration. `answer` is the
    exchange that created it.
    """

    endpoint: MockEndpoint
    settings: dict[str, Any]
    kind: str
    place: Place
    role: Role = Role.ATTEMPT
    ident: object = None
    active: bool = False
    answer: Exchange | None = None


@dataclass(frozen=True, slots=True)
class EmittedMessage:
    """A message event as it is handed to the sender: the guide's body without `timestamp`."""

    msg_id: str
    fields: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The event as it is sent."""
        return json.dumps(self.fields, ensure_ascii=False, separators=(",", ":")).encode()


class SenderSession:  # noqa: PLR0904 - the rebuild of the runner splits it
    """One run's connection to its sender.

    `mocks` maps the way in which an endpoint is reached to its mock receiver: "" for the default one,
    "http", "https", "untrusted". Preflight replaces `profile` as it learns; afterwards only `deletes` in it
    changes. `stalls` measures when this process itself was stalled.
    """

    def __init__(  # noqa: PLR0913 - the rebuild of the runner splits this class
        self,
        options: SenderOptions,
        wire: Wire,
        mocks: Mapping[str, Mock],
        profile: SenderProfile,
        clock: Clock,
        stalls: Stalls,
    ) -> None:
        self.options = options
        self.wire = wire
        self.mocks = dict(mocks)
        self.profile = profile
        self.clock = clock
        self.stalls = stalls
        self.trace = Trace()
        self.registrations: list[Registration] = []
        self._recorded: set[tuple[str, int]] = set()  # (path of the endpoint, id of the arrival)
        self._emitted_ids: set[str | None] = set()
        self._channel = 0
        source = random.SystemRandom()
        self._next_id = source.randrange(*SHORT_ID)
        self._next_long = source.randrange(*LONG_ID)

    def fresh_id(self, *, long: bool = False) -> str:
        """A msgId that no run has used before."""
        if long:
            self._next_long += 11
            return str(self._next_long)
        self._next_id += 11
        return str(self._next_id)

    async def call(
        self, name: str, place: Place, fields: Mapping[str, Any] | None = None, **query: object
    ) -> Exchange:
        """Call the API: one of METHODS, with `fields` as the JSON body. Records the exchange without the
        secret and the API key."""
        recorded_query = {k: str(v) for k, v in query.items() if v is not None}
        key = self.options.api_key
        secret = {"key": key.decode("utf-8", "replace")} if key is not None else {}
        url = f"{self.options.api_url.rstrip('/')}/{name}"
        headers: Headers = ((b"User-Agent", USER_AGENT.encode()),)
        body = recorded_body = b""
        if fields is not None:
            headers += ((b"Content-Type", b"application/json"),)
            body = json.dumps(fields, ensure_ascii=False).encode()
            masked = {"Secret": MASK.decode()} if fields.get("Secret") else {}
            recorded_body = json.dumps({**fields, **masked}, ensure_ascii=False).encode()
        method = METHODS[name]
        reply = await self.wire.send(
            Request(method, _with(url, {**recorded_query, **secret}), headers, body)
        )
        request = Request(method, _with(url, recorded_query), headers, recorded_body)
        return self.trace.add(exchange_of(request, None, reply, Role.API, place, None))

    async def configure(  # noqa: PLR0913 - one CaseRecord will take their place
        self,
        listener: Endpoint,
        place: Place,
        kinds: Sequence[str] = (),
        *,
        other: bool = False,
        scripted: bool = False,
        to: Registration | None = None,
    ) -> Registration:
        """Open an endpoint, and register it with the sender for messages of `kinds`, unless `listener` is
        to have no configuration.

        When `scripted`, the endpoint answers every request as `listener` says, and redirects to `to`;
        otherwise it so answers only the messages that are assigned to it. `other` marks a scenario's
        second endpoint, which has a secret of its own.
        """
        mock = self.mocks.get(listener.kind or "", self.mocks[""])
        endpoint = mock.refusing_endpoint() if listener.kind == "refusing" else mock.endpoint()
        if scripted:
            endpoint.script(self.answers(listener.answers, to))
        kind, types = self._kind(listener, kinds)
        secret = self.profile.other_secret if other else self.options.secret
        settings = {
            "URL": endpoint.url,
            "Secret": secret.decode("utf-8", "replace"),
            **SETTINGS,
            **listener.configure,
            "MessageTypes": types,
        }
        role = Role.ELSEWHERE if other else Role.ATTEMPT
        registration = Registration(endpoint, settings, kind, place, role)
        self.registrations.append(registration)
        if listener.configured:
            await self.submit(registration, place)
        return registration

    async def submit(
        self, registration: Registration, place: Place, fields: Mapping[str, Any] | None = None
    ) -> Exchange:
        """POST the configuration, or `fields` in its place, and learn its ID from the answer, or else
        from List."""
        registration.active = True  # the sender may have it, should this be cancelled
        fields = registration.settings if fields is None else fields
        answer = await self.call("Config", place, fields)
        registration.active = answer.status is not None and answer.status < 300
        registration.answer, registration.ident = answer, ident_of(answer)
        if registration.active and registration.ident is None:
            registration.ident = await self._listed_id(registration)
        return answer

    async def _listed_id(self, registration: Registration) -> object:
        listed = configuration_of(
            await self.call("List", Place(case="between")), registration.endpoint.url
        )
        return (listed or {}).get("id")

    async def unregister(self, registration: Registration) -> None:
        """Delete a configuration, or disable it when the sender has no Delete. Deletes only by ID: without
        one, Delete might remove every configuration."""
        if not registration.active:
            return
        registration.active = False
        place = Place(case="after")
        if registration.ident is None:  # its creation was cancelled, or the sender has no IDs
            registration.ident = await self._listed_id(registration)
        if self.profile.deletes and registration.ident is not None:
            deleted = await self.call("Delete", place, id=registration.ident)
            if deleted.status is None or succeeded(deleted):
                return
            self.profile = replace(self.profile, deletes=False)
        fields = {**self.id_field(registration), **registration.settings, "Enabled": False}
        await self.call("Update", place, fields)

    async def unregister_all(self) -> None:
        """Remove every configuration that is still active, as some are when a run is cancelled."""
        for registration in self.registrations:
            await self.unregister(registration)

    async def until(self, endpoint: MockEndpoint, settled: Settled) -> None:
        """Wait for arrivals at `endpoint` until `settled` says that they suffice, or its time is over.
        Seconds for which this process was stalled meanwhile do not count."""
        begin = self.clock.monotonic()
        while (until := settled()) is not None:
            left = until + self.stalls.lost(begin) - self.clock.monotonic()
            if left <= 0:
                return
            if await endpoint.changed(left):
                await self.clock.sleep(BATCH_SECONDS)

    def settings_in(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A scenario's settings as they are sent: `{other-secret}` is replaced by the run's other secret."""
        other = self.profile.other_secret.decode("utf-8", "replace")
        return {k: other if value == OTHER_SECRET else value for k, value in fields.items()}

    def id_field(self, registration: Registration) -> dict[str, Any]:
        """The field by which the sender identifies a configuration; empty if it has no ID."""
        return {"ID": registration.ident} if registration.ident is not None else {}

    def channel(self, *, crowded: bool) -> str:
        """The next kind of messages, in turn, so that few configurations share one. The first kind is for
        the crowded ones: copies of their many messages go to every configuration that asks for it."""
        if crowded:
            return CHANNELS[0]
        self._channel = self._channel % (len(CHANNELS) - 1) + 1
        return CHANNELS[self._channel]

    def _kind(self, listener: Endpoint, kinds: Sequence[str]) -> tuple[str, list[str]]:
        """The kind that stands for "any" message, and the message types to ask for."""
        configured: list[str] = listener.configure.get("MessageTypes", [])
        types = configured or list(dict.fromkeys(str(TYPES[kind]) for kind in kinds))
        matching = [kind for kind in CHANNELS if str(TYPES[kind]) in types]
        # A sender that understands only "*" is judged with it, except by the rule about listed types.
        if not configured and not self.profile.lists_types:
            types = ["*"]
        return (matching or ["text"])[0], types

    def events(self, emit: Emit, kind: str) -> list[EmittedMessage]:
        """The events that `emit` describes, with fresh ids. `kind` stands for "any" message."""
        events = []
        for _ in range(emit.messages):
            msg_id = self._new_id(long=emit.long_id)
            event_kind = kind if emit.message == "any" else emit.message
            fields = build(event_kind, msg_id, int(self.clock.now())).fields()
            del fields["timestamp"]
            fields["content"] = marked(event_kind, msg_id)
            if emit.content_size is not None:
                fields["content"] = _resize(fields["content"], emit.content_size)
            events.append(EmittedMessage(msg_id, {**fields, **emit.fields}))
        return events

    def events_with(self, contents: Iterable[tuple[int, Any]]) -> list[EmittedMessage]:
        """Events with these message types and contents, and fresh ids."""
        events = []
        for msg_type, content in contents:
            msg_id = self._new_id()
            fields = build("text", msg_id, int(self.clock.now())).fields()
            del fields["timestamp"]
            fields |= {"msgType": msg_type, "content": content}
            events.append(EmittedMessage(msg_id, fields))
        return events

    def _new_id(self, *, long: bool = False) -> str:
        msg_id = self.fresh_id(long=long)
        self._emitted_ids.add(msg_id)
        return msg_id

    def was_emitted(self, arrival: Exchange) -> bool:
        """Whether an arrival delivers an emitted message, rather than a message of Test."""
        return arrival.msg_id in self._emitted_ids or mark_in(arrival.request.body) is not None

    async def emit(self, event: EmittedMessage, place: Place) -> Exchange:
        """Hand one event to the sender, and record the exchange."""
        reply = await self._submit_event(event)
        recorded = Request("POST", self.options.emit_url or "--emit-command", (), event.body)
        return self.trace.add(exchange_of(recorded, None, reply, Role.EMIT, place, event.msg_id))

    async def _submit_event(self, event: EmittedMessage) -> Reply:
        if self.options.emit_url is None:
            assert self.options.emit_command is not None  # noqa: S101 - one of the two is set
            return await self._run_emit_command(self.options.emit_command, event.body)
        url, key = self.options.emit_url, self.options.api_key
        if key is not None and urlsplit(url).netloc == urlsplit(self.options.api_url).netloc:
            url = _with(url, {"key": key.decode("utf-8", "replace")})
        headers = (
            (b"User-Agent", USER_AGENT.encode()),
            (b"Content-Type", b"application/json"),
        )
        return await self.wire.send(Request("POST", url, headers, event.body))

    async def _run_emit_command(self, command: str, body: bytes) -> Reply:
        started = self.clock.monotonic()
        async with self.wire.place:
            status, output = await run_command(command, body)
        now = self.clock.monotonic()
        detail = f"the command ended with {status}"
        if status == 0:
            return Reply(Answer(200, (), output), None, detail, started, now, now)
        return Reply(Answer(500, (), output), Fault.CLOSED, detail, started, now, now)

    def answers(
        self, answers: Sequence[ScriptedAnswer], other: Registration | None
    ) -> list[script.Scripted]:
        """A scenario's answers as the mock receiver takes them. Redirects lead to `other`."""
        return [_scripted(answer, other) for answer in answers]

    def record_arrivals(
        self, registration: Registration, places: Mapping[str | None, Place] | None = None
    ) -> None:
        """Put the arrivals at an endpoint into the trace, each once, under the place of their message.
        `places` maps msgId to place; other arrivals go under the place of the endpoint."""
        for arrival in list(registration.endpoint.arrivals):
            place = (places or {}).get(arrival.msg_id, registration.place)
            self._record(registration, arrival, place)

    def record_own_arrivals(
        self, registration: Registration, places: Mapping[str | None, Place]
    ) -> None:
        """The same for the messages in `places` alone, at an endpoint that several cases share."""
        for arrival in list(registration.endpoint.arrivals):
            if arrival.msg_id in places:
                self._record(registration, arrival, places[arrival.msg_id])

    def record_handshakes(self, registration: Registration, kind: str) -> None:
        """Put the TLS handshakes that the sender began with the mock of `kind` into the trace, each once."""
        mock, place = self.mocks[kind], registration.place
        for started in mock.handshakes:
            request = Request("", registration.endpoint.url, (), b"", Transport.RAW)
            detail = "the sender began a TLS handshake"
            reply = Reply(None, Fault.TLS, detail, started, sent=started, ended=started)
            self.trace.add(exchange_of(request, None, reply, Role.HANDSHAKE, place, None))
        mock.handshakes.clear()

    def _record(self, registration: Registration, arrival: Exchange, place: Place) -> None:
        key = registration.endpoint.path, arrival.id
        if key in self._recorded:
            return
        self._recorded.add(key)
        role, rule, case, step = registration.role, place.rule, place.case, place.step
        self.trace.add(replace(arrival, role=role, rule=rule, case=case, step=step))


def accepted(emitted: Exchange) -> bool:
    """Whether the sender accepted an event: with a 2xx, or a command that ended with 0."""
    return emitted.status is not None and 200 <= emitted.status < 300


def _with(url: str, query: Mapping[str, str]) -> str:
    separator = "&" if urlsplit(url).query else "?"
    return f"{url}{separator}{urlencode(query, quote_via=quote)}" if query else url


def _resize(content: object, size: int) -> object:
    """A text of `size` characters that begins as `content` does."""
    text = content if isinstance(content, str) else ""
    return (text + "長文" * size)[:size] if not _is_base64(text) else "A" * (size + -size % 4)


def _is_base64(text: str) -> bool:
    return bool(text) and " " not in text and ":" not in text


def _scripted(answer: ScriptedAnswer, other: Registration | None) -> script.Scripted:
    headers = dict(answer.headers)
    if answer.to_other and other is not None:
        headers["Location"] = other.endpoint.url
    body = {} if answer.body is None else {"body": answer.body.encode()}
    return script.Scripted(
        status=answer.status,
        delay=answer.delay,
        headers=tuple(headers.items()),
        fault=answer.fault,
        **body,
    )
