"""The suite's side of the wire: each request goes out the way that it asks for."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType

from conformance.model.clock import Clock
from conformance.model.errors import InputError
from conformance.model.exchange import Headers, Request, Transport
from conformance.wire.pooled import Pooled
from conformance.wire.raw import Connection, Gate, Raw
from conformance.wire.reply import Reply


class Wire:
    """Sends requests, at most `concurrency` at a time but for bursts.

    `patience`: seconds to wait for a whole answer. `extra`: headers sent with every request and
    recorded nowhere. Use as an async context manager.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        patience: float,
        concurrency: int,
        tls: ssl.SSLContext,
        extra: Headers = (),
    ) -> None:
        self._tls = tls
        self._means = (clock, patience, tls, extra)
        self._reuse = True
        self._pooled = Pooled(*self._means)
        self._raw = Raw(*self._means)
        self._pool = True
        self.place = asyncio.Semaphore(concurrency)
        """What a request holds while it is in flight."""

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._pooled.close()

    def avoid_pool(self) -> None:
        """Send everything over plain streams from now on: their parser takes one answer and minds
        nothing behind it, where aiohttp's refuses an answer that is longer than it says."""
        self._pool = False

    def trust_any(self) -> None:
        """Take any certificate from now on."""
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    async def renew(self) -> None:
        """Let go of idle connections: the target may have ended its side of them."""
        await self._pooled.close()
        self._pooled = Pooled(*self._means, reuse=self._reuse)

    async def share_connections(self, reuse: bool) -> None:
        """Whether well-formed requests share connections from now on, as they do at first."""
        self._reuse = reuse
        await self.renew()

    async def send(
        self,
        request: Request,
        *,
        gate: Gate | None = None,
        kept: list[Connection] | None = None,
    ) -> Reply:
        """Send one request; always ends, with an answer or a fault. Those that share a `gate` go
        out at once, past the bound on requests in flight; `kept` is where keep-alive requests of
        one case keep their connection."""
        if gate is not None:
            return await self._raw.send(request, [], gate)
        # A request that waits by its nature would hold a place that it does not use.
        bound = request.transport is not Transport.SLOW
        async with self.place if bound else nullcontext():
            if self._pool and request.transport is Transport.POOLED and is_ascii(request.headers):
                return await self._pooled.send(request)
            return await self._raw.send(request, [] if kept is None else kept)


def is_ascii(headers: Headers) -> bool:
    """Whether aiohttp can send these header values byte for byte: it strips no blanks that matter
    and writes text, so that anything else goes over plain streams."""
    return all(value.isascii() and value == value.strip() for _, value in headers)


def tls_context(ca: Path | None, *, system: bool = True) -> ssl.SSLContext:
    """The system's certificates (not without `system`: to read them takes 20 ms, which plain http
    need not pay for) and those in the file `ca`. Raises InputError for an unusable file."""
    context = ssl.create_default_context() if system else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is not None:
        try:
            context.load_verify_locations(cafile=ca)
        except OSError as fault:  # ssl.SSLError is one
            raise InputError(f"--ca: {ca} holds no usable certificate: {fault}") from None
    return context
