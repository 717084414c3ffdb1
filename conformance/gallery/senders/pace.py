"""Senders that are too early or too late.
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
COLLECTED = 5.0
"""Seconds."""
LONG, ALIKE = 3, 6
"""Times the first wait of the correct sender, of waits that grow too little and of such that are alike: what
a busy machine adds to a wait must be little beside what tells one kind of growth from another."""


def _linear(backoff: Backoff, attempt: int, draw: float) -> float:
    """`base * attempt`, which is called exponential."""
    return LONG * attempt * backoff.wait(1, draw)


def _constant(backoff: Backoff, attempt: int, draw: float) -> float:
    return ALIKE * backoff.wait(1, draw)


def _none(backoff: Backoff, attempt: int, draw: float) -> float:
    return 0.0


def _shrinking(backoff: Backoff, attempt: int, draw: float) -> float:
    """By the retries that are left, instead of those that were made."""
    return backoff.wait(max(1, 5 - attempt), draw)


def _random(backoff: Backoff, attempt: int, draw: float) -> float:
    return 8 * backoff.base * draw


def _slowly_growing(backoff: Backoff, attempt: int, draw: float) -> float:
    return ALIKE * replace(backoff, factor=1.2).wait(attempt, draw)


def _shared_workers() -> SenderBehaviour:
    """A pool of connections that one endpoint can fill."""
    pool = asyncio.Semaphore(WORKERS)

    async def in_turn(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
        async with pool:
            return await exchange(session, request)

    return SenderBehaviour(exchange=in_turn)


def _within(seconds: Callable[[float], float]) -> SenderBehaviour:
    """Another deadline than the guide's or the configured one."""

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        # Whether it came in time has been judged already.
        return outcome(waiting, replace(reply, elapsed=0.0), configuration)

    return SenderBehaviour(deadline=seconds, outcome=judged)


def _backoff(name: str, fault: str, wait: Callable[[Backoff, int, float], float]) -> FaultySender:
    return FaultySender(name, fault, ("sender.retry.backoff",), SenderBehaviour(wait=wait))


PACE = (
    _backoff("linear-waits", "waits n times as long before retry n", _linear),
    _backoff("constant-waits", "waits as long before every retry", _constant),
    _backoff("no-waits", "retries at once, as often as it may", _none),
    _backoff("shrinking-waits", "waits less before each retry", _shrinking),
    _backoff("random-waits", "waits at random, which does not grow", _random),
    _backoff("waits-grow-slowly", "waits a fifth longer before each retry", _slowly_growing),
    FaultySender(
        "retry-after-ignored",
        "does not look at Retry-After",
        ("sender.retry.retry-after",),
        settings=Settings(pace=Pace(retry_after=0.0)),
    ),
    FaultySender(
        "workers-shared",
        f"has {WORKERS} connections for all endpoints, which one that hangs can hold",
        ("sender.retry.isolation",),
        _shared_workers,
    ),
    FaultySender(
        "collects-first",
        f"collects messages for {COLLECTED:g} seconds before it sends any",
        ("sender.time.real-time",),
        SenderBehaviour(first_attempt=lambda now: now + COLLECTED),
    ),
    FaultySender(
        "waits-for-ever",
        "waits half a minute for an answer, whatever Timeout says",
        ("sender.time.deadline",),
        _within(lambda timeout: 30.0),
    ),
    FaultySender(
        "gives-up-early",
        "gives up after 3 seconds, whatever Timeout says",
        ("sender.time.deadline",),
        _within(lambda timeout: 3.0),
    ),
    FaultySender(
        "timeout-in-milliseconds",
        "takes Timeout for milliseconds",
        ("sender.time.deadline",),
        _within(lambda timeout: timeout / 1000),
    ),
)
