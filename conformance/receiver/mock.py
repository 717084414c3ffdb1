"""The mock receiver: answers a sender under test by script, and records every attempt that comes.

It knows HTTP, and of a body the msgId alone: neither signatures nor schemas, and no rule. What an
attempt is worth is for the checks, which get it as it came. Guide: 接收流程, 重試機制.
"""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import json
import logging
import secrets
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from aiohttp import web

from conformance.clock import Clock
from conformance.errors import InputError
from conformance.exchange import Answer, Exchange, Fault, Request, Role, Transport
from conformance.receiver import policy
from conformance.receiver.app import BACKLOG, KEEP_ALIVE

HANG = 60.0
"""Seconds after which a hanging answer is given up: no deadline is longer (伺服器要求 3)."""
DRIPS = 20
"""Pieces of a dripping body, at most: so many that no pause passes for an idle connection."""
GRACE = 0.5
"""Seconds that connections have left when the mock stops."""

_KEPT = 64 * 1024  # bytes of a body that an `Answer` holds
_GARBAGE = b"\x00\x01 this is no HTTP \xff\xfe\r\n\r\n"
_FAULTS = (None, "reset", "close", "half", "garbage", "hang", "drip")
_LOG = logging.getLogger("hookproof.receiver")

Outcome = tuple[Answer | None, Fault | None, str]
"""What an exchange says of its end: answer, fault and detail."""


@dataclass(frozen=True, slots=True)
class Scripted:
    """One answer of a script. A redirect carries its Location in `headers`.

    `delay` is the seconds between the whole request and the first byte of the answer, or the fault.
    `fault` is None, or one of: reset (RST before any byte), close (FIN before any byte), half (head
    and half of the body, then closed), garbage (bytes that are no HTTP, then closed), hang (no
    answer until the sender leaves, at most HANG), drip (head at once, the body in pieces of which
    the last comes after `delay`: a whole answer in the end). For half and drip an empty body counts
    as one space. Raises ValueError for another fault.
    """

    status: int = 200
    delay: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b'{"status": "success"}'
    fault: str | None = None

    def __post_init__(self) -> None:
        if self.fault not in _FAULTS:
            raise ValueError(f"fault {self.fault!r} is none of {_FAULTS}")


PLAIN = Scripted()
_TOO_LARGE = Scripted(413, body=b'{"status": "error"}', headers=(("Connection", "close"),))


class Endpoint:
    """One configured URL of the mock.

    `url` is what is configured at the sender. `arrivals` are the requests in the order in which
    they were whole (or broke off); one that is under way has neither answer nor fault, and is
    replaced when it ends: TIMEOUT when the sender left before the answer was complete, GIVEN_UP when
    the mock left first, CLOSED or GARBAGE for what the script did (`detail` names it) or for a
    request that was cut short or garbled. `own` are the msgIds to which the script applies, None
    for all; other messages get PLAIN, and so does a request without msgId that is no POST, since
    senders probe with HEAD.
    """

    own: set[str] | None

    def __init__(self, path: str, url: str, script: Sequence[Scripted]) -> None:
        self.path, self.url = path, url
        self.arrivals: list[Exchange] = []
        self.own = None
        self._change = asyncio.Event()
        self.script(script)

    def script(self, answers: Sequence[Scripted]) -> None:
        """Answer the n-th attempt of each msgId with the n-th of `answers`, at least one; the last
        repeats. Attempts are counted from here on; POSTs without msgId count as one message."""
        self._answers = tuple(answers)
        self._attempts: Counter[str | None] = Counter()

    async def changed(self, timeout: float) -> bool:
        """Wait for the next arrival or end of one; False when none came within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self._change.wait()
        except TimeoutError:
            return False

    def _next(self, msg_id: str | None, method: str) -> Scripted:
        foreign = self.own is not None and msg_id not in self.own
        if foreign or (msg_id is None and method != "POST"):
            return PLAIN
        number = self._attempts[msg_id]
        self._attempts[msg_id] += 1
        return self._answers[min(number, len(self._answers) - 1)]

    def _arrived(self, exchange: Exchange) -> int:
        self.arrivals.append(exchange)
        self._wake()
        return len(self.arrivals) - 1

    def _ended(self, index: int, outcome: Outcome, when: float) -> None:
        answer, fault, detail = outcome
        self.arrivals[index] = replace(
            self.arrivals[index], answer=answer, fault=fault, detail=detail, ended=when
        )
        self._wake()

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


class RefusingEndpoint(Endpoint):
    """An endpoint on a port of its own, which refuses connections until `listen` is called. Its URL
    is never the public one: no tunnel leads to its port."""

    def __init__(self, path: str, url: str, mock: Mock, bound: socket.socket) -> None:
        super().__init__(path, url, (PLAIN,))
        self._mock, self._bound = mock, bound

    async def listen(self) -> None:
        """Take connections from now on; call it once."""
        await self._mock._serve(self._bound)


class Mock:
    """The endpoints, all behind one server. Made by `listening`."""

    def __init__(
        self, bound: socket.socket, name: str, public_url: str | None, clock: Clock
    ) -> None:
        self._bound, self._name, self._clock = [bound], name, clock
        self._tls: ssl.SSLContext | None = None
        self._base = public_url.rstrip("/") if public_url else None
        self._routes: dict[str, Endpoint] = {}
        self._arrived = 0
        self._stopping = False
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_LOG,
            handler_cancellation=True,  # tells at once that the sender has left
            keepalive_timeout=KEEP_ALIVE,
            shutdown_timeout=GRACE,
            auto_decompress=False,  # the signature is over the bytes as received
        )

    def endpoint(self, script: Sequence[Scripted] = (PLAIN,)) -> Endpoint:
        """A new endpoint, under a path that nobody can guess."""
        path = _path()
        base = self._base or self._address(self._bound[0])
        made = Endpoint(path, base + path, script)
        # A tunnel may or may not take the path of the public URL off.
        self._routes[path] = self._routes[urlsplit(made.url).path] = made
        return made

    def refusing_endpoint(self) -> RefusingEndpoint:
        """A new endpoint on a port of its own that is reserved, and refuses until it listens."""
        host, _, *rest = self._bound[0].getsockname()
        bound = _bind(self._bound[0].family, (host, 0, *rest))
        self._bound.append(bound)
        path = _path()
        self._routes[path] = made = RefusingEndpoint(path, self._address(bound) + path, self, bound)
        return made

    def _address(self, bound: socket.socket) -> str:
        return f"{'https' if self._tls else 'http'}://{self._name}:{bound.getsockname()[1]}"

    async def _start(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        await self._runner.setup()
        await self._serve(self._bound[0])

    async def _serve(self, bound: socket.socket) -> None:
        await web.SockSite(self._runner, bound, ssl_context=self._tls, backlog=BACKLOG).start()

    async def _stop(self) -> None:
        self._stopping = True
        for connection in self._runner.server.connections if self._runner.server else ():
            connection.force_close()  # or an answer that hangs would hold everything up
        await self._runner.cleanup()
        for bound in self._bound:
            bound.close()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        started = self._clock.monotonic()
        endpoint = self._routes.get(request.rel_url.raw_path)
        if endpoint is None:
            return web.Response(status=404)
        body, outcome = bytearray(), self._left(Fault.CLOSED, "the request was cut short")
        try:
            outcome = await _read(request, body)
        finally:  # cancelled when the connection is lost
            exchange = self._exchange(endpoint, request, bytes(body), started, outcome)
            index = endpoint._arrived(exchange)
        if exchange.fault is not None:
            _end(request, close=True)
            return web.Response()
        scripted = _TOO_LARGE if exchange.detail else endpoint._next(exchange.msg_id, exchange.request.method)
