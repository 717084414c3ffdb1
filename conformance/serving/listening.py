"""How a reference part is served: an address of its own, from start to stop.

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
"""Connections that may wait to be taken: a burst opens hundreds at once."""
KEEP_ALIVE = 75.0
"""Seconds that a receiver keeps an idle connection."""


@asynccontextmanager
async def listening(
    runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve the runner's application within the context; gives the base URL, without a slash at its
    end. Port 0 takes a free one. Raises InputError when the address cannot be had."""
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls, backlog=BACKLOG).start()
        except OSError as fault:
            raise InputError(_no_address(host, port, fault)) from None
        address = runner.addresses[0]
        name = f"[{address[0]}]" if ":" in address[0] else address[0]
        yield f"{'https' if tls else 'http'}://{name}:{address[1]}"
    finally:
        await runner.cleanup()


async def until_stopped(url: str) -> None:
    """Print the one line that says where a part serves, and wait for SIGINT or SIGTERM."""
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
    """Look for garbage seldom, and never at what was loaded: a part that serves makes few cycles, and
    under load every look at all that it keeps costs a quarter of its rate."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def _no_address(host: str, port: int, fault: OSError) -> str:
    if fault.errno == errno.EADDRINUSE:
        return f"--port: {port} on {host} is in use already: give another, or 0 for a free one"
    if fault.errno == errno.EACCES:
        return f"--port: {port} needs more rights: give one above 1023, or 0 for a free one"
    return f"--host: {host} is no address of this machine ({fault.strerror}): try 127.0.0.1"
