"""Requests over plain streams: the bytes exactly as they stand, broken or slow where that is asked.

Only the answer is parsed, by h11, which bounds the head and tells garbage from HTTP.
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
from conformance.wire.reply import KEPT, Body, EndlessError, Reply, without

SLOW_SECONDS = 1.5
PIECES = 6
EXPECT_SECONDS = 1.0
"""How long to wait to be asked for the body (RFC 9110, 10.1.1: not for ever)."""
RESET_AFTER = 0.02
"""Seconds after the last byte at which a sender that gives up resets the connection."""
TOO_LONG = 100
"""Bytes by which an overlong Content-Length passes the body."""


class Connection:
    """One connection, and the state of what has been read from it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=KEPT)

    @property
    def reusable(self) -> bool:
        """Whether both sides have said that another request may follow on it."""
        return self.parser.our_state is h11.DONE and self.parser.their_state is h11.DONE


# RuntimeError is uvloop's word for a transport that the target has closed already.
_PROBLEMS = (OSError, EndlessError, h11.RemoteProtocolError, EOFError, RuntimeError, UnicodeError)


class Gate:
    """Holds the requests of a burst until all their connections stand, so that they go out at once.

    A server that takes connections one by one would wait for the first request for ever, so that
    the gate opens after HELD seconds whatever stands.
    """

    HELD = 0.5

    def __init__(self, size: int) -> None:
        self._missing = size
        self._open = asyncio.Event()

    async def wait(self) -> None:
        """Wait for the others."""
        self._missing -= 1
        if self._missing <= 0:
            self._open.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.HELD):
                await self._open.wait()
        self._open.set()


class Raw:
    """Opens a connection for each request; with keep-alive the last one again while it is open.

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
        """Send `request`. `kept` holds the connection that keep-alive requests of one case share;
        `gate` is that of the burst to which it belongs."""
        started = sent = self._clock.monotonic()
        answer, fault, detail, peer = None, None, "", None
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self._patience):
                connection = await self._connection(request, kept)
            # None when the target has closed it already.
            address = connection.writer.get_extra_info("peername")
            peer = address[0] if address else None
            if gate is not None:
                await gate.wait()
            async with asyncio.timeout(SLOW_SECONDS + EXPECT_SECONDS + self._patience):
                early = await self._write(connection, request)
                sent = self._clock.monotonic()
            if request.transport in (
                Transport.CUT,
                Transport.OVERLONG,
                Transport.GIVE_UP,
                Transport.RESET,
            ):
                fault, detail = (
                    Fault.GIVEN_UP,
                    "the suite closed the connection, as the scenario asks",
                )
            else:
                async with asyncio.timeout(self._patience):
                    answer = await _answer(connection, early, len(request.body))
        except _PROBLEMS as problem:
            fault, detail = _fault(problem), _say(problem)
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
            limit=KEPT,
        )
        return Connection(reader, writer)

    async def _write(self, connection: Connection, request: Request) -> h11.Response | None:
        """Write the request as its transport says; an answer that came before the body, if any."""
        writer, way = connection.writer, request.transport
        writer.write(_head(request, self._extra))
        # The parser is told the least that it needs in order to read an answer.
        connection.parser.send(
            h11.Request(method=request.method, target="/", headers=[("Host", "-")])
        )
        connection.parser.send(h11.EndOfMessage())
        if way is Transport.EXPECT:
            early = await _asked(connection)
            if early is not None:
                return early
        for piece in _pieces(request):
            if way is Transport.SLOW:
                await writer.drain()
                await self._clock.sleep(SLOW_SECONDS / PIECES)
            writer.write(piece)
        if way is Transport.CUT:
            await writer.drain()
            await self._clock.sleep(RESET_AFTER)
        with suppress(ConnectionError):  # a server that has read enough may have answered already
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
            if raw is not None:  # the target may have closed it by now
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
    """`body` in PIECES, which end inside a character of several bytes wherever one is near.

    Networks split anywhere, and a target that decodes each piece by itself loses that character.
    """
    step = max(1, -(-(len(body) - 1) // (PIECES - 1)))
    cuts = [0]
    for at in range(1, len(body), step):
        inside = _INSIDE.search(body, at, at + step)
        cuts.append(inside.start() if inside else at)
    return [body[start:end] for start, end in pairwise([*cuts, len(body)])]


_INSIDE = re.compile(rb"[\x80-\xbf]")
"""A byte of UTF-8 that is not a character's first."""


async def _events(connection: Connection) -> AsyncIterator[h11.Event]:
    parser, reader = connection.parser, connection.reader
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            # receive_data(b"") tells the parser that the connection has ended.
            parser.receive_data(await reader.read(KEPT))
        elif isinstance(event, h11.ConnectionClosed):
            raise EOFError("the connection was closed without an answer")
        elif not isinstance(event, type):
            yield event


async def _asked(connection: Connection) -> h11.Response | None:
    """Wait to be asked for the body; an answer that comes instead of the question, if any."""
    try:
        async with asyncio.timeout(EXPECT_SECONDS):
            async for event in _events(connection):
                return event if isinstance(event, h11.Response) else None
    except TimeoutError:
        pass
    return None


async def _answer(connection: Connection, early: h11.Response | None, sent: int) -> Answer:
    head, body = early, Body(sent)
    async for event in _events(connection):
        if isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body.add(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            break
    assert head is not None  # noqa: S101 - h11 gives no end without a head
    return body.answer(
        head.status_code, tuple((bytes(n), bytes(v)) for n, v in head.headers.raw_items())
    )


def _say(problem: BaseException) -> str:
    """The problem in words of our own: h11's quote what came, and that may hold a secret."""
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
