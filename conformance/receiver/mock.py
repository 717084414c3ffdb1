"""The mock receiver: answers a sender under test by script, and records every attempt that comes.

It knows HTTP, and of a body the msgId alone: neither signatures nor schemas, and no rule. What an
attempt is worth is for the checks, which get it as it came. Guide: 接收流程, 重試機制.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
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

from aiohttp import web

from conformance.model.clock import Clock
from conformance.model.errors import InputError
from conformance.model.exchange import Exchange, Fault, Request, Role, Transport
from conformance.protocol.message import mark_in
from conformance.receiver import behaviour as behaviour
from conformance.receiver.script import Outcome, Scripted, perform
from conformance.serving.listening import BACKLOG, KEEP_ALIVE

__all__ = ["Mock", "MockEndpoint", "RefusingEndpoint", "Scripted", "listening"]

GRACE = 0.5
"""Seconds that connections have left when the mock stops."""

_LOG = logging.getLogger("hookproof.receiver")

PLAIN = Scripted()
_CUT = re.compile(rb'"msgId"\s*:\s*"?([0-9]{1,20})(?=["\s,}])')
_LEFT = "the sender left"
_UNDER_WAY: Outcome = (None, None, "")
_TOO_LARGE = Scripted(413, headers=(("Connection", "close"),), body=b'{"status": "error"}')


class MockEndpoint:
    """One configured URL of the mock; `url` is what is configured at the sender.

    `arrivals` are the requests in the order in which they were whole, or broke off. One that is
    under way has neither answer nor fault, and is replaced when it ends. Its fault is then TIMEOUT
    when the sender left before the answer was complete, GIVEN_UP when the mock left, CLOSED or
    GARBAGE for what the script did (`detail` names it), and CLOSED for a request that was cut.

    `script` is for whatever nobody was told to expect; messages that were `assign`ed have scripts of
    their own. What has no msgId and is no POST gets PLAIN, since senders probe with HEAD.
    """

    def __init__(self, path: str, url: str, script: Sequence[Scripted]) -> None:
        self.path = path
        self.url = url
        self.arrivals: list[Exchange] = []
        self._assigned: dict[str, tuple[Scripted, ...]] = {}
        self._change = asyncio.Event()
        self.script(script)

    def script(self, answers: Sequence[Scripted]) -> None:
        """Give the n-th attempt of each msgId the n-th of `answers`; the last repeats, and without
        any it is PLAIN. Attempts count from here on; all POSTs without msgId are one message."""
        self._answers = tuple(answers) or (PLAIN,)
        self._attempts: Counter[str | None] = Counter()

    def assign(self, msg_ids: Iterable[str], answers: Sequence[Scripted]) -> None:
        """The same for the messages of `msg_ids`, which are expected here: an arrival is recorded
        under the id of the message that was given, as far as `owner` finds it."""
        for msg_id in msg_ids:
            self._assigned[msg_id] = tuple(answers) or (PLAIN,)
            self._attempts[msg_id] = 0

    def owner(self, method: str, body: bytes) -> str | None:
        """The msgId of the message that a request delivers, though it may have lost it on the way: by
        its msgId, else by the mark in its content; what is posted with neither is the only one that
        is expected."""
        found = _msg_id(body)
        if found in self._assigned:
            return found
        marked = mark_in(body)
        if marked in self._assigned:
            return marked
        if found is None and marked is None and method == "POST" and len(self._assigned) == 1:
            return next(iter(self._assigned))
        return found

    async def changed(self, timeout: float) -> bool:
        """Wait for the next arrival, or the end of one; False when `timeout` seconds bring none."""
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
        """Append `exchange`, or replace the one at `index`; gives its index."""
        if index is None:
            index = len(self.arrivals)
            self.arrivals.append(exchange)
        else:
            self.arrivals[index] = exchange
        self._change.set()
        self._change = asyncio.Event()
        return index


class RefusingEndpoint(MockEndpoint):
    """An endpoint on a port of its own, which refuses connections until it listens. Its URL is never
    a public one: no tunnel leads to its port."""

    def __init__(self, path: str, url: str, mock: Mock, bound: socket.socket) -> None:
        super().__init__(path, url, (PLAIN,))
        self._mock = mock
        self._bound = bound

    async def listen(self) -> None:
        """Take connections from now on. To be called once."""
        await self._mock._serve(self._bound)


class Mock:
    """The endpoints, all behind one server. `listening` makes it."""

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
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_LOG,
            handler_cancellation=True,  # a sender that leaves is seen at once
            keepalive_timeout=KEEP_ALIVE,
            shutdown_timeout=GRACE,
            auto_decompress=False,  # the signature is over the bytes as received
        )

    def endpoint(self, script: Sequence[Scripted] = (PLAIN,)) -> MockEndpoint:
        """A new endpoint, under a path that nobody guesses."""
        path = _path()
        made = MockEndpoint(path, (self._public or self._base(self._bound[0])) + path, script)
        self._endpoints[path] = made
        # A tunnel may take the path of the public URL off, or leave it.
        self._endpoints[urlsplit(made.url).path] = made
        return made

    def refusing_endpoint(self) -> RefusingEndpoint:
        """A new endpoint on a port that is reserved for it, and refuses until `listen` is awaited."""
        first = self._bound[0]
        host, _, *rest = first.getsockname()
        bound = _bind(first.family, (host, 0, *rest))
        self._bound.append(bound)
        path = _path()
        self._endpoints[path] = made = RefusingEndpoint(path, self._base(bound) + path, self, bound)
        return made

    def _base(self, bound: socket.socket) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{bound.getsockname()[1]}"

    async def _start(self) -> None:
        await self._runner.setup()
        await self._serve(self._bound[0])

    async def _serve(self, bound: socket.socket) -> None:
        await web.SockSite(self._runner, bound, ssl_context=self._tls, backlog=BACKLOG).start()

    async def _stop(self) -> None:
        self._stopping = True
        for connection in self._runner.server.connections if self._runner.server else ():
            connection.force_close()  # else an answer that hangs holds everything up
        await self._runner.cleanup()
        for bound in self._bound:
            bound.close()

    def _left(self, fault: Fault, detail: str) -> Outcome:
        """The end of an exchange whose connection is gone: `fault`, unless the mock let go of it."""
        if self._stopping:
            return None, Fault.GIVEN_UP, "the mock stopped"
        return None, fault, detail

    async def _take(self, request: web.Request) -> web.StreamResponse:
        started = self._clock.monotonic()
        endpoint = self._endpoints.get(request.rel_url.raw_path)
        if endpoint is None:
            return web.Response(status=404)
        body, whole = bytearray(), False
        try:
            # `behaviour.receive` drops the part of a body that came: here it is evidence.
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > behaviour.LIMIT:
                    break
            whole = True
        finally:  # a connection that is lost cancels its handler
            cut = None if whole else self._left(Fault.CLOSED, "the sender left in mid-body")
            arrival = self._arrival(endpoint, request, bytes(body), started, cut or _UNDER_WAY)
            index = endpoint._record(arrival)
        larger = len(body) > behaviour.LIMIT
        scripted = _TOO_LARGE if larger else endpoint._next(arrival.msg_id, request.method)
        try:
            response, outcome = await perform(request, scripted, arrival.sent, self._clock)
        except ConnectionError:  # noticed in writing, before the cancellation
            response, outcome = web.StreamResponse(), self._left(Fault.TIMEOUT, _LEFT)
        except asyncio.CancelledError:
            self._end(endpoint, index, self._left(Fault.TIMEOUT, _LEFT))
            raise
        self._end(endpoint, index, outcome)
        return response

    def _end(self, endpoint: MockEndpoint, index: int, outcome: Outcome) -> None:
        answer, fault, detail = outcome
        now = self._clock.monotonic()
        arrival = endpoint.arrivals[index]
        endpoint._record(
            replace(arrival, answer=answer, fault=fault, detail=detail, ended=now), index
        )

    def _arrival(
        self,
        endpoint: MockEndpoint,
        request: web.Request,
        body: bytes,
        started: float,
        came: Outcome,
    ) -> Exchange:
        now = self._clock.monotonic()
        self._count += 1
        query = request.rel_url.raw_query_string
        url = endpoint.url + (f"?{query}" if query else "")
        asked = Request(request.method, url, request.raw_headers, body, Transport.RAW)
        return Exchange(
            self._count, Role.ATTEMPT, None, None, 0, endpoint.owner(request.method, body), asked, None,
            *came, started, sent=now, ended=now, peer=request.remote,
            clock=self._clock.now() - (now - started),
        )  # fmt: skip


def _msg_id(body: bytes) -> str | None:
    """The msgId, a number too: that it is none that fits is found by the schema, and once. A body that
    is cut shows it as well."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        seen = _CUT.search(body)
        return seen[1].decode() if seen else None
    found = message.get("msgId") if isinstance(message, dict) else None
    read = behaviour.msg_id({"msgId": str(found) if type(found) is int else found})
    return read if isinstance(read, str) else None


def _path() -> str:
    return f"/h/{secrets.token_hex(16)}"


def _bind(family: int, address: tuple[Any, ...], *, reuse: bool = False) -> socket.socket:
    """A socket that holds `address` and does not listen. Two that may reuse an address can share
    it until one of them listens: a reserved port must not."""
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
    """Listen within the context, on https with `tls`; port 0 takes a free one. `public_url` is how
    senders reach the mock when that is not its own address. What is under way at the end is given
    up. Raises InputError when the address cannot be had."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        bound = _bind(found[0][0], found[0][4], reuse=True)
    except OSError as fault:
        raise InputError(
            f"--listen: {host}:{port} cannot be had ({fault.strerror}): give an address of this "
            "machine and a free port, or port 0"
        ) from None
    if ipaddress.ip_address(bound.getsockname()[0]).is_unspecified:
        host = "127.0.0.1" if bound.family == socket.AF_INET else "::1"
    name = f"[{host}]" if ":" in host else host
    mock = Mock(bound, name, (public_url or "").rstrip("/"), tls, clock)
    try:
        await mock._start()
        yield mock
    finally:
        await mock._stop()
