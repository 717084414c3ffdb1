"""Sends requests over plain streams, byte for byte, and broken or slow if the transport says so.

Only the answer is parsed. h11 does that: it bounds the head and tells garbage from HTTP.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise
from urllib.parse import urlsplit

import h11

from conformance.model.clock import Clock
from conformance.model.exchange import Answer, Fault, Headers, Request, Transport
from conformance.wire.reply import BODY_BYTES, BodyCollector, EndlessError, Reply, without

SLOW_SECONDS = 1.5
"""How long a slow body takes."""
PIECES = 6
"""How many pieces a slow body is sent in."""
EXPECT_SECONDS = 1.0
"""How long to wait for 100 Continue before sending the body (RFC 9110, 10.1.1: not indefinitely)."""
RESET_AFTER = 0.02
"""Seconds between the last byte and the reset of a connection."""
TOO_LONG = 100
"""How many bytes an overlong Content-Length exceeds the body by."""


class Connection:
    """One connection, and the state of the parser of its answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=BODY_BYTES)

    @property
    def reusable(self) -> bool:
        """Whether both sides allow another request on it."""
        return self.parser.our_state is h11.DONE and self.parser.their_state is h11.DONE


# uvloop raises RuntimeError for a transport that the target has already closed.
_PROBLEMS = (OSError, EndlessError, h11.RemoteProtocolError, EOFError, RuntimeError, UnicodeError)


_BROKEN_OFF = (Transport.CUT, Transport.OVERLONG, Transport.GIVE_UP, Transport.RESET)
"""Transports after which the suite closes the connection without reading an answer."""


class Gate:
    """Holds the `size` requests of a burst until all their connections are open, so that they go out
    at once.

    A server that accepts connections one by one would wait for the first request forever, so the gate
    opens after HOLD_SECONDS in any case.
    """

    HOLD_SECONDS = 0.5

    def __init__(self, size: int) -> None:
        self._missing = size
        self._open = asyncio.Event()

    async def wait(self) -> None:
        """Wait for the others."""
        self._missing -= 1
        if self._missing <= 0:
            self._open.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.HOLD_SECONDS):
                await self._open.wait()
        self._open.set()


class Raw:
    """Opens a connection for each request. Keep-alive requests reuse the last one while it is open.

    `patience` is how many seconds to wait for a whole answer.
    """

    def __init__(self, clock: Clock, patience: float, tls: ssl.SSLContext, extra: Headers) -> None:
        self._clock = clock
        self._patience = patience
        self._tls = tls
        self._extra = extra

    async def send(
        self, request: Request, kept: list[Connection], gate: Gate | None = None
    ) -> Reply:
        """Send `request`. Always ends, with an answer or a fault. `kept` holds the connection that the
        keep-alive requests of one case share; `gate` is that of the request's burst, if any."""
        started = sent = self._clock.monotonic()
        answer, fault, detail, peer = None, None, "", None
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self._patience):
                connection = await self._connection(request, kept)
            # None if the target has already closed the connection.
            address = connection.writer.get_extra_info("peername")
            peer = address[0] if address else None
            if gate is not None:
                await gate.wait()
            async with asyncio.timeout(SLOW_SECONDS + EXPECT_SECONDS + self._patience):
                early = await self._write(connection, request)
                sent = self._clock.monotonic()
            if request.transport in _BROKEN_OFF:
                fault, detail = (
                    Fault.GIVEN_UP,
                    "the suite closed the connection, as the scenario asks",
                )
            else:
                async with asyncio.timeout(self._patience):
                    answer = await _answer(connection, early, len(request.body))
        except _PROBLEMS as problem:
            fault, detail = _fault(problem), _describe(problem)
        except asyncio.CancelledError:
            if connection is not None:
                connection.writer.transport.abort()
            raise
        if connection is not None:
            await self._leave(connection, request, kept, whole=answer is not None)
        return Reply(answer, fault, detail, started, sent, self._clock.monotonic(), peer)

    async def _connection(self, request: Request, kept: list[Connection]) -> Connection:
        if request.transport is Transport.KEEP_ALIVE and kept:
            last = kept.pop()
            if last.reusable and not last.reader.at_eof():
                last.parser.start_next_cycle()
                return last
            last.writer.close()
        url = urlsplit(request.url)
        secure = url.scheme == "https"
        reader, writer = await asyncio.open_connection(
            url.hostname,
            url.port or (443 if secure else 80),
            ssl=self._tls if secure else None,
            limit=BODY_BYTES,
        )
        return Connection(reader, writer)

    async def _write(self, connection: Connection, request: Request) -> h11.Response | None:
        """Write the request as its transport says. Returns the head of an answer that came before the
        body was sent, if any."""
        writer, transport = connection.writer, request.transport
        writer.write(_head(request, self._extra))
        # The least that the parser needs to know in order to read the answer.
        connection.parser.send(
            h11.Request(method=request.method, target="/", headers=[("Host", "-")])
        )
        connection.parser.send(h11.EndOfMessage())
        if transport is Transport.EXPECT:
            early = await _await_continue(connection)
            if early is not None:
                return early
        for piece in _pieces(request):
            if transport is Transport.SLOW:
                await writer.drain()
                await self._clock.sleep(SLOW_SECONDS / PIECES)
            writer.write(piece)
        if transport is Transport.CUT:
            await writer.drain()
            await self._clock.sleep(RESET_AFTER)
        with suppress(ConnectionError):  # a server that has read enough may have closed already
            await writer.drain()
        return None

    async def _leave(
        self, connection: Connection, request: Request, kept: list[Connection], *, whole: bool
    ) -> None:
        if request.transport is Transport.KEEP_ALIVE and whole:
            kept.append(connection)
            return
        if request.transport is Transport.RESET:
            await self._clock.sleep(RESET_AFTER)
            raw = connection.writer.get_extra_info("socket")
            if raw is not None:  # None if the target has closed the connection
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.writer.close()


def _head(request: Request, extra: Headers) -> bytes:
    url = urlsplit(request.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    host = ((b"Host", url.netloc.encode()),)
    headers = (*without((*host, *request.headers), extra), *extra)
    lines = [f"{request.method} {target} HTTP/1.1".encode()]
    lines += [name + b": " + value for name, value in headers]
    match request.transport:
        case Transport.CHUNKED:
            lines.append(b"Transfer-Encoding: chunked")
        case Transport.OVERLONG:
            lines.append(b"Content-Length: %d" % (len(request.body) + TOO_LONG))
        case _:
            lines.append(b"Content-Length: %d" % len(request.body))
    if request.transport is Transport.EXPECT:
        lines.append(b"Expect: 100-continue")
    if request.transport is not Transport.KEEP_ALIVE:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _pieces(request: Request) -> list[bytes]:
    body = request.body
    match request.transport:
        case Transport.CUT:
            return [body[: len(body) // 2]]
        case Transport.CHUNKED:
            third = max(1, len(body) // 3)
            parts = [body[at : at + third] for at in range(0, len(body), third)]
            return [b"%x\r\n%b\r\n" % (len(part), part) for part in parts] + [b"0\r\n\r\n"]
        case Transport.SLOW:
            return dripping(body)
        case _:
            return [body]


def dripping(body: bytes) -> list[bytes]:
    """`body` in at most PIECES pieces, split inside a multi-byte character wherever one is near.

    Networks split anywhere. A target that decodes each piece separately loses that character.
    """
    step = max(1, -(-(len(body) - 1) // (PIECES - 1)))
    cuts = [0]
    for at in range(1, len(body), step):
        inside = _INSIDE.search(body, at, at + step)
        cuts.append(inside.start() if inside else at)
    return [body[start:end] for start, end in pairwise([*cuts, len(body)])]


_INSIDE = re.compile(rb"[\x80-\xbf]")
"""A UTF-8 byte that is not the first of its character."""


async def _events(connection: Connection) -> AsyncIterator[h11.Event]:
    parser, reader = connection.parser, connection.reader
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            # receive_data(b"") tells the parser that the connection has ended.
            parser.receive_data(await reader.read(BODY_BYTES))
        elif isinstance(event, h11.ConnectionClosed):
            raise EOFError("the connection was closed without an answer")
        elif not isinstance(event, type):
            yield event


async def _await_continue(connection: Connection) -> h11.Response | None:
    """Wait for 100 Continue, at most EXPECT_SECONDS. Returns the head of a final answer instead, if any."""
    try:
        async with asyncio.timeout(EXPECT_SECONDS):
            async for event in _events(connection):
                return event if isinstance(event, h11.Response) else None
    except TimeoutError:
        pass
    return None


async def _answer(connection: Connection, early: h11.Response | None, request_size: int) -> Answer:
    head, body = early, BodyCollector(request_size)
    async for event in _events(connection):
        if isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body.add(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            break
    assert head is not None  # noqa: S101 - h11 yields no end without a head
    return body.answer(
        head.status_code, tuple((bytes(n), bytes(v)) for n, v in head.headers.raw_items())
    )


def _describe(problem: BaseException) -> str:
    """The problem in our own words: h11's quote the answer, which may hold a secret."""
    match problem:
        case ssl.SSLError():
            return str(problem)[:200]
        case OSError():
            return problem.strerror or type(problem).__name__
        case h11.RemoteProtocolError():
            return "malformed, endless or broken off"
        case EOFError():
            return "no answer"
        case _:
            return ""


def _fault(problem: BaseException) -> Fault:
    match problem:
        case TimeoutError():
            return Fault.TIMEOUT
        case EndlessError():
            return Fault.ENDLESS
        case socket.gaierror() | UnicodeError():
            return Fault.DNS
        case ssl.SSLError():
            return Fault.TLS
        case ConnectionRefusedError():
            return Fault.REFUSED
        case h11.RemoteProtocolError() if "closed" not in str(problem).lower():
            return Fault.GARBAGE
        case _:
            return Fault.CLOSED
