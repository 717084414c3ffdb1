"""Senders that build the request wrongly: its method, headers, signature or bytes.

Rules: sender.wire.*, except those of message.py
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp

from conformance.gallery.peer import Faults, row
from conformance.gallery.senders.serve import SENDER
from conformance.gallery.senders.steps import (
    Message,
    change,
    msg_id,
    sign_again,
    testing,
    without_signature,
)
from conformance.model.clock import Clock
from conformance.protocol.configuration import Configuration
from conformance.protocol.dialect import Dialect, parse_template
from conformance.protocol.encodings import ascii_only, spaced_ascii
from conformance.sender.attempt import Answer, Outgoing, compose
from conformance.sender.behaviour import SenderBehaviour, test_message

HOUR = 3600.0
RETRIED = ("sender.retry.none-after-200",)

faulty = Faults("sender.wire", SENDER)


def _head(request: Outgoing, length: int) -> bytes:
    headers = {"Host": request.url.authority, **request.headers, "Content-Length": str(length)}
    lines = [f"{request.method} {request.url.raw_path_qs} HTTP/1.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def _counted_in_characters(request: Outgoing) -> bytes:
    return _head(request, len(request.body.decode())) + request.body


def _with_line_feeds(request: Outgoing) -> bytes:
    return _head(request, len(request.body)).replace(b"\r\n", b"\n") + request.body


def _with_type_twice(request: Outgoing) -> bytes:
    head = _head(request, len(request.body))
    return head.replace(b"\r\nHost:", b"\r\ncontent-type: application/json\r\nHost:") + request.body


@faulty(
    "http",
    step="exchange",
    rows=(
        row(
            "length-in-characters", "counts their length in characters", raw=_counted_in_characters
        ),
        row("bare-line-feeds", "ends their lines with LF alone", raw=_with_line_feeds),
        row("content-type-twice", "sends a second Content-Type", raw=_with_type_twice),
    ),
)
async def _by_hand(
    session: aiohttp.ClientSession, request: Outgoing, *, raw: Callable[[Outgoing], bytes]
) -> Answer:
    """Writes its requests by hand, and {}."""
    reader, writer = await asyncio.open_connection(request.url.host, request.url.port)
    try:
        writer.write(raw(request))
        status_line = (await reader.read()).split(b" ", 2)
    finally:
        writer.close()
    if len(status_line) < 3 or not status_line[1].isdigit():
        raise ConnectionResetError("no answer")
    return Answer(int(status_line[1]))


@faulty(
    "method",
    step="request",
    rows=(
        row("sends-by-get", "GET, the default of many clients", method="GET"),
        row("sends-by-put", "PUT", method="PUT"),
    ),
)
def _with_method(request: Outgoing, *, method: str) -> Outgoing:
    """Sends by {}."""
    return replace(request, method=method)


@faulty(
    "content-type",
    step="request",
    rows=(
        row(
            "text-plain", "as text/plain, like fetch with a string", kind="text/plain;charset=UTF-8"
        ),
        row(
            "form-type",
            "with the Content-Type of a form, like curl -d",
            kind="application/x-www-form-urlencoded",
        ),
    ),
)
def _with_type(request: Outgoing, *, kind: str) -> Outgoing:
    """Sends JSON {}."""
    return replace(request, headers=request.headers | {"Content-Type": kind})


def _in_iso_format(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")


@faulty(
    "timestamp-header",
    rows=(
        row("milliseconds", "in milliseconds", text=lambda now: str(int(now * 1000))),
        row("fractional-seconds", "with a fraction of a second", text=lambda now: f"{now:.6f}"),
        row("iso-time", "in ISO 8601", text=_in_iso_format),
    ),
)
def _with_time(text: Callable[[float], str]) -> SenderBehaviour:
    """Writes the timestamp {}.

    It is signed as it stands in the header.
    """

    def composed(
        dialect: Dialect, configuration: Configuration, body: bytes, now: float
    ) -> Outgoing:
        request = compose(dialect, configuration, body, now)
        return sign_again(request, dialect, configuration.secret, text(now), body)

    return SenderBehaviour(compose=composed)


def _in_base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()


@faulty(
    "signature-header",
    rows=(
        row(
            "upper-case-signature",
            "writes the signature in upper-case hex, like Convert.ToHexString",
            form=str.upper,
        ),
        row("base64-signature", "writes the signature in Base64", form=_in_base64),
        row(
            "prefixed-signature",
            "prefixes the signature with sha256=",
            form=lambda digest: f"sha256={digest}",
        ),
    ),
)
def _with_signature(form: Callable[[str], str]) -> SenderBehaviour:
    """Writes the right digest in another format."""

    def composed(
        dialect: Dialect, configuration: Configuration, body: bytes, now: float
    ) -> Outgoing:
        request = compose(dialect, configuration, body, now)
        name = dialect.signature_header
        return replace(request, headers=request.headers | {name: form(request.headers[name])})

    return SenderBehaviour(compose=composed)


@faulty(
    "signature",
    rows=(
        row(
            "colon-missing",
            "timestamp and body without the colon between them",
            template="{timestamp}{body}",
        ),
        row("signs-the-body-alone", "the body without the timestamp", template="{body}"),
    ),
)
def _signing(template: str) -> SenderBehaviour:
    """Signs {}."""

    def composed(
        dialect: Dialect, configuration: Configuration, body: bytes, now: float
    ) -> Outgoing:
        return compose(replace(dialect, parts=parse_template(template)), configuration, body, now)

    return SenderBehaviour(compose=composed)


@faulty("signature", step="request")
def encodes_twice(request: Outgoing) -> Outgoing:
    """Signs compact JSON but lets its HTTP client encode the message again.

    requests.post(url, json=message).
    """
    return replace(request, body=spaced_ascii(json.loads(request.body)))


@faulty("signature", step="compose")
def signs_escaped_text(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float
) -> Outgoing:
    """Signs JSON with escapes but sends it without, so that Chinese text does not verify."""
    request = compose(dialect, configuration, body, now)
    timestamp = request.headers[dialect.timestamp_header]
    escaped = ascii_only(json.loads(body))
    return sign_again(request, dialect, configuration.secret, timestamp, escaped)


@faulty("timestamp-fresh")
def clock_an_hour_behind() -> Clock:
    """Has a clock that is an hour behind.

    A machine without NTP.
    """

    class SlowClock(Clock):
        def now(self) -> float:
            return super().now() - HOUR

    return SlowClock()


@faulty("timestamp-fresh[SHOULD]", step="retry", beside=RETRIED)
def retries_an_hour_behind(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float
) -> Outgoing:
    """Retries from another machine, whose clock is an hour behind."""
    return compose(dialect, configuration, body, now - HOUR)


@faulty("timestamp-agrees", step="message")
def body_time_in_milliseconds(message: Message) -> Message:
    """Writes the body's timestamp in milliseconds and the header in seconds."""
    return message | {"timestamp": message["timestamp"] * 1000}


@faulty("timestamp-agrees", step="message")
def body_time_of_creation(message: Message) -> Message:
    """Copies createTime into the body's timestamp."""
    return message | {"timestamp": message["createTime"]}


@faulty("timestamp-agrees", step="test", beside=("sender.config.test",))
def test_created_in_milliseconds(now: float) -> dict[str, Any]:
    """Writes the createTime of a test message in milliseconds, far in the future."""
    return test_message(now) | {"createTime": int(now * 1000)}


@faulty("whole-body", step="request")
def cut_by_characters(request: Outgoing) -> Outgoing:
    """Counts Content-Length in characters, which truncates Chinese text."""
    return replace(request, body=request.body[: len(request.body.decode())])


@faulty("whole-body", step="retry", beside=RETRIED)
def empty_on_retry(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float
) -> Outgoing:
    """Sends an empty body on a retry.

    It reuses a stream that the first attempt has read to its end.
    """
    return replace(compose(dialect, configuration, body, now), body=b"")


@faulty("always-signed", step="retry", beside=RETRIED)
def retries_unsigned(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float
) -> Outgoing:
    """Does not sign a retry."""
    return without_signature(compose(dialect, configuration, body, now))


@faulty("always-signed")
def tests_unsigned() -> SenderBehaviour:
    """Does not sign a test message."""
    ids: set[str] = set()

    def unsigned(request: Outgoing) -> Outgoing:
        return without_signature(request) if msg_id(request.body) in ids else request

    return testing(ids, change("request", unsigned))
