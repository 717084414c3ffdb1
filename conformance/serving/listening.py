"""Serves a reference part on its own address, from start to stop.

Knows neither receivers nor senders.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from conformance.model.errors import InputError

BACKLOG = 1024
"""How many connections may wait to be accepted: a burst opens hundreds at once."""
KEEP_ALIVE = 75.0
"""Seconds that a receiver keeps an idle connection open."""


@asynccontextmanager
async def listening(
    runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve the runner's application within the context; yields the base URL without a trailing slash.
    Port 0 takes a free one. Raises InputError if it cannot listen on the address."""
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls, backlog=BACKLOG).start()
        except OSError as fault:
            raise _no_address(host, port, fault) from None
        address = runner.addresses[0]
        name = f"[{address[0]}]" if ":" in address[0] else address[0]
        yield f"{'https' if tls else 'http'}://{name}:{address[1]}"
    finally:
        await runner.cleanup()


async def until_stopped(url: str) -> None:
    """Print the URL of a part as one line, and wait for SIGINT or SIGTERM."""
    _collect_less()
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        print(url, flush=True)
        await stop.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _collect_less() -> None:
    """Collect garbage rarely, and never among the modules already loaded. A serving part creates few
    cycles, and under load a full collection costs a quarter of its rate."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def _no_address(host: str, port: int, fault: OSError) -> InputError:
    if fault.errno == errno.EADDRINUSE:
        return InputError(
            "--port: {port} on {host} is already in use: give another, or 0 for a free one",
            port=port,
            host=host,
        )
    if fault.errno == errno.EACCES:
        return InputError(
            "--port: {port} needs more rights: give one above 1023, or 0 for a free one", port=port
        )
    return InputError(
        "--host: {host} is not an address of this machine ({reason}): try 127.0.0.1",
        host=host,
        reason=str(fault.strerror),
    )
