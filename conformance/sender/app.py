"""The sender on HTTP: its settings, and its life from start to stop."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from conformance.clock import Clock
from conformance.dialect import Dialect, Secret
from conformance.errors import InputError
from conformance.sender.api import BASE, Api
from conformance.sender.database import MEMORY
from conformance.sender.endpoint import Endpoints
from conformance.sender.store import Store
from conformance.sender.worker import Deliveries, Pace

GRACE = 2.0
"""Seconds that requests and attempts in flight have left when the sender stops."""

_LOG = logging.getLogger("hookproof.sender")
# Whoever wants to see what goes wrong inside sets logging up.
_LOG.addHandler(logging.NullHandler())

_CLOCK = Clock()


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user may set. `deny_private` refuses endpoints that are not on the public internet;
    `tls` says which certificates are trusted, the system's by default."""

    pace: Pace = field(default_factory=Pace)
    deny_private: bool = False
    api_key: Secret | None = None
    tls: ssl.SSLContext | None = None


@asynccontextmanager
async def sending(
    dialect: Dialect,
    settings: Settings | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    db: str = MEMORY,
    clock: Clock = _CLOCK,
) -> AsyncIterator[str]:
    """Send within the context; gives the API's base URL, before /Config, /List, …, without a slash
    at its end. Port 0 takes a free one, `db` is a file or ":memory:". Raises InputError when the
    address or the file cannot be had."""
    settings = settings or Settings()
    endpoints = Endpoints(dialect, clock, deny_private=settings.deny_private, tls=settings.tls)
    async with (
        Store(db) as store,
        endpoints,
        Deliveries(store, endpoints.post, clock, settings.pace, grace=GRACE) as deliveries,
    ):
        runner = web.AppRunner(
            Api(store, deliveries, settings.api_key).application(),
            access_log=None,
            logger=_LOG,
            handler_cancellation=False,
            shutdown_timeout=GRACE,
        )
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as fault:
                raise InputError(_no_address(host, port, fault)) from None
            address = runner.addresses[0]
            name = f"[{address[0]}]" if ":" in address[0] else address[0]
            yield f"http://{name}:{address[1]}{BASE}"
        finally:
            await runner.cleanup()


def _no_address(host: str, port: int, fault: OSError) -> str:
    if fault.errno == errno.EADDRINUSE:
        return f"--port: {port} on {host} is in use already: give another, or 0 for a free one"
    if fault.errno == errno.EACCES:
        return f"--port: {port} needs more rights: give one above 1023, or 0 for a free one"
    return f"--host: {host} is no address of this machine ({fault.strerror}): try 127.0.0.1"


async def serve(host: str, port: int, db: str, dialect: Dialect, settings: Settings) -> None:
    """Run the reference sender on the file `db` until SIGINT or SIGTERM; prints the URL of its API in
    one line once it serves. Raises InputError for an address or a file that cannot be used."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with sending(dialect, settings, host, port, db) as url:
            print(url, flush=True)  # noqa: T201 - what `serve` promises
            await stop.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
