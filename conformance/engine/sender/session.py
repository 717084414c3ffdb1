"""What the parts of one run against a sender share: its API, the mock, the trace, fresh messages."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from conformance.checks.sender.api import configuration_of, ident_of, succeeded
from conformance.checks.sender.profile import SenderProfile
from conformance.engine.command import output_of
from conformance.engine.exchanges import USER_AGENT, At, exchange_of
from conformance.engine.stalls import Stalls
from conformance.model.clock import Clock
from conformance.model.exchange import Answer, Exchange, Fault, Headers, Request, Role
from conformance.options.sender import SenderOptions
from conformance.protocol.message import TYPES, build, mark_in, marked
from conformance.receiver import script
from conformance.receiver.mock import Mock, MockEndpoint
from conformance.scenario.sender import Emit, Endpoint, ScriptedAnswer
from conformance.trace import MASK, Trace
from conformance.wire.client import Wire
from conformance.wire.reply import Reply

CHANNELS = ("link", "image", "voice", "video", "emoji", "text")
"""Kinds of messages of which each configuration asks for one: what others get stays away from it."""

SETTINGS: dict[str, Any] = {
    "Enabled": True,
    "Timeout": 5,
    "RetryCount": 3,
    "IncludeSelfMessage": False,
}
"""Settings of a configuration, where a scenario says nothing."""

METHODS = {"Config": "POST", "List": "GET", "Test": "GET", "Update": "PUT", "Delete": "DELETE"}

ANOTHER = "{other-secret}"
"""What stands for the secret of other endpoints in a scenario."""

BEFORE = At()
"""What an exchange is for that belongs to no case."""

BATCH = 0.01
"""Seconds in which arrivals are gathered before they are looked at."""

Settled = Callable[[], float | None]
"""When (monotonic) to look no longer; None when everything has come."""

SHORT_ID, LONG_ID = (10**14, 9 * 10**14), (10**18, 9 * 10**18)
"""Ids that a double holds exactly, so that only the scenario that is about it meets a rounded one."""


@dataclass(slots=True)
class Registration:
    """A configuration at the sender, and the endpoint that it leads to; `kind` is the kind of messages
    that it asks for, `at` what it is for, `role` what comes to it. `ident` is the ID that the sender
    gave it, if it did, and `active` tells whether it may have it; `answer` is what it said of it."""

    endpoint: MockEndpoint
    settings: dict[str, Any]
    kind: str
    at: At
    role: Role = Role.ATTEMPT
    ident: object = None
    active: bool = False
    answer: Exchange | None = None


@dataclass(frozen=True, slots=True)
class EmittedMessage:
    """A message event as it is given to the sender: the guide's body without `timestamp`."""

    msg_id: str
    fields: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The event as it is sent."""
        return json.dumps(self.fields, ensure_ascii=False, separators=(",", ":")).encode()


class SenderSession:
    """One run's means. `mocks` are by way: "" for the one that every scenario uses unless it says
    otherwise, "https", "untrusted". `profile` are replaced as the diagnosis goes on, and stand still
    afterwards. `stalls` tells when this process was held up."""

    def __init__(
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
        self.posts: list[Registration] = []
        self._taken: set[tuple[str, int]] = set()
        self._made: set[str | None] = set()
        self._channel = 0
        draw = random.SystemRandom()
        self._next_id = draw.randrange(*SHORT_ID)
        self._next_long = draw.randrange(*LONG_ID)

    def fresh_id(self, *, long: bool = False) -> str:
        """A msgId that no run has used."""
        if long:
            self._next_long += 11
            return str(self._next_long)
        self._next_id += 11
        return str(self._next_id)

    # Each verb is given by the protocol; what a sender adds is not relied on, but for Delete.
    async def call(
        self, name: str, at: At, fields: Mapping[str, Any] | None = None, **query: object
    ) -> Exchange:
        """One call of the API. Neither the secret nor the API key is recorded."""
        shown = {k: str(v) for k, v in query.items() if v is not None}
        key = self.options.api_key
        secret = {"key": key.decode("utf-8", "replace")} if key is not None else {}
        url = f"{self.options.api_url.rstrip('/')}/{name}"
        headers: Headers = ((b"User-Agent", USER_AGENT.encode()),)
        body = shown_body = b""
        if fields is not None:
            headers += ((b"Content-Type", b"application/json"),)
            body = json.dumps(fields, ensure_ascii=False).encode()
            masked = {"Secret": MASK.decode()} if fields.get("Secret") else {}
            shown_body = json.dumps({**fields, **masked}, ensure_ascii=False).encode()
        method = METHODS[name]
        reply = await self.wire.send(
            Request(method, _with(url, {**shown, **secret}), headers, body)
        )
        asked = Request(method, _with(url, shown), headers, shown_body)
        return self.trace.add(exchange_of(asked, None, reply, Role.API, at, None))

    async def configure(
        self,
        listener: Endpoint,
        at: At,
        kinds: Sequence[str] = (),
        *,
        other: bool = False,
        scripted: bool = False,
        to: Registration | None = None,
    ) -> Registration:
        """An endpoint, and a configuration for it at the sender if `listener` is to have one, which asks
        for messages of `kinds`. `scripted`: it answers everything as `listener` says, redirecting to
        `to`; else the messages that are assigned to it alone. `other` is a scenario's second one,
        with a secret of its own."""
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
        registration = Registration(endpoint, settings, kind, at, role)
        self.posts.append(registration)
        if listener.configured:
            await self.submit(registration, at)
        return registration

    async def submit(
        self, registration: Registration, at: At, fields: Mapping[str, Any] | None = None
    ) -> Exchange:
        """POST the configuration, or `fields` in its place, and learn its ID from the answer, or else
        from List."""
        registration.active = True  # it may, if this is broken off
        answer = await self.call("Config", at, registration.settings if fields is None else fields)
        registration.active = answer.status is not None and answer.status < 300
        registration.answer, registration.ident = answer, ident_of(answer)
        if registration.active and registration.ident is None:
            registration.ident = await self._listed_id(registration)
        return answer

    async def _listed_id(self, registration: Registration) -> object:
        listed = configuration_of(
            await self.call("List", At(case="between")), registration.endpoint.url
        )
        return (listed or {}).get("id")

    async def unregister(self, registration: Registration) -> None:
        """Take a configuration away again, or switch it off where the sender has no Delete. What has no
        ID is never deleted: without one, Delete might mean all that there are."""
        if not registration.active:
            return
        registration.active = False
        at = At(case="after")
        if registration.ident is None:  # its creation was broken off, or there are no IDs
            registration.ident = await self._listed_id(registration)
        if self.profile.deletes and registration.ident is not None:
            gone = await self.call("Delete", at, id=registration.ident)
            if gone.status is None or succeeded(gone):
                return
            self.profile = replace(self.profile, deletes=False)
        await self.call(
            "Update", at, {**self.naming(registration), **registration.settings, "Enabled": False}
        )

    async def unregister_all(self) -> None:
        """Take away whatever still stands, as it does where a run is broken off."""
        for registration in self.posts:
            await self.unregister(registration)

    async def until(self, endpoint: MockEndpoint, settled: Settled) -> None:
        """Wait for what comes to `endpoint`, until `settled` says that it is enough. The seconds for which
        this process was held up meanwhile do not count."""
        begin = self.clock.monotonic()
        while (until := settled()) is not None:
            left = until + self.stalls.lost(begin) - self.clock.monotonic()
            if left <= 0:
                return
            if await endpoint.changed(left):
                await self.clock.sleep(BATCH)

    def settings_in(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A scenario's settings as they are sent: `{other-secret}` stands for a secret of the run's."""
        other = self.profile.other_secret.decode("utf-8", "replace")
        return {k: other if value == ANOTHER else value for k, value in fields.items()}

    def naming(self, registration: Registration) -> dict[str, Any]:
        """The fields by which the sender knows a configuration again."""
        return {"ID": registration.ident} if registration.ident is not None else {}

    def channel(self, *, crowded: bool) -> str:
        """The next kind of messages, so that few configurations share one; the first kind is for those
        that get very many, and their copies would go to all who ask for it."""
        if crowded:
            return CHANNELS[0]
        self._channel = self._channel % (len(CHANNELS) - 1) + 1
        return CHANNELS[self._channel]

    def _kind(self, listener: Endpoint, kinds: Sequence[str]) -> tuple[str, list[str]]:
        """What "any" message is one of, and the message types to ask for."""
        asked: list[str] = listener.configure.get("MessageTypes", [])
        wanted = asked or list(dict.fromkeys(str(TYPES[kind]) for kind in kinds))
        fitting = [kind for kind in CHANNELS if str(TYPES[kind]) in wanted]
        # A sender that understands "*" alone is judged with it, but for the rule that lists types.
        types = wanted if asked or self.profile.lists_types else ["*"]
        return (fitting or ["text"])[0], types

    def events(self, emit: Emit, kind: str) -> list[EmittedMessage]:
        """The events that `emit` stands for, of what is said; `kind` is what "any" means."""
        made = []
        for _ in range(emit.messages):
            msg_id = self._new_id(long=emit.long_id)
            named = kind if emit.message == "any" else emit.message
            fields = build(named, msg_id, int(self.clock.now())).fields()
            del fields["timestamp"]
            fields["content"] = marked(named, msg_id)
            if emit.content_size is not None:
                fields["content"] = _sized(fields["content"], emit.content_size)
            made.append(EmittedMessage(msg_id, {**fields, **emit.fields}))
        return made

    def drawn(self, contents: Iterable[tuple[int, Any]]) -> list[EmittedMessage]:
        """Events with these message types and contents."""
        made = []
        for msg_type, content in contents:
            msg_id = self._new_id()
            fields = build("text", msg_id, int(self.clock.now())).fields()
            del fields["timestamp"]
            made.append(EmittedMessage(msg_id, {**fields, "msgType": msg_type, "content": content}))
        return made

    def _new_id(self, *, long: bool = False) -> str:
        msg_id = self.fresh_id(long=long)
        self._made.add(msg_id)
        return msg_id

    def made(self, arrival: Exchange) -> bool:
        """Whether an arrival is of an event that was given to the sender, and no test message."""
        return arrival.msg_id in self._made or mark_in(arrival.request.body) is not None

    async def emit(self, event: EmittedMessage, at: At) -> Exchange:
        """Give one event to the sender."""
        given = await self._given(event)
        shown = Request("POST", self.options.emit_url or "--emit-command", (), event.body)
        return self.trace.add(exchange_of(shown, None, given, Role.EMIT, at, event.msg_id))

    async def _given(self, event: EmittedMessage) -> Reply:
        if self.options.emit_url is None:
            assert self.options.emit_command is not None  # noqa: S101 - one of them is given
            return await self._command(self.options.emit_command, event.body)
        url, key = self.options.emit_url, self.options.api_key
        if key is not None and urlsplit(url).netloc == urlsplit(self.options.api_url).netloc:
            url = _with(url, {"key": key.decode("utf-8", "replace")})
        headers = (
            (b"User-Agent", USER_AGENT.encode()),
            (b"Content-Type", b"application/json"),
        )
        return await self.wire.send(Request("POST", url, headers, event.body))

    async def _command(self, command: str, body: bytes) -> Reply:
        started = self.clock.monotonic()
        async with self.wire.place:
            status, said = await output_of(command, body)
        now = self.clock.monotonic()
        if status == 0:
            return Reply(Answer(200, (), said), None, "the command ended with 0", started, now, now)
        detail = f"the command ended with {status}"
        return Reply(Answer(500, (), said), Fault.CLOSED, detail, started, now, now)

    def answers(
        self, replies: Sequence[ScriptedAnswer], other: Registration | None
    ) -> list[script.Scripted]:
        """A scenario's answers as the mock gives them."""
        return [_scripted(each, other) for each in replies]

    def take(
        self,
        registration: Registration,
        places: Mapping[str | None, At] | None = None,
        *,
        own: bool = False,
    ) -> None:
        """Put what came to an endpoint into the trace, each once, under the place of its message; what
        has none goes under that of the endpoint, or is left where it is when only what is `own` is
        taken."""
        for each in list(registration.endpoint.arrivals):
            place = (places or {}).get(each.msg_id, None if own else registration.at)
            if place is None or (registration.endpoint.path, each.id) in self._taken:
                continue
            self._taken.add((registration.endpoint.path, each.id))
            self.trace.add(
                replace(
                    each, role=registration.role, rule=place.rule, case=place.case, step=place.step
                )
            )


def accepted(emitted: Exchange) -> bool:
    """Whether the sender took an event: 2xx, or a command that ended with 0."""
    return emitted.status is not None and 200 <= emitted.status < 300


def _with(url: str, query: Mapping[str, str]) -> str:
    joint = "&" if urlsplit(url).query else "?"
    return f"{url}{joint}{urlencode(query, quote_via=quote)}" if query else url


def _sized(content: object, size: int) -> object:
    """A text of `size` characters that begins as `content` does."""
    text = content if isinstance(content, str) else ""
    return (text + "長文" * size)[:size] if not _is_base64(text) else "A" * (size + -size % 4)


def _is_base64(text: str) -> bool:
    return bool(text) and " " not in text and ":" not in text


def _scripted(reply: ScriptedAnswer, other: Registration | None) -> script.Scripted:
    headers = dict(reply.headers)
    if reply.to_other and other is not None:
        headers["Location"] = other.endpoint.url
    body = {} if reply.body is None else {"body": reply.body.encode()}
    return script.Scripted(
        status=reply.status,
        delay=reply.delay,
        headers=tuple(headers.items()),
        fault=reply.fault,
        **body,
    )
