"""The suite's HTTP client: sends each request over the transport that it asks for.

Knows nothing of rules, signatures or scenarios.
"""

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
from conformance.wire.raw import Raw
from conformance.wire.reply import Reply
from conformance.wire.transport import ORDINARY, SendOptions


class Wire:
    """Sends requests, at most `concurrency` at a time except in bursts.

    `patience` is how many seconds to wait for a whole answer. `extra` are headers that are sent with
    every request and recorded nowhere. Use it as an async context manager.
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
        self._arguments = (clock, patience, tls, extra)
        self._options = ORDINARY
        self._pooled = Pooled(*self._arguments)
        self._raw = Raw(*self._arguments)
        self._place = asyncio.Semaphore(concurrency)  # held by each request in flight

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._pooled.close()

    async def send(self, request: Request, options: SendOptions = ORDINARY) -> Reply:
        """Send one request. Always ends, with an answer or a fault."""
        await self._follow(options)
        if options.gate is not None:
            return await self._raw.send(request, [], options.gate)
        # A slow request mostly waits: it would occupy a place that others can use.
        bound = request.transport is not Transport.SLOW
        async with self._place if bound else nullcontext():
            if (
                options.pooled
                and request.transport is Transport.POOLED
                and is_ascii(request.headers)
            ):
                return await self._pooled.send(request)
            return await self._raw.send(request, [] if options.kept is None else options.kept)

    async def _follow(self, options: SendOptions) -> None:
        """Use only the connections that `options` allow from now on."""
        earlier, self._options = self._options, options
        if options.trusting:
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE
        if (options.reused, options.generation) != (earlier.reused, earlier.generation):
            pooled, self._pooled = self._pooled, Pooled(*self._arguments, reuse=options.reused)
            await pooled.close()


def is_ascii(headers: Headers) -> bool:
    """Whether aiohttp can send these header values byte for byte: it takes only text, and may strip
    spaces around a value. Other values go over plain streams."""
    return all(value.isascii() and value == value.strip() for _, value in headers)


def tls_context(ca: Path | None, *, system: bool = True) -> ssl.SSLContext:
    """A client context that trusts the system's certificates and those in the file `ca`. Without
    `system` the system's are not read, which saves 20 ms where only plain http is used. Raises
    InputError for an unusable file."""
    context = ssl.create_default_context() if system else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is not None:
        try:
            context.load_verify_locations(cafile=ca)
        except OSError as fault:  # ssl.SSLError is one
            raise InputError(
                "--ca: {ca} holds no usable certificate: {reason}", ca=str(ca), reason=str(fault)
            ) from None
    return context
