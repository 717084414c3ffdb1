"""The sender's HTTP server: its settings, its start and its stop.

Wires the API, the store and the deliveries together; decides nothing about a message.
"""

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
"""Seconds that requests and attempts in flight get to finish when the sender stops."""

_LOG = logging.getLogger("hookproof.sender")
_LOG.addHandler(logging.NullHandler())  # silent until the user configures logging

_CLOCK = Clock()


@dataclass(frozen=True, slots=True)
class Settings:
    """The user's settings. Port 0 picks a free one; `db` is a file or ":memory:". `deny_private`
    refuses endpoints that are not on the public internet; `tls` says which certificates are trusted,
    the system's by default."""

    host: str = "127.0.0.1"
    port: int = 0
    db: str = MEMORY
    pace: Pace = field(default_factory=Pace)
    deny_private: bool = False
    api_key: Secret | None = None
    tls: ssl.SSLContext | None = None


@asynccontextmanager
async def serving_sender(
    dialect: Dialect,
    settings: Settings | None = None,
    clock: Clock = _CLOCK,
    behaviour: SenderBehaviour = CORRECT,
) -> AsyncIterator[str]:
    """Send within the context. Yields the API's base URL, which goes before /Config, /List, … and has
    no trailing slash. Raises InputError when the address or the file cannot be used."""
    settings = settings or Settings()
    endpoints = Endpoints(
        dialect, clock, deny_private=settings.deny_private, tls=settings.tls, behaviour=behaviour
    )
    async with (
        Store(settings.db, behaviour) as store,
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
        async with listening(runner, settings.host, settings.port) as base:
            yield base + BASE


async def serve(dialect: Dialect, settings: Settings) -> None:
    """Run the reference sender until SIGINT or SIGTERM. Prints the URL of its API on one line once it
    serves. Raises InputError for an address or a file that cannot be used."""
    async with serving_sender(dialect, settings) as url:
        await until_stopped(url)
