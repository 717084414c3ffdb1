"""Registers mock endpoints with the sender under test, and takes the configurations away again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.checks.sender.api import configuration_of, ident_of, succeeded
from conformance.engine.exchanges import Place, exchange_of
from conformance.engine.sender.emitter import Emitter
from conformance.engine.sender.session import SenderSession
from conformance.model.exchange import Exchange, Fault, Request, Role, Transport
from conformance.protocol.message import TYPES
from conformance.receiver import script
from conformance.receiver.mock import MockEndpoint
from conformance.scenario.sender import Endpoint, ScriptedAnswer
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

OWN_URL = "{url}"
"""What stands for the URL of the case's endpoint in a scenario."""
OTHER_SECRET = "{other-secret}"  # noqa: S105 - a placeholder
"""What stands for the secret of other endpoints in a scenario."""


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


class Registrations:
    """The configurations of one run, at one sender."""

    def __init__(self, session: SenderSession) -> None:
        self._session = session
        self.all: list[Registration] = []
        self._recorded: set[tuple[str, int]] = set()  # (path of the endpoint, id of the arrival)
        self._channel = 0

    async def configure(
        self, listener: Endpoint, place: Place, kinds: Sequence[str] = ()
    ) -> Registration:
        """Open an endpoint, and register it with the sender for messages of `kinds`, unless `listener` is
        to have no configuration. The endpoint answers only the messages that are assigned to it as
        `listener` says."""
        registration = self.open(listener, place, kinds)
        if listener.configured:
            await self.submit(registration, place)
        return registration

    def open(self, listener: Endpoint, place: Place, kinds: Sequence[str]) -> Registration:
        """Open an endpoint for messages of `kinds`. The sender does not know of it before `submit`."""
        return self._open(listener, place, kinds, self._session.options.secret)

    def open_other(self, listener: Endpoint, place: Place, kinds: Sequence[str]) -> Registration:
        """The same for a scenario's second endpoint, which has a secret of its own."""
        other = self._open(listener, place, kinds, self._session.profile.other_secret)
        other.role = Role.ELSEWHERE
        return other

    def _open(
        self, listener: Endpoint, place: Place, kinds: Sequence[str], secret: bytes
    ) -> Registration:
        session = self._session
        mock = session.mocks.get(listener.kind or "", session.mocks[""])
        endpoint = mock.refusing_endpoint() if listener.kind == "refusing" else mock.endpoint()
        kind, types = self._kind(listener, kinds)
        settings = {
            "Secret": secret.decode("utf-8", "replace"),
            **SETTINGS,
            **listener.configure,
            "URL": listener.configure.get("URL", OWN_URL).replace(OWN_URL, endpoint.url),
            "MessageTypes": types,
        }
        registration = Registration(endpoint, settings, kind, place)
        self.all.append(registration)
        return registration

    async def submit(
        self, registration: Registration, place: Place, fields: Mapping[str, Any] | None = None
    ) -> Exchange:
        """POST the configuration, or `fields` in its place, and learn its ID from the answer, or else
        from List."""
        registration.active = True  # the sender may have it, should this be cancelled
        fields = registration.settings if fields is None else fields
        answer = await self._session.call("Config", place, fields)
        registration.active = answer.status is not None and answer.status < 300
        registration.answer, registration.ident = answer, ident_of(answer)
        if registration.active and registration.ident is None:
            registration.ident = await self._listed_id(registration)
        return answer

    async def _listed_id(self, registration: Registration) -> object:
        listed = configuration_of(
            await self._session.call("List", Place(case="between")), registration.settings["URL"]
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
        if self._session.profile.deletes and registration.ident is not None:
            deleted = await self._session.call("Delete", place, id=registration.ident)
            if deleted.status is None or succeeded(deleted):
                return
            self._session.profile = replace(self._session.profile, deletes=False)
        fields = {**self.id_field(registration), **registration.settings, "Enabled": False}
        await self._session.call("Update", place, fields)

    async def unregister_all(self) -> None:
        """Remove every configuration that is still active, as some are when a run is cancelled."""
        for registration in self.all:
            await self.unregister(registration)

    def settings_in(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A scenario's settings as they are sent: `{other-secret}` is replaced by the run's other secret."""
        other = self._session.profile.other_secret.decode("utf-8", "replace")
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
        if not configured and not self._session.profile.lists_types:
            types = ["*"]
        return (matching or ["text"])[0], types

    def record_arrivals(
        self, registration: Registration, places: Mapping[str | None, Place] | None = None
    ) -> None:
        """Put the arrivals at an endpoint into the trace, each once, under the place of their message.
        `places` maps msgId to place; other arrivals go under the place of the endpoint."""
        for arrival in registration.endpoint.received:
            place = (places or {}).get(arrival.msg_id, registration.place)
            self._record(registration, arrival, place)

    def record_own_arrivals(
        self, registration: Registration, places: Mapping[str | None, Place]
    ) -> None:
        """The same for the messages in `places` alone, at an endpoint that several cases share."""
        for arrival in registration.endpoint.received:
            if arrival.msg_id in places:
                self._record(registration, arrival, places[arrival.msg_id])

    def record_handshakes(self, registration: Registration, kind: str) -> None:
        """Put the TLS handshakes that the sender began with the mock of `kind` into the trace, each once."""
        mock, place = self._session.mocks[kind], registration.place
        for started in mock.handshakes:
            request = Request("", registration.endpoint.url, (), b"", Transport.RAW)
            detail = "the sender began a TLS handshake"
            reply = Reply(None, Fault.TLS, detail, started, sent=started, ended=started)
            self._session.trace.add(exchange_of(request, reply, Role.HANDSHAKE, place))
        mock.handshakes.clear()

    def _record(self, registration: Registration, arrival: Exchange, place: Place) -> None:
        key = registration.endpoint.path, arrival.id
        if key in self._recorded:
            return
        self._recorded.add(key)
        role = registration.role if arrival.role is Role.ATTEMPT else arrival.role
        rule, case, step = place.rule, place.case, place.step
        self._session.trace.add(replace(arrival, role=role, rule=rule, case=case, step=step))


class SenderPeer:
    """The sender under test, by all the ways in which a run reaches it: its API, the endpoints registered
    there, and its message events."""

    def __init__(self, session: SenderSession) -> None:
        self.session = session
        self.registrations = Registrations(session)
        self.emitter = Emitter(session)


def scripted(
    answers: Sequence[ScriptedAnswer], other: Registration | None = None
) -> list[script.Scripted]:
    """A scenario's answers as the mock receiver takes them. Redirects lead to `other`."""
    return [_scripted(answer, other) for answer in answers]


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
