"""The embedded reference receiver, started on a free port, judged, and torn down."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from conformance import dialect as dialects
from conformance.damage import Signer
from conformance.dialect import Secret
from conformance.engine.options import Options
from conformance.engine.run import Run
from conformance.receiver.app import ENDPOINT, OBSERVER, serving
from conformance.receiver.inbox import Inbox
from conformance.receiver.policy import Policy
from conformance.report import Report, Result


@asynccontextmanager
async def reference_receiver() -> AsyncIterator[Options]:
    """A correct receiver on a free port, with what a run against it needs."""
    signer = Signer(dialects.load("guide"), Secret(secrets.token_hex(16).encode()))
    async with Inbox(":memory:") as inbox, serving(Policy(), inbox, signer) as base:
        yield Options(
            url=base + ENDPOINT,
            secret=signer.secret,
            dialect=signer.dialect,
            observer_url=base + OBSERVER,
        )


async def judge_reference(
    listener: Callable[[Result], None] = lambda result: None, language: str = "en"
) -> Report:
    """The receiver suite against the reference receiver."""
    async with reference_receiver() as options:
        return await Run(options, listener, language=language).report()
