"""A sender's decisions about a message, one function a step, collected in a `SenderBehaviour`.

`SenderBehaviour()` conforms to every sender rule. A faulty sender replaces one of its steps
(`dataclasses.replace`). All steps are pure except `exchange`, which uses the network, and `test`,
which draws an id. Knows nothing of when a step is taken.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from conformance.protocol import configuration as config
from conformance.protocol import delivery
from conformance.protocol.configuration import Configuration
from conformance.protocol.delivery import Backoff
from conformance.protocol.dialect import Dialect
from conformance.protocol.message import build
from conformance.sender import attempt, event
from conformance.sender.attempt import Answer, AttemptReply, Outgoing
from conformance.sender.event import MessageEvent
from conformance.sender.queue import Waiting


def recipients(
    configurations: Mapping[int, Configuration], message: Mapping[str, Any]
) -> list[int]:
    """The ids of the configurations whose filters accept a message (配置步驟 1, 2)."""
    return [ident for ident, each in configurations.items() if each.wants(message)]


def first_attempt(now: float) -> float:
    """When to make the first attempt of a message accepted at `now`: at once (簡介)."""
    return now


def outcome(
    waiting: Waiting, reply: AttemptReply, configuration: Configuration
) -> delivery.DeliveryEvent:
    """The event that an attempt means for its delivery (接收流程 2-3)."""
    return delivery.outcome(
        reply.status,
        reply.elapsed,
        timeout=configuration.timeout,
        attempt=waiting.attempts + 1,
        retry_count=configuration.retry_count,
    )


def test_message(now: float) -> dict[str, Any]:
    """The message that Test sends, with a unique id (配置步驟 3)."""
    return build("text", str(secrets.randbelow(9 * 10**18) + 10**17), int(now)).fields()


def verdict(reply: AttemptReply) -> str:
    """The outcome of a test, as a sentence that tells the user what to do."""
    return reply.problem or "the endpoint answered 200"


@dataclass(frozen=True, slots=True)
class SenderBehaviour:
    """The steps of a message from Emit to its last attempt, then those of the configuration API.

    `read` takes parsed JSON and the configuration that supplies the defaults. `deadline` turns a
    Timeout into the seconds that an attempt may take. `wait` returns the seconds to wait after
    attempt number n failed, from a random draw in [0, 1).
    """

    events: Callable[[object], Iterator[MessageEvent]] = event.read
    recipients: Callable[[Mapping[int, Configuration], Mapping[str, Any]], list[int]] = recipients
    first_attempt: Callable[[float], float] = first_attempt
    compose: Callable[[Dialect, Configuration, bytes, float], Outgoing] = attempt.compose
    exchange: Callable[[aiohttp.ClientSession, Outgoing], Awaitable[Answer]] = attempt.exchange
    deadline: Callable[[float], float] = delivery.deadline
    outcome: Callable[[Waiting, AttemptReply, Configuration], delivery.DeliveryEvent] = outcome
    wait: Callable[[Backoff, int, float], float] = Backoff.wait
    read: Callable[[object, Configuration | None], Configuration] = config.read
    public_fields: Callable[[Configuration], dict[str, Any]] = Configuration.public_fields
    test: Callable[[float], dict[str, Any]] = test_message
    verdict: Callable[[AttemptReply], str] = verdict


CORRECT = SenderBehaviour()
