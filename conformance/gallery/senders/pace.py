"""Senders that send too early or too late.

Rules: sender.retry.backoff, .retry-after, .isolation, sender.time.*
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import aiohttp

from conformance.gallery.senders.peer import FaultySender
from conformance.protocol.configuration import Configuration
from conformance.protocol.delivery import Backoff, DeliveryEvent
from conformance.sender.app import Settings
from conformance.sender.attempt import Answer, AttemptReply, Outgoing, exchange
from conformance.sender.behaviour import SenderBehaviour, outcome
from conformance.sender.queue import Waiting
from conformance.sender.worker import Pace

WORKERS = 8
BATCH_SECONDS = 5.0
WAIT_FACTOR, FLAT_WAIT_FACTOR = 3, 6
"""Factors on the correct sender's first wait, for waits that grow too little and for those that are alike.
The waits must differ by much more than a busy machine adds to them, or one kind of growth would look like
another."""


def _wait_linearly(backoff: Backoff, attempt: int, draw: float) -> float:
    """`base * attempt`, mislabelled as exponential."""
    return WAIT_FACTOR * attempt * backoff.wait(1, draw)


def _wait_constantly(backoff: Backoff, attempt: int, draw: float) -> float:
    return FLAT_WAIT_FACTOR * backoff.wait(1, draw)


def _do_not_wait(backoff: Backoff, attempt: int, draw: float) -> float:
    return 0.0


def _wait_less(backoff: Backoff, attempt: int, draw: float) -> float:
    """Counts the retries that are left instead of those already made."""
    return backoff.wait(max(1, 5 - attempt), draw)


def _wait_randomly(backoff: Backoff, attempt: int, draw: float) -> float:
    return 8 * backoff.base * draw


def _wait_slightly_longer(backoff: Backoff, attempt: int, draw: float) -> float:
    return FLAT_WAIT_FACTOR * replace(backoff, factor=1.2).wait(attempt, draw)


def _share_workers() -> SenderBehaviour:
    """A connection pool that one endpoint can exhaust."""
    pool = asyncio.Semaphore(WORKERS)

    async def in_turn(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
        async with pool:
            return await exchange(session, request)

    return SenderBehaviour(exchange=in_turn)


def _with_deadline(seconds: Callable[[float], float]) -> SenderBehaviour:
    """A deadline other than the guide's or the configured one."""

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        # `exchange` has enforced this deadline; elapsed 0 keeps `outcome` from applying its own.
        return outcome(waiting, replace(reply, elapsed=0.0), configuration)

    return SenderBehaviour(deadline=seconds, outcome=judged)


def _backoff(name: str, fault: str, wait: Callable[[Backoff, int, float], float]) -> FaultySender:
    return FaultySender(name, fault, ("sender.retry.backoff",), SenderBehaviour(wait=wait))


PACE = (
    _backoff("linear-waits", "waits n times as long before the nth retry", _wait_linearly),
    _backoff("constant-waits", "waits equally long before every retry", _wait_constantly),
    _backoff("no-waits", "retries without waiting", _do_not_wait),
    _backoff("shrinking-waits", "waits less before each further retry", _wait_less),
    _backoff("random-waits", "waits at random, without growth", _wait_randomly),
    _backoff(
        "waits-grow-slowly",
        "waits only a fifth longer before each further retry",
        _wait_slightly_longer,
    ),
    FaultySender(
        "retry-after-ignored",
        "ignores Retry-After",
        ("sender.retry.retry-after",),
        settings=Settings(pace=Pace(retry_after=0.0)),
    ),
    FaultySender(
        "workers-shared",
        f"shares {WORKERS} connections among all endpoints, so that one that hangs blocks the rest",
        ("sender.retry.isolation",),
        _share_workers,
    ),
    FaultySender(
        "collects-first",
        f"collects messages for {BATCH_SECONDS:g} seconds before it sends them",
        ("sender.time.real-time",),
        SenderBehaviour(first_attempt=lambda now: now + BATCH_SECONDS),
    ),
    FaultySender(
        "waits-for-ever",
        "waits 30 seconds for an answer, whatever Timeout says",
        ("sender.time.deadline",),
        _with_deadline(lambda timeout: 30.0),
    ),
    FaultySender(
        "gives-up-early",
        "gives up on an answer after 3 seconds, whatever Timeout says",
        ("sender.time.deadline",),
        _with_deadline(lambda timeout: 3.0),
    ),
    FaultySender(
        "timeout-in-milliseconds",
        "reads Timeout as milliseconds",
        ("sender.time.deadline",),
        _with_deadline(lambda timeout: max(0.1, timeout / 1000)),
    ),
)
