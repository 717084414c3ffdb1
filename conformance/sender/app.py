"""The sender on HTTP: its settings, and its life from start to stop."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from conformance.model.clock import Clock
from conformance.protocol.dialect import Dialect, Secret
from conformance.sender.api import BASE, Api
from conformance.sender.behaviour import CORRECT, SenderBehaviour
from conformance.sender.endpoint import Endpoints
from conformance.sender.store import Store
from conformance.sender.worker import Deliveries, Pace
from conformance.serving.listening import listening, until_stopped
from conformance.storage.database import MEMORY

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
async def serving_sender(
    dialect: Dialect,
    settings: Settings | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    db: str = MEMORY,
    clock: Clock = _CLOCK,
    behaviour: SenderBehaviour = CORRECT,
) -> AsyncIterator[str]:
    """Send within the context; gives the API's base URL, before /Config, /List, …, without a slash
    at its end. Port 0 takes a free one, `db` is a file or ":memory:". Raises InputError when the
    address or the file cannot be had."""
    settings = settings or Settings()
    endpoints = Endpoints(
        dialect, clock, deny_private=settings.deny_private, tls=settings.tls, behaviour=behaviour
    )
    async with (
        Store(db, behaviour) as store,
        endpoints,
        Deliveries(
            store, endpoints.post, clock, settings.pace, behaviour=behaviour, grace=GRACE
        ) as deliveries,
    ):
        runner = web.AppRunner(
            Api(store, deliveries, settings.api_key, behaviour).application(),
            access_log=None,
            logger=_LOG,
            handler_cancellation=False,
            shutdown_timeout=GRACE,
        )
        async with listening(runner, host, port) as base:
            yield base + BASE


async def serve(host: str, port: int, db: str, dialect: Dialect, settings: Settings) -> None:
    """Run the reference sender on the file `db` until SIGINT or SIGTERM; prints the URL of its API in
    one line once it serves. Raises InputError for an address or a file that cannot be used."""
    async with serving_sender(dialect, settings, host, port, db) as url:
        await until_stopped(url)
