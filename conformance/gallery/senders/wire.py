"""Senders that build the request wrongly: its method, headers, signature or bytes.

Rules: sender.wire.*, except those of message.py
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from conformance.gallery.senders.peer import (
    FaultySender,
    msg_id,
    retrying,
    sending,
    sign_again,
    testing,
    without_signature,
    writing,
)
from conformance.model.clock import Clock
from conformance.protocol.configuration import Configuration
from conformance.protocol.dialect import Dialect, parse_template
from conformance.protocol.encodings import ascii_only, spaced_ascii
from conformance.sender.attempt import Outgoing, compose
from conformance.sender.behaviour import SenderBehaviour, test_message

HOUR = 3600.0


class _SlowClock(Clock):
    """A machine without NTP."""

    def now(self) -> float:
        return super().now() - HOUR


def _with_method(request: Outgoing, *, method: str) -> Outgoing:
    return replace(request, method=method)


def _with_type(request: Outgoing, *, content_type: str) -> Outgoing:
    return replace(request, headers=request.headers | {"Content-Type": content_type})


def _compose_with_time(
    dialect: Dialect,
    configuration: Configuration,
    body: bytes,
    now: float,
    *,
    text: Callable[[float], str],
) -> Outgoing:
    """The time in another format, signed as it stands in the header."""
    request = compose(dialect, configuration, body, now)
    return sign_again(request, dialect, configuration.secret, text(now), body)


def _in_iso_format(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")


def _compose_with_signature(
    dialect: Dialect,
    configuration: Configuration,
    body: bytes,
    now: float,
    *,
    form: Callable[[str], str],
) -> Outgoing:
    """The right digest in another format."""
    request = compose(dialect, configuration, body, now)
    name = dialect.signature_header
    return replace(request, headers=request.headers | {name: form(request.headers[name])})


def _in_base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()


def _compose_signing(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float, *, template: str
) -> Outgoing:
    return compose(replace(dialect, parts=parse_template(template)), configuration, body, now)


def _encode_again(request: Outgoing) -> Outgoing:
    """requests.post(url, json=message), after signing another encoding."""
    return replace(request, body=spaced_ascii(json.loads(request.body)))


def _compose_signing_escapes(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float
) -> Outgoing:
    """Signs with one encoder and sends with another; they agree only on ASCII text."""
    request = compose(dialect, configuration, body, now)
    timestamp = request.headers[dialect.timestamp_header]
    escaped = ascii_only(json.loads(body))
    return sign_again(request, dialect, configuration.secret, timestamp, escaped)


def _cut_by_characters(request: Outgoing) -> Outgoing:
    """Content-Length counted in characters, so that the rest of the body is lost."""
    return replace(request, body=request.body[: len(request.body.decode())])


def _compose_empty(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float
) -> Outgoing:
    """Reuses a stream that the first attempt has read to its end."""
    return replace(compose(dialect, configuration, body, now), body=b"")


def _compose_unsigned(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float
) -> Outgoing:
    return without_signature(compose(dialect, configuration, body, now))


def _compose_an_hour_behind(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float
) -> Outgoing:
    return compose(dialect, configuration, body, now - HOUR)


def _leave_tests_unsigned(ids: set[str]) -> SenderBehaviour:
    def change(request: Outgoing) -> Outgoing:
        return without_signature(request) if msg_id(request.body) in ids else request

    return sending(change)


def _rule(*names: str) -> tuple[str, ...]:
    return tuple(f"sender.wire.{name}" for name in names)


WIRE = (
    FaultySender(
        "sends-by-get",
        "sends by GET, the default of many clients",
        _rule("method"),
        sending(partial(_with_method, method="GET")),
    ),
    FaultySender(
        "sends-by-put",
        "sends by PUT",
        _rule("method"),
        sending(partial(_with_method, method="PUT")),
    ),
    FaultySender(
        "text-plain",
        "sends JSON as text/plain, like fetch with a string",
        _rule("content-type"),
        sending(partial(_with_type, content_type="text/plain;charset=UTF-8")),
    ),
    FaultySender(
        "form-type",
        "sends JSON with the Content-Type of a form, like curl -d",
        _rule("content-type"),
        sending(partial(_with_type, content_type="application/x-www-form-urlencoded")),
    ),
    FaultySender(
        "milliseconds",
        "writes the timestamp in milliseconds",
        _rule("timestamp-header"),
        SenderBehaviour(compose=partial(_compose_with_time, text=lambda now: str(int(now * 1000)))),
    ),
    FaultySender(
        "fractional-seconds",
        "writes the timestamp with a fraction of a second",
        _rule("timestamp-header"),
        SenderBehaviour(compose=partial(_compose_with_time, text=lambda now: f"{now:.6f}")),
    ),
    FaultySender(
        "iso-time",
        "writes the timestamp in ISO 8601",
        _rule("timestamp-header"),
        SenderBehaviour(compose=partial(_compose_with_time, text=_in_iso_format)),
    ),
    FaultySender(
        "upper-case-signature",
        "writes the signature in upper-case hex, like Convert.ToHexString",
        _rule("signature-header"),
        SenderBehaviour(compose=partial(_compose_with_signature, form=str.upper)),
    ),
    FaultySender(
        "base64-signature",
        "writes the signature in Base64",
        _rule("signature-header"),
        SenderBehaviour(compose=partial(_compose_with_signature, form=_in_base64)),
    ),
    FaultySender(
        "prefixed-signature",
        "prefixes the signature with sha256=",
        _rule("signature-header"),
        SenderBehaviour(
            compose=partial(_compose_with_signature, form=lambda digest: f"sha256={digest}")
        ),
    ),
    FaultySender(
        "colon-missing",
        "signs timestamp and body without the colon between them",
        _rule("signature"),
        SenderBehaviour(compose=partial(_compose_signing, template="{timestamp}{body}")),
    ),
    FaultySender(
        "signs-the-body-alone",
        "signs the body without the timestamp",
        _rule("signature"),
        SenderBehaviour(compose=partial(_compose_signing, template="{body}")),
    ),
    FaultySender(
        "encodes-twice",
        "signs compact JSON but lets its HTTP client encode the message again",
        _rule("signature"),
        sending(_encode_again),
    ),
    FaultySender(
        "signs-escaped-text",
        "signs JSON with escapes but sends it without, so that Chinese text does not verify",
        _rule("signature"),
        SenderBehaviour(compose=_compose_signing_escapes),
    ),
    FaultySender(
        "clock-an-hour-behind",
        "has a clock that is an hour behind",
        _rule("timestamp-fresh"),
        clock=_SlowClock(),
    ),
    FaultySender(
        "retries-an-hour-behind",
        "retries from another machine, whose clock is an hour behind",
        _rule("timestamp-fresh[SHOULD]"),
        partial(retrying, _compose_an_hour_behind),
        beside=("sender.retry.none-after-200",),
    ),
    FaultySender(
        "body-time-in-milliseconds",
        "writes the body's timestamp in milliseconds and the header in seconds",
        _rule("timestamp-agrees"),
        writing(lambda message: message | {"timestamp": message["timestamp"] * 1000}),
    ),
    FaultySender(
        "body-time-of-creation",
        "copies createTime into the body's timestamp",
        _rule("timestamp-agrees"),
        writing(lambda message: message | {"timestamp": message["createTime"]}),
    ),
    FaultySender(
        "test-created-in-milliseconds",
        "writes the createTime of a test message in milliseconds, far in the future",
        _rule("timestamp-agrees"),
        SenderBehaviour(test=lambda now: test_message(now) | {"createTime": int(now * 1000)}),
        beside=("sender.config.test",),
    ),
    FaultySender(
        "cut-by-characters",
        "counts Content-Length in characters, which truncates Chinese text",
        _rule("whole-body"),
        sending(_cut_by_characters),
    ),
    FaultySender(
        "empty-on-retry",
        "sends an empty body on a retry",
        _rule("whole-body"),
        partial(retrying, _compose_empty),
        beside=("sender.retry.none-after-200",),
    ),
    FaultySender(
        "retries-unsigned",
        "does not sign a retry",
        _rule("always-signed"),
        partial(retrying, _compose_unsigned),
        beside=("sender.retry.none-after-200",),
    ),
    FaultySender(
        "tests-unsigned",
        "does not sign a test message",
        _rule("always-signed"),
        partial(testing, _leave_tests_unsigned),
    ),
)
