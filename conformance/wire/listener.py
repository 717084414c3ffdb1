"""A raw HTTP/1.1 listener: hands over whatever reaches a port, as bytes, however broken.

It answers nothing but 100 Continue; whoever takes an arrival writes the answer to its connection. Knows
neither endpoints nor scripts.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import cast

from conformance.model.clock import Clock
from conformance.protocol.http1 import RawRequest, RequestReader

_LOG = logging.getLogger("hookproof.wire")
_LOG.addHandler(logging.NullHandler())

BACKLOG = 1024
"""How many connections may wait to be accepted: a burst opens hundreds at once."""
LINGER = 2.0
"""Seconds for which what a sender still sends is discarded before its connection is closed: closing at once
would reset the connection, and the answer could be lost."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as it was received on `connection`. `started` and `sent` are when its first and its last
    byte came, `number` counts the requests of the connection from 1."""

    request: RawRequest
    connection: Connection
    number: int
    started: float
    sent: float


@dataclass(frozen=True, slots=True)
class Taker:
    """What happens to arrivals.

    `take` answers one, and returns whether the connection stays open; it is cancelled when the sender
    leaves. `extend` is called when more bytes of an arrival's body come than its length allows, after
    it was taken. `limit` is the bytes of a body beyond which the rest is not read.
    """

    take: Callable[[Arrival], Awaitable[bool]]
    extend: Callable[[Arrival, bytes], None]
    limit: int


class Connection(asyncio.Protocol):
    """One connection; its requests are handed over one after the other."""

    transport: asyncio.Transport

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._reader = RequestReader(listener.taker.limit)
        self._task: asyncio.Task[None] | None = None
        self._last: Arrival | None = None
        self._started: float | None = None
        self._count = 0
        self._ended = False
        self._taken = False  # whether `take` has got the last arrival
        self._lingers = False
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self.transport = cast(asyncio.Transport, transport)
        self._listener.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        if self._lingers:  # a body that is too long may come in pieces
            self._reader.receive(data)
            self._take_surplus()
        if self._ended:
            return
        if self._started is None:
            self._started = self._listener.clock.monotonic()
        self._reader.receive(data)
        if self._task is None:
            self._advance()
            return
        if self._taken:
            self._take_surplus()
        if self._reader.begun and not self._paused:  # pipelined: read on once this one is answered
            self._paused = True
            self.transport.pause_reading()

    def eof_received(self) -> None:
        """Called by asyncio. A sender that closes its side has left: clients keep theirs open."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self._end()
        self._listener.connections.discard(self)

    def close(self) -> None:
        """Close the connection, once what was written is sent and the sender has finished or LINGER has
        passed."""
        self._ended = True
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._lingers = True
            self._resume()
            asyncio.get_running_loop().call_later(LINGER, self.transport.close)
        else:
            self.transport.close()

    def abort(self) -> asyncio.Task[None] | None:
        """End the connection at once. Returns the task that takes its last arrival, if there is one."""
        self._end()
        self.transport.abort()
        return self._task

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._task is not None:
            # Soon, not at once: a task that is cancelled before its first step never runs.
            asyncio.get_running_loop().call_soon(self._task.cancel)
            return
        self._take_surplus()
        if (rest := self._reader.finish()) is not None:
            self._serve(rest)

    def _resume(self) -> None:
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    def _advance(self) -> None:
        self._take_surplus()
        request = self._reader.next()
        if request is not None:
            if surplus := self._reader.surplus():
                raw, body = request.raw + surplus, request.body + surplus
                request = replace(request, raw=raw, body=body)
            self._serve(request)
        elif self._reader.awaits_continue:
            self.transport.write(CONTINUE)

    def _take_surplus(self) -> None:
        if not (surplus := self._reader.surplus()) or self._last is None:
            return
        self._started = None
        request, taker = self._last.request, self._listener.taker
        if request.whole and len(request.body) <= taker.limit:
            taker.extend(self._last, surplus)

    def _serve(self, request: RawRequest) -> None:
        now = self._listener.clock.monotonic()
        self._count += 1
        started = now if self._started is None else self._started
        self._last = Arrival(request, self, self._count, started, now)
        self._started = None
        self._task = asyncio.get_running_loop().create_task(self._handle(self._last))

    async def _handle(self, arrival: Arrival) -> None:
        stays, self._taken = False, True
        try:
            stays = await self._listener.taker.take(arrival)
        except ConnectionError:
            pass  # the sender is gone
        except Exception:
            _LOG.exception("an arrival could not be taken")
        finally:
            self._task, self._taken = None, False
            self._take_surplus()
            if not stays or self._ended or self.transport.is_closing():
                self.close()
        if stays and not self._ended:
            self._resume()
            if self._reader.begun:
                self._started = self._listener.clock.monotonic()
                self._advance()


@dataclass(slots=True)
class Listener:
    """Listens on sockets, over TLS where there is a context, and hands every arrival to `taker`."""

    taker: Taker
    clock: Clock
    tls: ssl.SSLContext | None = None
    connections: set[Connection] = field(default_factory=set)
    _servers: list[asyncio.Server] = field(default_factory=list)

    async def listen(self, bound: socket.socket) -> None:
        """Accept connections on a bound socket from now on."""
        loop = asyncio.get_running_loop()
        self._servers.append(
            await loop.create_server(
                lambda: Connection(self), sock=bound, ssl=self.tls, backlog=BACKLOG
            )
        )

    async def stop(self) -> None:
        """Stop listening, and close all connections; what is unfinished is handed over or cancelled."""
        for server in self._servers:
            server.close()
        tasks = [task for each in list(self.connections) if (task := each.abort()) is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
