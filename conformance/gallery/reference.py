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
from conformance.receiver.app import ENDPOINT, OBSERVER, serving
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.receiver.inbox import Inbox
from conformance.scenario import dialects
from conformance.sender.app import Settings, serving_sender
from conformance.sender.worker import Pace

FIRST_WAIT = 0.1
"""Seconds of the reference sender's first wait. It is short because the suite waits for the retries."""


@asynccontextmanager
async def reference_receiver() -> AsyncIterator[Options]:
    """Run a correct receiver on a free port; yields the options of a run against it."""
    signer = Signer(dialects.load("guide"), _fresh_secret())
    async with Inbox(":memory:") as inbox, serving(ReceiverBehaviour(), inbox, signer) as base:
        yield Options(
            url=base + ENDPOINT,
            secret=signer.secret,
            dialect=signer.dialect,
            observer_url=base + OBSERVER,
        )


@asynccontextmanager
async def reference_sender() -> AsyncIterator[SenderOptions]:
    """Run a correct sender on a free port; yields the options of a run against it."""
    dialect = dialects.load("guide")
    settings = Settings(pace=Pace(backoff=Backoff(base=FIRST_WAIT)))
    async with serving_sender(dialect, settings) as api:
        yield SenderOptions(
            api_url=api, emit_url=f"{api}/Emit", secret=_fresh_secret(), dialect=dialect
        )


def _fresh_secret() -> Secret:
    return Secret(secrets.token_hex(16).encode())
