"""Serves the senders of the gallery over real HTTP, with a short backoff to keep runs short."""

from __future__ import annotations

import asyncio
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from conformance.gallery.child_process import restarting, running
from conformance.gallery.peer import Side
from conformance.gallery.reference import sender_options
from conformance.gallery.senders.steps import change
from conformance.model.clock import Clock
from conformance.options.sender import SenderOptions
from conformance.scenario import dialects
from conformance.sender.app import Settings, serving_sender
from conformance.sender.behaviour import SenderBehaviour
from conformance.serving import certificates

BACKOFF = 0.3
"""Seconds before the first retry: what a busy machine adds to a wait must be little beside it."""

CONTROLS = ("sender.filter.group-and-private",)

PROGRAM = "conformance.gallery.senders.program"

_TRUST = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
"""The variables that make OpenSSL and Node trust a certificate."""


@asynccontextmanager
async def in_process(
    make: Callable[[], SenderBehaviour | Settings | Clock], ca: Path | None = None
) -> AsyncIterator[SenderOptions]:
    """Run a sender with the behaviour, the settings or the clock that `make` makes; it also trusts the
    certificates in the file `ca`."""
    made = make()
    settings = made if isinstance(made, Settings) else Settings()
    backoff = replace(settings.pace.backoff, base=BACKOFF)
    tls = settings.tls or (ssl.create_default_context(cafile=ca) if ca else None)
    async with serving_sender(
        dialects.load("guide"),
        replace(settings, pace=replace(settings.pace, backoff=backoff), tls=tls),
        clock=made if isinstance(made, Clock) else Clock(),
        behaviour=made if isinstance(made, SenderBehaviour) else SenderBehaviour(),
    ) as url:
        yield sender_options(url)


@asynccontextmanager
async def as_program(*command: str, ca: Path | None = None) -> AsyncIterator[SenderOptions]:
    """Run a sender in its own process over a file, which can be killed and restarted. The command takes
    --db, --port and --backoff-base."""
    environment = dict.fromkeys(_TRUST, str(ca)) if ca else {}
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hookproof-"))
        options = ("--db", str(Path(folder) / "queue.db"), "--backoff-base", str(BACKOFF))
        child = await stack.enter_async_context(running((*command, *options), environment))
        restart = await stack.enter_async_context(restarting(child))
        yield sender_options(child.url, restart)


def forgetful(
    make: Callable[[], str | None], ca: Path | None = None
) -> AbstractAsyncContextManager[SenderOptions]:
    """Run program.py, which starts with the SQL that `make` returns; it is a function of that module."""
    return as_program(sys.executable, "-m", PROGRAM, make.__name__, ca=ca)


@asynccontextmanager
async def over_https(
    serve: Callable[..., AbstractAsyncContextManager[SenderOptions]],
) -> AsyncIterator[SenderOptions]:
    """Run a sender that trusts a new certificate, which the options contain. Where none can be made, run
    it without."""
    async with AsyncExitStack() as stack:
        if certificates.missing() is not None:
            yield await stack.enter_async_context(serve())
            return
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hookproof-"))
        certificate, key = await asyncio.to_thread(certificates.make, Path(folder))
        options = await stack.enter_async_context(serve(ca=certificate))
        yield replace(options, tls_cert=certificate, tls_key=key)


SENDER = Side("sender", change, in_process, CONTROLS)
HTTPS = replace(
    SENDER,
    serve=lambda make: over_https(partial(in_process, make)),
    missing=certificates.missing,
)
PROCESS = replace(SENDER, serve=forgetful)
