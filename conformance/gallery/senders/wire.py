"""Senders that go wrong between a message and its request: method, headers, signature, bytes.
Rules: sender.wire.*, but for those of message.py
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
    signed_again,
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


class _Behind(Clock):
    """The clock of a machine without NTP."""

    def now(self) -> float:
        return super().now() - HOUR


def _by(request: Outgoing, *, method: str) -> Outgoing:
    return replace(request, method=method)


def _as(request: Outgoing, *, kind: str) -> Outgoing:
    return replace(request, headers=request.headers | {"Content-Type": kind})


def _stamped(
    dialect: Dialect,
    configuration: Configuration,
    body: bytes,
    now: float,
    *,
    text: Callable[[float], str],
) -> Outgoing:
    """The time in another form, which is signed as it stands in the header."""
    request = compose(dialect, configuration, body, now)
    return signed_again(request, dialect, configuration.secret, text(now), body)


def _iso(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")


def _signature(
    dialect: Dialect,
    configuration: Configuration,
    body: bytes,
    now: float,
    *,
    form: Callable[[str], str],
) -> Outgoing:
    """The right digest, written in another form."""
    request = compose(dialect, configuration, body, now)
    name = dialect.signature_header
    return replace(request, headers=request.headers | {name: form(request.headers[name])})


def _in_base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()


def _over(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float, *, template: str
) -> Outgoing:
    return compose(replace(dialect, parts=parse_template(template)), configuration, body, now)


def _encoded_again(request: Outgoing) -> Outgoing:
    """requests.post(url, json=message), after the signature was made over another text."""
    return replace(request, body=spaced_ascii(json.loads(request.body)))


def _signs_escapes(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float
) -> Outgoing:
    """Signed with one encoder, sent by another, which agree as long as the text is ASCII."""
    request = compose(dialect, configuration, body, now)
    timestamp = request.headers[dialect.timestamp_header]
    escaped = ascii_only(json.loads(body))
    return signed_again(request, dialect, configuration.secret, timestamp, escaped)


def _cut(request: Outgoing) -> Outgoing:
    """Content-Length counted in characters: the rest is no part of the request any more."""
    return replace(request, body=request.body[: len(request.body.decode())])


def _drained(dialect: Dialect, configuration: Configuration, body: bytes, now: float) -> Outgoing:
    """A stream that the first attempt has read to its end."""
    return replace(compose(dialect, configuration, body, now), body=b"")


def _unsigned(dialect: Dialect, configuration: Configuration, body: bytes, now: float) -> Outgoing:
    return without_signature(compose(dialect, configuration, body, now))


def _an_hour_old(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float
) -> Outgoing:
    return compose(dialect, configuration, body, now - HOUR)


def _tests_unsigned(ids: set[str]) -> SenderBehaviour:
    def change(request: Outgoing) -> Outgoing:
        return without_signature(request) if msg_id(request.body) in ids else request

    return sending(change)


def _rule(*names: str) -> tuple[str, ...]:
    return tuple(f"sender.wire.{name}" for name in names)


WIRE = (
    FaultySender(
        "sends-by-get",
        "sends by GET, as a client does that was not told the method",
        _rule("method"),
        sending(partial(_by, method="GET")),
    ),
    FaultySender(
        "sends-by-put",
        "sends by PUT",
        _rule("method"),
        sending(partial(_by, method="PUT")),
    ),
    FaultySender(
        "text-plain",
        "calls its JSON text/plain, as fetch does with a string",
        _rule("content-type"),
        sending(partial(_as, kind="text/plain;charset=UTF-8")),
    ),
    FaultySender(
        "form-type",
        "calls its JSON a form, as curl does with -d",
        _rule("content-type"),
        sending(partial(_as, kind="application/x-www-form-urlencoded")),
    ),
    FaultySender(
        "milliseconds",
        "stamps its requests in milliseconds",
        _rule("timestamp-header"),
        SenderBehaviour(compose=partial(_stamped, text=lambda now: str(int(now * 1000)))),
    ),
    FaultySender(
        "fractional-seconds",
        "stamps its requests with a fraction of a second",
        _rule("timestamp-header"),
        SenderBehaviour(compose=partial(_stamped, text=lambda now: f"{now:.6f}")),
    ),
    FaultySender(
        "iso-time",
        "stamps its requests with a date and a time in ISO 8601",
        _rule("timestamp-header"),
        SenderBehaviour(compose=partial(_stamped, text=_iso)),
    ),
    FaultySender(
        "upper-case-signature",
        "writes the signature in upper-case hex, as Convert.ToHexString does",
        _rule("signature-header"),
        SenderBehaviour(compose=partial(_signature, form=str.upper)),
    ),
    FaultySender(
        "base64-signature",
        "writes the signature in Base64",
        _rule("signature-header"),
        SenderBehaviour(compose=partial(_signature, form=_in_base64)),
    ),
    FaultySender(
        "prefixed-signature",
        "puts sha256= in front of the signature",
        _rule("signature-header"),
        SenderBehaviour(compose=partial(_signature, form=lambda digest: f"sha256={digest}")),
    ),
    FaultySender(
        "colon-missing",
        "signs the timestamp and the body without the colon between them",
        _rule("signature"),
        SenderBehaviour(compose=partial(_over, template="{timestamp}{body}")),
    ),
    FaultySender(
        "signs-the-body-alone",
        "signs the body without the timestamp",
        _rule("signature"),
        SenderBehaviour(compose=partial(_over, template="{body}")),
    ),
    FaultySender(
        "encodes-twice",
        "signs compact JSON, and lets its HTTP client encode the message once more",
        _rule("signature"),
        sending(_encoded_again),
    ),
    FaultySender(
        "signs-escaped-text",
        "signs JSON with escapes and sends it without, so that Chinese text does not verify",
        _rule("signature"),
        SenderBehaviour(compose=_signs_escapes),
    ),
    FaultySender(
        "clock-an-hour-behind",
        "stamps everything with a clock that is an hour behind",
        _rule("timestamp-fresh"),
        clock=_Behind(),
    ),
    FaultySender(
        "retries-an-hour-behind",
        "makes its retries on another machine, whose clock is an hour behind",
        _rule("timestamp-fresh[SHOULD]"),
        partial(retrying, _an_hour_old),
        beside=("sender.retry.none-after-200",),
    ),
    FaultySender(
        "body-time-in-milliseconds",
        "writes milliseconds into the body's timestamp, and seconds into the header",
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
        "creates its test message in milliseconds, long after it is sent",
        _rule("timestamp-agrees"),
        SenderBehaviour(test=lambda now: test_message(now) | {"createTime": int(now * 1000)}),
        beside=("sender.config.test",),
    ),
    FaultySender(
        "cut-by-characters",
        "counts Content-Length in characters, which cuts Chinese text",
        _rule("whole-body"),
        sending(_cut),
    ),
    FaultySender(
        "empty-on-retry",
        "sends the signed body once, and nothing of it on a retry",
        _rule("whole-body"),
        partial(retrying, _drained),
        beside=("sender.retry.none-after-200",),
    ),
    FaultySender(
        "retries-unsigned",
        "keeps the body for a retry, and not the headers that sign it",
        _rule("always-signed"),
        partial(retrying, _unsigned),
        beside=("sender.retry.none-after-200",),
    ),
    FaultySender(
        "tests-unsigned",
        "does not sign what Test sends",
        _rule("always-signed"),
        partial(testing, _tests_unsigned),
    ),
)
