"""The steps of the correct sender that a fault can change, and what several faults have in common."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from conformance.protocol.configuration import Configuration
from conformance.protocol.dialect import Dialect, sign
from conformance.protocol.encodings import compact
from conformance.sender.attempt import Outgoing, compose
from conformance.sender.behaviour import SenderBehaviour, test_message

Message = dict[str, Any]


def change(step: str, function: Callable[..., Any]) -> SenderBehaviour:
    """The correct sender with one step replaced: a step of its behaviour, or one of three parts of
    `compose`. "request" takes every correctly composed request, "message" takes every message before it
    is signed, and "retry" composes every attempt of a message but the first. "wants" takes a configuration
    and a message, and returns whether to deliver it."""
    if step in _PARTS_OF_COMPOSE:
        return SenderBehaviour(compose=_PARTS_OF_COMPOSE[step](function))
    if step == "wants":
        return SenderBehaviour(recipients=partial(_choose, wants=function))
    steps: dict[str, Any] = {step: function}
    return SenderBehaviour(**steps)


Compose = Callable[[Dialect, Configuration, bytes, float], Outgoing]


def _change_request(change: Callable[[Outgoing], Outgoing]) -> Compose:
    return lambda dialect, configuration, body, now: change(
        compose(dialect, configuration, body, now)
    )


def _change_message(change: Callable[[Message], Mapping[str, Any]]) -> Compose:
    return lambda dialect, configuration, body, now: compose(
        dialect, configuration, compact(change(json.loads(body))), now
    )


def _change_retries(change: Compose) -> Compose:
    attempts: Counter[tuple[str, str]] = Counter()

    def composed(
        dialect: Dialect, configuration: Configuration, body: bytes, now: float
    ) -> Outgoing:
        message = configuration.url, msg_id(body)
        attempts[message] += 1
        step = compose if attempts[message] == 1 else change
        return step(dialect, configuration, body, now)

    return composed


_PARTS_OF_COMPOSE: dict[str, Callable[[Callable[..., Any]], Compose]] = {
    "request": _change_request,
    "message": _change_message,
    "retry": _change_retries,
}


def _choose(
    configurations: Mapping[int, Configuration],
    message: Mapping[str, Any],
    *,
    wants: Callable[[Configuration, Mapping[str, Any]], bool],
) -> list[int]:
    return [key for key, entry in configurations.items() if wants(entry, message)]


def msg_id(body: bytes) -> str:
    """The msgId in a body that the correct sender has written."""
    return str(json.loads(body)["msgId"])


def testing(ids: set[str], behaviour: SenderBehaviour) -> SenderBehaviour:
    """`behaviour`, which adds the msgId of every test message to `ids`."""

    def test(now: float) -> Message:
        fields = test_message(now)
        ids.add(fields["msgId"])
        return fields

    return replace(behaviour, test=test)


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
