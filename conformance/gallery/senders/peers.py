"""All senders of the gallery as peers, each served over real HTTP."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from conformance.gallery.peer import Peer, rules_to_run
from conformance.gallery.receivers.process import fresh_secret
from conformance.gallery.senders.config import CONFIG
from conformance.gallery.senders.filter import FILTER
from conformance.gallery.senders.loss import LOSS
from conformance.gallery.senders.message import MESSAGE
from conformance.gallery.senders.pace import PACE
from conformance.gallery.senders.peer import FaultySender
from conformance.gallery.senders.retry import RETRY
from conformance.gallery.senders.serve import (
    PROCESSES,
    SenderProcess,
    Served,
    as_process,
    in_process,
)
from conformance.gallery.senders.wire import WIRE
from conformance.options.run import RunOptions
from conformance.options.sender import SenderOptions
from conformance.scenario import dialects
from conformance.serving import certificates

FAULTY = (*RETRY, *PACE, *LOSS, *FILTER, *WIRE, *MESSAGE, *CONFIG)
"""The senders that are served in this process, the slowest first."""

CONTROLS = ("sender.filter.group-and-private",)
"""Rules that every faulty sender is judged by, to show that it delivers at all."""

Serve = Callable[[Path | None], AbstractAsyncContextManager[Served]]


@asynccontextmanager
async def _options(serve: Serve, *, tls: bool) -> AsyncIterator[RunOptions]:
    """The options of a run against a sender; with `tls` they include a certificate that it trusts."""
    async with AsyncExitStack() as stack:
        certificate, key = None, None
        if tls and certificates.missing() is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hookproof-"))
            certificate, key = await asyncio.to_thread(certificates.make, Path(folder))
        served = await stack.enter_async_context(serve(certificate))
        yield SenderOptions(
            api_url=served.api_url,
            emit_url=served.emit_url,
            restart_command=served.restart_command,
            secret=fresh_secret(),
            dialect=dialects.load("guide"),
            tls_cert=certificate,
            tls_key=key,
        )


def _peer(source: FaultySender | SenderProcess, serve: Serve, beside: tuple[str, ...]) -> Peer:
    faulty = source.fault is not None
    tls = not faulty or any(rule.startswith("sender.https") for rule in source.caught_by)
    return Peer(
        "sender",
        source.name,
        source.fault,
        source.caught_by,
        rules_to_run("sender", source.caught_by, beside, CONTROLS) if faulty else (),
        partial(_options, serve, tls=tls),
        certificates.missing if faulty and tls else lambda: None,
    )


def _faulty_peer(source: FaultySender) -> Peer:
    return _peer(source, partial(in_process, source), source.beside)


def _process_peer(source: SenderProcess) -> Peer:
    return _peer(source, partial(as_process, source), ())


REFERENCE = Peer(
    "sender",
    "reference-sender",
    None,
    (),
    (),
    partial(_options, partial(in_process, FaultySender("reference-sender", "", ())), tls=True),
)

SENDERS = (REFERENCE, *map(_process_peer, PROCESSES), *map(_faulty_peer, FAULTY))
