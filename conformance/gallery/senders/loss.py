"""Senders that deliver twice, or lose messages. Rules: sender.duplicate.*, sender.loss.none-under-burst

Senders whose fault shows only after a restart are in program.py.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from conformance.gallery.peer import Faults
from conformance.gallery.senders.serve import SENDER
from conformance.protocol.configuration import Configuration
from conformance.protocol.delivery import DeliveryEvent
from conformance.sender import behaviour, event
from conformance.sender.attempt import AttemptReply
from conformance.sender.behaviour import SenderBehaviour
from conformance.sender.event import MessageEvent
from conformance.sender.queue import Waiting

QUEUED = 20
RETRYING = 10

faulty = Faults("sender.loss", SENDER)


@faulty("sender.duplicate.suppressed", step="events")
def delivers_twice(body: object) -> Iterator[MessageEvent]:
    """Delivers a message twice if it gets its event twice.

    It stores each event under a new id, so that a repeat is never recognised.
    """
    for message in event.read(body):
        yield replace(message, msg_id=f"{message.msg_id} {secrets.token_hex(8)}")


@faulty("none-under-burst")
def queue_drops() -> SenderBehaviour:
    """Drops new messages while 20 wait.

    `put_nowait`, and an exception that nothing handles.
    """
    queued = 0

    def recipients(configurations: Mapping[int, Configuration], message: Any) -> list[int]:
        nonlocal queued
        admitted = behaviour.recipients(configurations, message)[: max(0, QUEUED - queued)]
        queued += len(admitted)
        return admitted

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        nonlocal queued
        result = behaviour.outcome(waiting, reply, configuration)
        queued -= result is not DeliveryEvent.REFUSED
        return result

    return SenderBehaviour(recipients=recipients, outcome=judged)


@faulty("none-under-burst", step="outcome", state=set)
def retries_drop(
    retrying: set[int], waiting: Waiting, reply: AttemptReply, configuration: Configuration
) -> DeliveryEvent:
    """Gives up on a failed message while 10 others wait for a retry."""
    result = behaviour.outcome(waiting, reply, configuration)
    if result is not DeliveryEvent.REFUSED:
        retrying.discard(waiting.id)
    elif waiting.id not in retrying and len(retrying) >= RETRYING:
        return DeliveryEvent.EXHAUSTED
    else:
        retrying.add(waiting.id)
    return result
