"""A faulty sender of the gallery, and functions that put a fault into the correct one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from conformance.model.clock import Clock
from conformance.protocol.configuration import Configuration
from conformance.protocol.dialect import Dialect, sign
from conformance.protocol.encodings import compact
from conformance.sender.app import Settings
from conformance.sender.attempt import Outgoing, compose
from conformance.sender.behaviour import SenderBehaviour, test_message

Message = dict[str, Any]
Change = Callable[[Outgoing], Outgoing]


@dataclass(frozen=True, slots=True)
class FaultySender:
    """A sender with one realistic fault: the correct sender with one step changed.

    `fault` continues the sentence "a sender that …". Every rule in `caught_by` must find the fault,
    and no other rule of their groups may; an entry is a rule, or a part of one as in `Peer`.
    `behaviour` is a factory where the fault keeps state, so that each run starts afresh. The fault may
    also be in the `settings` or the `clock`. `beside` are further rules to run (globs): their messages
    expose the fault to a rule that looks at the whole run.
    """

    name: str
    fault: str
    caught_by: tuple[str, ...]
    behaviour: SenderBehaviour | Callable[[], SenderBehaviour] = field(
        default_factory=SenderBehaviour
    )
    beside: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    clock: Clock = field(default_factory=Clock)

    def fresh(self) -> SenderBehaviour:
        """The behaviour for one run, with no state from another."""
        return self.behaviour if isinstance(self.behaviour, SenderBehaviour) else self.behaviour()


def msg_id(body: bytes) -> str:
    """The msgId in a body that the correct sender has written."""
    return str(json.loads(body)["msgId"])


def sending(change: Change) -> SenderBehaviour:
    """Applies `change` to every correctly composed request."""
    return SenderBehaviour(compose=partial(_compose_changed, change=change))


def _compose_changed(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float, *, change: Change
) -> Outgoing:
    return change(compose(dialect, configuration, body, now))


def writing(change: Callable[[Message], Mapping[str, Any]]) -> SenderBehaviour:
    """Applies `change` to every message, then signs and sends it correctly."""
    return SenderBehaviour(compose=partial(_compose_rewritten, change=change))


def _compose_rewritten(
    dialect: Dialect,
    configuration: Configuration,
    body: bytes,
    now: float,
    *,
    change: Callable[[Message], Mapping[str, Any]],
) -> Outgoing:
    return compose(dialect, configuration, compact(change(json.loads(body))), now)


def retrying(change: Callable[[Dialect, Configuration, bytes, float], Outgoing]) -> SenderBehaviour:
    """Composes every attempt of a message but the first with `change`."""
    attempts: Counter[tuple[str, str]] = Counter()

    def composed(
        dialect: Dialect, configuration: Configuration, body: bytes, now: float
    ) -> Outgoing:
        message = configuration.url, msg_id(body)
        attempts[message] += 1
        step = compose if attempts[message] == 1 else change
        return step(dialect, configuration, body, now)

    return SenderBehaviour(compose=composed)


def testing(behaviour: Callable[[set[str]], SenderBehaviour]) -> SenderBehaviour:
    """Calls `behaviour` with the set of test message ids, to which every Test adds one."""
    ids: set[str] = set()

    def test(now: float) -> Message:
        fields = test_message(now)
        ids.add(fields["msgId"])
        return fields

    return replace(behaviour(ids), test=test)


def without_signature(request: Outgoing) -> Outgoing:
    """`request` without its timestamp and signature headers."""
    headers = {"Content-Type": request.headers["Content-Type"]}
    return replace(request, headers=headers)


def sign_again(
    request: Outgoing, dialect: Dialect, secret: bytes, timestamp: str, over: bytes
) -> Outgoing:
    """`request` with `timestamp`, and a signature over that and the bytes `over`."""
    signature = sign(dialect, secret, timestamp.encode(), over).decode()
    changed = {dialect.timestamp_header: timestamp, dialect.signature_header: signature}
    return replace(request, headers=request.headers | changed)
