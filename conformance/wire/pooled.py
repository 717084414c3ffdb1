"""Well-formed requests over aiohttp's pooled connections."""

from __future__ import annotations

import asyncio
import io
import ssl
from contextlib import suppress

import aiohttp
from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

from conformance.model.clock import Clock
from conformance.model.exchange import Answer, Fault, Headers, Request
from conformance.wire.reply import BODY_BYTES, BodyCollector, EndlessError, Reply, without

IDLE = 1.0
"""Seconds that an idle connection stays open. Servers keep one longer, so that no request meets a
connection that the server is just closing: aiohttp does not retry a POST."""
UPLOAD_RATE = 250_000
"""The bytes a second of a slow line. They bound the time that a large body may take."""

_FAULTS: list[tuple[type[BaseException], Fault]] = [
    (aiohttp.ClientConnectorDNSError, Fault.DNS),
    (aiohttp.ClientConnectorCertificateError, Fault.TLS),
    (aiohttp.ClientSSLError, Fault.TLS),
    (aiohttp.ClientConnectorError, Fault.REFUSED),
    (TimeoutError, Fault.TIMEOUT),
    (EndlessError, Fault.ENDLESS),
    (UnicodeError, Fault.DNS),
    (aiohttp.ClientResponseError, Fault.GARBAGE),
    (aiohttp.InvalidURL, Fault.GARBAGE),
    (aiohttp.ClientError, Fault.CLOSED),
    (OSError, Fault.CLOSED),
    (ValueError, Fault.GARBAGE),  # malformed headers that aiohttp's parser lets through
]

_DETAILS: list[tuple[type[BaseException], str]] = [
    (aiohttp.ServerDisconnectedError, "the server disconnected"),
    (aiohttp.ClientPayloadError, "the body ended early, or is malformed"),
    (aiohttp.ClientResponseError, "a malformed or endless status line or header"),
    (TimeoutError, "timed out"),
    (UnicodeError, "no such host name"),
    (BaseException, "malformed headers"),
]


class _Response(aiohttp.ClientResponse):
    """Notes the peer's address: the connection is released before the caller can ask for it."""

    peer: str | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        transport = connection.transport
        address = transport.get_extra_info("peername") if transport is not None else None
        self.peer = address[0] if address else None
        return await super().start(connection)


class _TimedBody(payload.BytesIOPayload):
    """A body that notes when its last byte was written to the socket."""

    def __init__(self, value: bytes, clock: Clock, patience: float) -> None:
        super().__init__(io.BytesIO(value))
        self._clock = clock
        self._patience = patience
        self.limit: asyncio.Timeout | None = None
        self.sent = 0.0

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        await super().write_with_length(writer, content_length)
        self.sent = self._clock.monotonic()
        with suppress(RuntimeError):  # the target answered before the whole body was sent
            if self.limit is not None:  # the target's time starts now
                self.limit.reschedule(asyncio.get_running_loop().time() + self._patience)


class Pooled:
    """A connection pool, or a new connection for each request without `reuse`. `patience` is how many
    seconds to wait for a whole answer."""

    def __init__(
        self,
        clock: Clock,
        patience: float,
        tls: ssl.SSLContext,
        extra: Headers,
        *,
        reuse: bool = True,
    ) -> None:
        self._clock = clock
        self._patience = patience
        self._extra = extra
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                ssl=tls,
                keepalive_timeout=IDLE if reuse else None,
                force_close=not reuse,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
            auto_decompress=False,
            response_class=_Response,
            max_line_size=BODY_BYTES,
            max_field_size=BODY_BYTES,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def send(self, request: Request) -> Reply:
        """Send `request` and read the answer. Ends within `patience` plus the time of the upload."""
        started = self._clock.monotonic()
        body = _TimedBody(request.body, self._clock, self._patience) if request.body else None
        collector, peer = BodyCollector(len(request.body)), None
        answer: Answer | None = None
        fault: Fault | None = None
        detail = ""
        headers = CIMultiDict(
            (name.decode("ascii"), value.decode("ascii"))
            for name, value in (*without(request.headers, self._extra), *self._extra)
        )
        try:
            async with asyncio.timeout(self._patience + len(request.body) / UPLOAD_RATE) as limit:
                if body is not None:
                    body.limit = limit
                response = await self._session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                )
                peer = getattr(response, "peer", None)
                try:
                    async for chunk in response.content.iter_any():
                        collector.add(chunk)
                finally:
                    answer = collector.answer(response.status, tuple(response.raw_headers))
                    if not response.content.at_eof():
                        response.close()
        except (aiohttp.ClientError, OSError, ValueError, EndlessError) as problem:
            fault = next(fault for kind, fault in _FAULTS if isinstance(problem, kind))
            detail = _describe(problem)
        sent = body.sent if body is not None and body.sent else started
        return Reply(answer, fault, detail, started, sent, self._clock.monotonic(), peer)


def _describe(problem: BaseException) -> str:
    if isinstance(problem, EndlessError):
        return ""
    if isinstance(problem, aiohttp.ClientConnectorError) and not isinstance(
        problem, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError
    ):
        return str(problem.os_error.strerror or problem.os_error)
    if isinstance(problem, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
        return str(problem)[:200]
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    # Never the exception's own text: it quotes the answer, which may hold a secret.
    return next(detail for kind, detail in _DETAILS if isinstance(problem, kind))
