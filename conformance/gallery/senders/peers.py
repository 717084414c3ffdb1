"""The senders of the gallery, as the matrix meets them, each served over real HTTP."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from conformance.gallery.peer import Peer, met
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
"""Those that are served in this process; whoever takes long goes first."""

CONTROLS = ("sender.filter.group-and-private",)
"""Rules that say, beside any others, that the sender delivers."""

Serve = Callable[[Path | None], AbstractAsyncContextManager[Served]]


@asynccontextmanager
async def _options(serve: Serve, tls: bool) -> AsyncIterator[RunOptions]:
    """What a run against a sender needs; with `tls` there is a certificate that it trusts."""
    async with AsyncExitStack() as stack:
        certificate, key = None, None
        if tls and certificates.missing() is None:
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="hookproof-"))
            certificate, key = await asyncio.to_thread(certificates.make, Path(place))
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


def _peer(given: FaultySender | SenderProcess, serve: Serve, beside: tuple[str, ...]) -> Peer:
    faulty = given.fault is not None
    tls = not faulty or any(rule.startswith("sender.https") for rule in given.caught_by)
    return Peer(
        "sender",
        given.name,
        given.fault,
        given.caught_by,
        met("sender", given.caught_by, beside, CONTROLS) if faulty else (),
        partial(_options, serve, tls),
        certificates.missing if faulty and tls else lambda: None,
    )


def _in_process(given: FaultySender) -> Peer:
    return _peer(given, partial(in_process, given), given.beside)


def _as_process(given: SenderProcess) -> Peer:
    return _peer(given, partial(as_process, given), ())


REFERENCE = Peer(
    "sender",
    "reference-sender",
    None,
    (),
    (),
    partial(_options, partial(in_process, FaultySender("reference-sender", "", ())), True),
)

SENDERS = (REFERENCE, *map(_as_process, PROCESSES), *map(_in_process, FAULTY))
