"""Senders that deliver twice, or lose messages. Rules: sender.duplicate.*, sender.loss.none-under-burst

Those whose fault takes the end of a process are in program.py.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from conformance.gallery.senders.peer import FaultySender
from conformance.protocol import delivery
from conformance.protocol.configuration import Configuration
from conformance.sender import behaviour as behaviour
from conformance.sender import event
from conformance.sender.attempt import AttemptReply
from conformance.sender.behaviour import SenderBehaviour
from conformance.sender.event import MessageEvent
from conformance.sender.queue import Waiting

QUEUED = 20
RETRYING = 10


def _never_known(given: object) -> Iterator[MessageEvent]:
    """Rows under ids of their own, and none that is unique for a message."""
    for each in event.read(given):
        yield replace(each, msg_id=f"{each.msg_id} {secrets.token_hex(8)}")


def _bounded_queue() -> SenderBehaviour:
    """put_nowait, and an exception that nobody looks at."""
    queued = 0

    def recipients(configurations: Mapping[int, Configuration], message: Any) -> list[int]:
        nonlocal queued
        found = behaviour.recipients(configurations, message)[: max(0, QUEUED - queued)]
        queued += len(found)
        return found

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> delivery.DeliveryEvent:
        nonlocal queued
        found = behaviour.outcome(waiting, reply, configuration)
        queued -= found is not delivery.DeliveryEvent.REFUSED
        return found

    return SenderBehaviour(recipients=recipients, outcome=judged)


def _bounded_retries() -> SenderBehaviour:
    """A retry finds no free worker."""
    retrying: set[int] = set()

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> delivery.DeliveryEvent:
        found = behaviour.outcome(waiting, reply, configuration)
        if found is not delivery.DeliveryEvent.REFUSED:
            retrying.discard(waiting.id)
        elif waiting.id not in retrying and len(retrying) >= RETRYING:
            return delivery.DeliveryEvent.EXHAUSTED
        else:
            retrying.add(waiting.id)
        return found

    return SenderBehaviour(outcome=judged)


LOSS = (
    FaultySender(
        "delivers-twice",
        "delivers a message once more when it is given once more",
        ("sender.duplicate.suppressed",),
        SenderBehaviour(events=_never_known),
    ),
    FaultySender(
        "queue-drops",
        f"drops what comes while {QUEUED} messages wait",
        ("sender.loss.none-under-burst",),
        _bounded_queue,
    ),
    FaultySender(
        "retries-drop",
        f"gives a message up that fails while {RETRYING} others wait for a retry",
        ("sender.loss.none-under-burst",),
        _bounded_retries,
    ),
)
