"""Senders that deliver twice, or lose messages. Rules: sender.duplicate.*, sender.loss.none-under-burst

Senders whose fault shows only after a restart are in program.py.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from conformance.gallery.senders.peer import FaultySender
from conformance.protocol import delivery
from conformance.protocol.configuration import Configuration
from conformance.sender import behaviour, event
from conformance.sender.attempt import AttemptReply
from conformance.sender.behaviour import SenderBehaviour
from conformance.sender.event import MessageEvent
from conformance.sender.queue import Waiting

QUEUED = 20
RETRYING = 10


def _make_unique(body: object) -> Iterator[MessageEvent]:
    """Stores each event under a new id, so that a repeat is never recognised."""
    for message in event.read(body):
        yield replace(message, msg_id=f"{message.msg_id} {secrets.token_hex(8)}")


def _bounded_queue() -> SenderBehaviour:
    """`put_nowait`, and an exception that nothing handles."""
    queued = 0

    def recipients(configurations: Mapping[int, Configuration], message: Any) -> list[int]:
        nonlocal queued
        admitted = behaviour.recipients(configurations, message)[: max(0, QUEUED - queued)]
        queued += len(admitted)
        return admitted

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> delivery.DeliveryEvent:
        nonlocal queued
        result = behaviour.outcome(waiting, reply, configuration)
        queued -= result is not delivery.DeliveryEvent.REFUSED
        return result

    return SenderBehaviour(recipients=recipients, outcome=judged)


def _bounded_retries() -> SenderBehaviour:
    """Drops a retry that finds no free worker."""
    retrying: set[int] = set()

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> delivery.DeliveryEvent:
        result = behaviour.outcome(waiting, reply, configuration)
        if result is not delivery.DeliveryEvent.REFUSED:
            retrying.discard(waiting.id)
        elif waiting.id not in retrying and len(retrying) >= RETRYING:
            return delivery.DeliveryEvent.EXHAUSTED
        else:
            retrying.add(waiting.id)
        return result

    return SenderBehaviour(outcome=judged)


LOSS = (
    FaultySender(
        "delivers-twice",
        "delivers a message twice if it gets its event twice",
        ("sender.duplicate.suppressed",),
        SenderBehaviour(events=_make_unique),
    ),
    FaultySender(
        "queue-drops",
        f"drops new messages while {QUEUED} wait",
        ("sender.loss.none-under-burst",),
        _bounded_queue,
    ),
    FaultySender(
        "retries-drop",
        f"gives up on a failed message while {RETRYING} others wait for a retry",
        ("sender.loss.none-under-burst",),
        _bounded_retries,
    ),
)
