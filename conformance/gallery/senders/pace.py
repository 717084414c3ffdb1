"""Senders that send too early or too late.

Rules: sender.retry.backoff, .retry-after, .isolation, sender.time.*
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import aiohttp

from conformance.gallery.peer import Faults, row
from conformance.gallery.senders.serve import SENDER
from conformance.protocol.configuration import Configuration
from conformance.protocol.delivery import Backoff, DeliveryEvent
from conformance.sender.app import Settings
from conformance.sender.attempt import Answer, AttemptReply, Outgoing, exchange
from conformance.sender.behaviour import SenderBehaviour, outcome
from conformance.sender.queue import Waiting
from conformance.sender.worker import Pace

WAIT_FACTOR, FLAT_WAIT_FACTOR = 3, 6
"""Factors on the correct sender's first wait, for waits that grow too little and for those that are alike.
The waits must differ by much more than a busy machine adds to them, or one kind of growth would look like
another."""

backoff = Faults("sender.retry", SENDER)
faulty = Faults("sender.time", SENDER)


@backoff("backoff", step="wait")
def linear_waits(backoff: Backoff, attempt: int, draw: float) -> float:
    """Waits n times as long before the nth retry.

    `base * attempt`, mislabelled as exponential.
    """
    return WAIT_FACTOR * attempt * backoff.wait(1, draw)


@backoff("backoff", step="wait")
def constant_waits(backoff: Backoff, attempt: int, draw: float) -> float:
    """Waits equally long before every retry."""
    return FLAT_WAIT_FACTOR * backoff.wait(1, draw)


@backoff("backoff", step="wait")
def no_waits(backoff: Backoff, attempt: int, draw: float) -> float:
    """Retries without waiting."""
    return 0.0


@backoff("backoff", step="wait")
def shrinking_waits(backoff: Backoff, attempt: int, draw: float) -> float:
    """Waits less before each further retry.

    It counts the retries that are left instead of those already made.
    """
    return backoff.wait(max(1, 5 - attempt), draw)


@backoff("backoff", step="wait")
def random_waits(backoff: Backoff, attempt: int, draw: float) -> float:
    """Waits at random, without growth."""
    return 8 * backoff.base * draw


@backoff("backoff", step="wait")
def waits_grow_slowly(backoff: Backoff, attempt: int, draw: float) -> float:
    """Waits only a fifth longer before each further retry."""
    return FLAT_WAIT_FACTOR * replace(backoff, factor=1.2).wait(attempt, draw)


@backoff("retry-after")
def retry_after_ignored() -> Settings:
    """Ignores Retry-After."""
    return Settings(pace=Pace(retry_after=0.0))


@backoff("isolation", step="exchange", state=lambda: asyncio.Semaphore(8))
async def workers_shared(
    pool: asyncio.Semaphore, session: aiohttp.ClientSession, request: Outgoing
) -> Answer:
    """Shares 8 connections among all endpoints, so that one that hangs blocks the rest."""
    async with pool:
        return await exchange(session, request)


@faulty("real-time", step="first_attempt")
def collects_first(now: float) -> float:
    """Collects messages for 5 seconds before it sends them."""
    return now + 5.0


@faulty(
    "deadline",
    rows=(
        row(
            "waits-for-ever",
            "waits 30 seconds for an answer, whatever Timeout says",
            seconds=lambda timeout: 30.0,
        ),
        row(
            "gives-up-early",
            "gives up on an answer after 3 seconds, whatever Timeout says",
            seconds=lambda timeout: 3.0,
        ),
        row(
            "timeout-in-milliseconds",
            "reads Timeout as milliseconds",
            seconds=lambda timeout: max(0.1, timeout / 1000),
        ),
    ),
)
def _with_deadline(seconds: Callable[[float], float]) -> SenderBehaviour:
    """Has a deadline other than the guide's or the configured one."""

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        # `exchange` has enforced this deadline; elapsed 0 keeps `outcome` from applying its own.
        return outcome(waiting, replace(reply, elapsed=0.0), configuration)

    return SenderBehaviour(deadline=seconds, outcome=judged)
