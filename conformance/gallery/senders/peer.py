"""What a faulty sender of the gallery is, and the ways in which a fault is put into the correct one."""

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
    """A sender with one realistic fault, as one changed step of the correct one.

    `fault` says in a sentence what it does wrong; `caught_by` are the rules that must find it, each
    of them, and no other rule of their groups may: `rule`, or `rule[case]` where only a case that
    weighs less is broken. `behaviour` is what makes a fresh one where the fault keeps a state; a fault
    may also lie in the `settings`, or in the `clock`. `beside` are rules (globs) whose messages bring
    the fault to light for a rule that looks at the whole run.
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
        """The practice for one run."""
        return self.behaviour if isinstance(self.behaviour, SenderBehaviour) else self.behaviour()


def msg_id(body: bytes) -> str:
    """The msgId of a body that the correct sender has written."""
    return str(json.loads(body)["msgId"])


def sending(change: Change) -> SenderBehaviour:
    """Every request is changed after it has been composed as it should be."""
    return SenderBehaviour(compose=partial(_changed, change=change))


def _changed(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float, *, change: Change
) -> Outgoing:
    return change(compose(dialect, configuration, body, now))


def writing(change: Callable[[Message], Mapping[str, Any]]) -> SenderBehaviour:
    """Every message is changed, and then signed and sent as it should be."""
    return SenderBehaviour(compose=partial(_rewritten, change=change))


def _rewritten(
    dialect: Dialect,
    configuration: Configuration,
    body: bytes,
    now: float,
    *,
    change: Callable[[Message], Mapping[str, Any]],
) -> Outgoing:
    return compose(dialect, configuration, compact(change(json.loads(body))), now)


def retrying(change: Callable[[Dialect, Configuration, bytes, float], Outgoing]) -> SenderBehaviour:
    """`change` composes every attempt of a message but the first."""
    made: Counter[tuple[str, str]] = Counter()

    def composed(
        dialect: Dialect, configuration: Configuration, body: bytes, now: float
    ) -> Outgoing:
        message = configuration.url, msg_id(body)
        made[message] += 1
        step = compose if made[message] == 1 else change
        return step(dialect, configuration, body, now)

    return SenderBehaviour(compose=composed)


def testing(behaviour: Callable[[set[str]], SenderBehaviour]) -> SenderBehaviour:
    """`behaviour` gets the ids of the test messages, which grow with every Test."""
    ids: set[str] = set()

    def test(now: float) -> Message:
        fields = test_message(now)
        ids.add(fields["msgId"])
        return fields

    return replace(behaviour(ids), test=test)


def without_signature(request: Outgoing) -> Outgoing:
    """`request` without the two headers of its signature."""
    headers = {"Content-Type": request.headers["Content-Type"]}
    return replace(request, headers=headers)


def signed_again(
    request: Outgoing, dialect: Dialect, secret: bytes, timestamp: str, over: bytes
) -> Outgoing:
    """`request` with another timestamp, and a signature over that and `over`."""
    signature = sign(dialect, secret, timestamp.encode(), over).decode()
    changed = {dialect.timestamp_header: timestamp, dialect.signature_header: signature}
    return replace(request, headers=request.headers | changed)
