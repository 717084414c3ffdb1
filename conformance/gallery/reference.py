"""The embedded reference receiver and sender, each run on a free port with options to judge it by."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from conformance.options.receiver import Options
from conformance.options.sender import SenderOptions
from conformance.protocol.delivery import Backoff
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.receiver import app
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.receiver.inbox import Inbox
from conformance.scenario import dialects
from conformance.sender.app import Settings, serving_sender
from conformance.sender.worker import Pace
from conformance.storage.database import MEMORY

FIRST_WAIT = 0.1
"""Seconds of the reference sender's first wait. It is short because the suite waits for the retries."""


@asynccontextmanager
async def reference_receiver(
    behaviour: ReceiverBehaviour | None = None, settings: app.Settings | None = None
) -> AsyncIterator[Options]:
    """Run a receiver on a free port, a correct one by default; yields the options of a run against it."""
    signer = Signer(dialects.load("guide"), fresh_secret())
    async with (
        Inbox(MEMORY) as inbox,
        app.serving(behaviour or ReceiverBehaviour(), inbox, signer, settings) as base,
    ):
        yield receiver_options(base + app.ENDPOINT, signer.secret)


@asynccontextmanager
async def reference_sender() -> AsyncIterator[SenderOptions]:
    """Run a correct sender on a free port; yields the options of a run against it."""
    settings = Settings(pace=Pace(backoff=Backoff(base=FIRST_WAIT)))
    async with serving_sender(dialects.load("guide"), settings) as api:
        yield sender_options(api)


def receiver_options(url: str, secret: Secret) -> Options:
    """The options of a run against a receiver whose observer is where the reference receiver has it."""
    observer = url.removesuffix(app.ENDPOINT) + app.OBSERVER
    return Options(url=url, secret=secret, dialect=dialects.load("guide"), observer_url=observer)


def sender_options(api_url: str, restart_command: str | None = None) -> SenderOptions:
    """The options of a run against a sender that takes events where the reference sender does."""
    return SenderOptions(
        api_url=api_url,
        emit_url=f"{api_url}/Emit",
        restart_command=restart_command,
        secret=fresh_secret(),
        dialect=dialects.load("guide"),
    )


def fresh_secret() -> Secret:
    """A new random secret."""
    return Secret(secrets.token_hex(16).encode())
