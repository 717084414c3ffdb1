"""The mock receiver: answers a sender under test by script, and records every attempt.

It knows HTTP, and reads nothing of a body but its msgId: no signatures, no schemas, no rules. The
checks judge the attempts, which they get as received. Guide: 接收流程, 重試機制.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import secrets
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from conformance.model.clock import Clock
from conformance.model.errors import InputError
from conformance.model.exchange import Exchange, Fault, Request, Role, Transport
from conformance.protocol.http1 import LONGEST_HEAD, Head, problems
from conformance.protocol.message import mark_in
from conformance.receiver import behaviour
from conformance.receiver.script import Outcome, Scripted, perform
from conformance.wire.listener import Arrival, Connection, Listener, Taker

__all__ = ["Mock", "MockEndpoint", "RefusingEndpoint", "Scripted", "listening"]

PLAIN = Scripted()
_MSG_ID = re.compile(rb'"msgId"\s*:\s*"?([0-9]{1,20})(?=["\s,}])')
_TOKEN = re.compile(rb"/h/[0-9a-f]{32}")
_UNKNOWN = Scripted(404, headers=(("Connection", "close"),), body=b'{"status": "error"}')
_MALFORMED = replace(_UNKNOWN, status=400)
_TOO_LARGE = replace(_UNKNOWN, status=413)
_SENDER_LEFT = "the sender left"
_PENDING: Outcome = (None, None, "")


class MockEndpoint:
    """One endpoint of the mock; `url` is the URL to configure at the sender.

    `arrivals` are the requests in the order in which each was complete or broke off. A pending one
    has neither answer nor fault, and is replaced when it ends. Its fault is then TIMEOUT when the
    sender left before the answer was complete, GIVEN_UP when the mock stopped, CLOSED or GARBAGE for
    a fault of the script (`detail` names it), and CLOSED for a request that was cut short.
    `malformed` are requests that could not be read and were answered 400, as bytes.

    `script` answers messages that nobody expects here; messages passed to `assign` have scripts of
    their own. A request that has no msgId and is not a POST gets PLAIN, since senders probe with
    HEAD.
    """

    def __init__(self, path: str, url: str, script: Sequence[Scripted]) -> None:
        self.path = path
        self.url = url
        self.arrivals: list[Exchange] = []
        self.malformed: list[Exchange] = []
        self._assigned: dict[str, tuple[Scripted, ...]] = {}
        self._change = asyncio.Event()
        self.script(script)

    def script(self, answers: Sequence[Scripted]) -> None:
        """Give the n-th attempt of each msgId the n-th of `answers`. The last one repeats; without
        any it is PLAIN. Counting starts now; all POSTs without a msgId count as one message."""
        self._answers = tuple(answers) or (PLAIN,)
        self._attempts: Counter[str | None] = Counter()

    def assign(self, msg_ids: Iterable[str], answers: Sequence[Scripted]) -> None:
        """The same for the messages of `msg_ids`, which are expected here. An arrival is recorded
        under the id of the message it belongs to, as far as `owner` can tell."""
        for msg_id in msg_ids:
            self._assigned[msg_id] = tuple(answers) or (PLAIN,)
            self._attempts[msg_id] = 0

    def owner(self, method: str, body: bytes) -> str | None:
        """The msgId of the message that a request delivers, even if the sender dropped or changed
        it: by its msgId, else by the mark in its content. A POST with neither belongs to the only
        message that is expected, if there is just one."""
        msg_id = _msg_id(body)
        if msg_id in self._assigned:
            return msg_id
        mark = mark_in(body)
        if mark in self._assigned:
            return mark
        if msg_id is None and mark is None and method == "POST" and len(self._assigned) == 1:
            return next(iter(self._assigned))
        return msg_id

    @property
    def received(self) -> list[Exchange]:
        """The arrivals, and what could not be read."""
        return [*self.arrivals, *self.malformed]

    async def changed(self, timeout: float) -> bool:
        """Wait until a request arrives or ends; False when none does within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self._change.wait()
        except TimeoutError:
            return False

    def _next(self, msg_id: str | None, method: str) -> Scripted:
        if msg_id is None and method != "POST":
            return PLAIN
        self._attempts[msg_id] += 1
        answers = self._assigned.get(msg_id or "", self._answers)
        return answers[min(self._attempts[msg_id], len(answers)) - 1]

    def _record(self, exchange: Exchange, index: int | None = None) -> int:
        """Append `exchange`, or replace the one at `index`; return its index."""
        if index is None:
            index = len(self.arrivals)
            self.arrivals.append(exchange)
        else:
            self.arrivals[index] = exchange
        self._change.set()
        self._change = asyncio.Event()
        return index


class RefusingEndpoint(MockEndpoint):
    """An endpoint on its own port, which refuses connections until `listen` is awaited. Its URL is
    never the public one: no tunnel leads to its port."""

    def __init__(self, path: str, url: str, listener: Listener, bound: socket.socket) -> None:
        super().__init__(path, url, (PLAIN,))
        self._listener = listener
        self._bound = bound

    async def listen(self) -> None:
        """Accept connections from now on. Call it once."""
        await self._listener.listen(self._bound)


class Mock:
    """The endpoints, all behind one server. Created by `listening`. `handshakes` are the times (monotonic)
    at which a sender began one over TLS, whether it went on or not."""

    def __init__(
        self, bound: socket.socket, host: str, public: str, tls: ssl.SSLContext | None, clock: Clock
    ) -> None:
        self._bound = [bound]
        self._host = host
        self._public = public
        self._tls = tls
        self._clock = clock
        self._endpoints: dict[str, MockEndpoint] = {}
        self._count = 0
        self._stopping = False
        self.handshakes: list[float] = []
        if tls is not None:
            # Called for every ClientHello, with or without a server name.
            tls.sni_callback = lambda connection, name, context: self.handshakes.append(
                clock.monotonic()
            )
        self._listener = Listener(Taker(self._take, self._extend, behaviour.LIMIT), clock, tls)
        self._met: WeakKeyDictionary[Connection, MockEndpoint] = WeakKeyDictionary()
        self._indices: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()

    def endpoint(self, script: Sequence[Scripted] = (PLAIN,)) -> MockEndpoint:
        """A new endpoint, under a path that cannot be guessed."""
        path = _path()
        endpoint = MockEndpoint(path, (self._public or self._base(self._bound[0])) + path, script)
        self._endpoints[path] = endpoint
        return endpoint

    def refusing_endpoint(self) -> RefusingEndpoint:
        """A new endpoint on a reserved port, which refuses connections until `listen` is awaited."""
        first = self._bound[0]
        host, _, *rest = first.getsockname()
        bound = _bind(first.family, (host, 0, *rest))
        self._bound.append(bound)
        path = _path()
        endpoint = RefusingEndpoint(path, self._base(bound) + path, self._listener, bound)
        self._endpoints[path] = endpoint
        return endpoint

    def _base(self, bound: socket.socket) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{bound.getsockname()[1]}"

    async def _stop(self) -> None:
        self._stopping = True
        await self._listener.stop()
        for bound in self._bound:
            bound.close()

    def _disconnected(self, fault: Fault, detail: str) -> Outcome:
        """The end of an exchange whose connection is lost: `fault`, unless the mock closed it."""
        if self._stopping:
            return None, Fault.GIVEN_UP, "the mock stopped"
        return None, fault, detail

    async def _take(self, arrived: Arrival) -> bool:
        request, connection = arrived.request, arrived.connection
        endpoint = self._endpoint(arrived)
        if endpoint is None:
            self._met.pop(connection, None)  # what follows is for nobody either
            await perform(connection.transport, "", _UNKNOWN, arrived.sent, self._clock)
            return False
        self._met[connection] = endpoint
        if request.head is None:
            await self._refuse(endpoint, arrived)
            return False
        outcome = _PENDING
        if not request.whole:
            outcome = self._disconnected(Fault.CLOSED, "the sender left in mid-body")
        arrival = self._arrival(endpoint, arrived, outcome)
        self._indices[connection] = index = endpoint._record(arrival)
        if not request.whole:
            return False
        method = arrival.request.method
        too_large = len(request.body) > behaviour.LIMIT
        scripted = _TOO_LARGE if too_large else endpoint._next(arrival.msg_id, method)
        endpoint.arrivals[index] = replace(arrival, injected=scripted.fault)
        try:
            outcome = await perform(
                connection.transport, method, scripted, arrival.sent, self._clock
            )
        except (ConnectionError, asyncio.CancelledError):  # the latter when it is noticed meanwhile
            self._end(endpoint, index, self._disconnected(Fault.TIMEOUT, _SENDER_LEFT))
            raise
        self._end(endpoint, index, outcome)
        return _stays_open(request.head, dict(scripted.headers))

    async def _refuse(self, endpoint: MockEndpoint, arrived: Arrival) -> None:
        """Answer 400 to bytes that are no request, and record them."""
        if not problems(arrived.request.raw):
            return  # the connection ended in the head: there is nothing to report
        transport = arrived.connection.transport
        outcome = await perform(transport, "", _MALFORMED, arrived.sent, self._clock)
        arrival = self._arrival(endpoint, arrived, outcome)
        endpoint.malformed.append(replace(arrival, role=Role.MALFORMED))

    def _extend(self, arrived: Arrival, surplus: bytes) -> None:
        endpoint = self._met.get(arrived.connection)
        if endpoint is None:  # the request was for nobody
            return
        index = self._indices[arrived.connection]
        arrival = endpoint.arrivals[index]
        if len(arrival.request.body) > behaviour.LIMIT:
            return
        request = replace(arrival.request, body=arrival.request.body + surplus)
        raw = (arrival.raw or arrived.request.raw) + surplus
        endpoint._record(replace(arrival, request=request, raw=raw), index)

    def _endpoint(self, arrived: Arrival) -> MockEndpoint | None:
        """The endpoint that a request is for: by the token in its target, else that of the connection's last
        request, else by the token wherever it is. A token that nobody has is one of an earlier run."""
        request = arrived.request
        token = _TOKEN.search(request.head.target) if request.head is not None else None
        if token is None and arrived.connection in self._met:
            return self._met[arrived.connection]
        token = token or _TOKEN.search(request.raw, 0, LONGEST_HEAD)
        return self._endpoints.get(token[0].decode()) if token is not None else None

    def _end(self, endpoint: MockEndpoint, index: int, outcome: Outcome) -> None:
        answer, fault, detail = outcome
        now = self._clock.monotonic()
        arrival = endpoint.arrivals[index]
        endpoint._record(
            replace(arrival, answer=answer, fault=fault, detail=detail, ended=now), index
        )

    def _arrival(self, endpoint: MockEndpoint, arrived: Arrival, outcome: Outcome) -> Exchange:
        now = self._clock.monotonic()
        self._count += 1
        request, head = arrived.request, arrived.request.head
        if head is None:
            received = Request("", endpoint.url, (), b"", Transport.RAW)
            owner = endpoint.owner("POST", request.raw)
        else:
            method = head.method.decode("latin-1")
            target = head.target.decode("latin-1")
            before, path, suffix = target.partition(endpoint.path)
            base = endpoint.url.removesuffix(endpoint.path)
            # A tunnel may strip the path of the public URL, or leave it. What else precedes the path, or
            # follows it, is what the sender made of the URL.
            whole = path and urlsplit(before).path in ("", urlsplit(base).path)
            url = endpoint.url + suffix if whole else base + target
            received = Request(method, url, head.headers, request.body, Transport.RAW)
            owner = endpoint.owner(method, request.body)
        address = arrived.connection.transport.get_extra_info("peername")
        return Exchange(
            self._count, Role.ATTEMPT, None, None, 0, owner, received, None, *outcome,
            arrived.started, sent=arrived.sent, ended=now, peer=address[0] if address else None,
            clock=self._clock.now() - (now - arrived.started),
            raw=request.raw if problems(request.raw) else None,
        )  # fmt: skip


def _stays_open(head: Head, answered: dict[str, str]) -> bool:
    """Whether both sides keep the connection (RFC 9112, 9.3). In HTTP/1.0 the end of an answer may be that of
    the connection."""
    asked = b",".join(head.values(b"connection")).lower().split(b",")
    closes = b"close" in map(bytes.strip, asked) or head.version == b"HTTP/1.0"
    return not closes and answered.get("Connection", "").lower() != "close"


def _msg_id(body: bytes) -> str | None:
    """The msgId, even if it is a number (the schema check reports that, once), and even in a body
    that was cut short."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        match = _MSG_ID.search(body)
        return match[1].decode() if match else None
    value = message.get("msgId") if isinstance(message, dict) else None
    msg_id = behaviour.msg_id({"msgId": str(value) if type(value) is int else value})
    return msg_id if isinstance(msg_id, str) else None


def _path() -> str:
    return f"/h/{secrets.token_hex(16)}"


def _bind(family: int, address: tuple[Any, ...], *, reuse: bool = False) -> socket.socket:
    """A socket bound to `address` that does not listen. With `reuse` two sockets can share an address
    until one of them listens; a reserved port must not be shared."""
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


@asynccontextmanager
async def listening(
    host: str = "127.0.0.1",
    port: int = 0,
    public_url: str | None = None,
    tls: ssl.SSLContext | None = None,
    *,
    clock: Clock,
) -> AsyncIterator[Mock]:
    """Listen within the context, over https with `tls`. Port 0 picks a free one. `public_url` is the
    URL at which senders reach the mock, when that is not its own address. Exchanges that are pending
    at the end are given up. Raises InputError when the address cannot be bound."""
    try:
        addresses = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )
        bound = _bind(addresses[0][0], addresses[0][4], reuse=True)
    except OSError as fault:
        raise InputError(
            "--listen: {host}:{port} is not available ({reason}): give an address of this "
            "machine and a free port, or port 0",
            host=host,
            port=port,
            reason=str(fault.strerror),
        ) from None
    if ipaddress.ip_address(bound.getsockname()[0]).is_unspecified:
        host = "127.0.0.1" if bound.family == socket.AF_INET else "::1"
    name = f"[{host}]" if ":" in host else host
    mock = Mock(bound, name, (public_url or "").rstrip("/"), tls, clock)
    try:
        await mock._listener.listen(bound)
        yield mock
    finally:
        await mock._stop()
