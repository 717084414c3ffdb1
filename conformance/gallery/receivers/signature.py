"""Receivers that check the signature over other bytes than they received, refuse a valid signature,
or break on an invalid one. Rules: receiver.signature.*, including those of forged.py.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import web

from conformance.gallery.peer import Faulty
from conformance.gallery.receivers.forged import (
    FORGED,
    checking,
    matches_as_text,
    rule,
    signature_headers,
)
from conformance.model.exchange import Headers
from conformance.protocol.dialect import Dialect, parse_template
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.signing import Signer
from conformance.receiver import behaviour
from conformance.receiver.behaviour import ReceiverBehaviour, Response, authenticate


def _timing_safe_equal(right: bytes, signature: bytes) -> bool:
    if len(right) != len(signature):
        raise ValueError("Input buffers must have the same byte length")
    return hmac.compare_digest(right, signature)


def _require_headers(headers: Headers, dialect: Dialect) -> tuple[bytes, bytes] | Response:
    """request.headers[name], which raises KeyError."""
    if None in signature_headers(headers, dialect):
        raise KeyError(dialect.signature_header)
    return behaviour.credentials(headers, dialect)


def _look_up_exactly(
    headers: Headers, dialect: Dialect, *, spellings: tuple[str, ...]
) -> tuple[bytes, bytes] | Response:
    """A plain map of header names, which only finds these `spellings`."""
    matching = [(name, value) for name, value in headers if name.decode() in spellings]
    return behaviour.credentials(tuple(matching), dialect)


def _encode_again(body: bytes, *, form: str) -> bytes:
    try:
        return ENCODINGS[form](json.loads(body))
    except (ValueError, RecursionError):
        return body


def _try_both(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    """A half-finished fix: it checks the raw body, and still the re-encoded one as well."""
    refusal = authenticate(headers, body, signer, now)
    encode = partial(_encode_again, form="compact")
    return refusal and authenticate(headers, body, signer, now, signed=encode)


async def _receive_changed(
    request: web.Request, *, change: Callable[[bytes], bytes]
) -> bytes | Response:
    body = await behaviour.receive(request)
    return body if isinstance(body, Response) else change(body)


def _is_forged(answer: Response) -> bool:
    """Refused for its signature, and not for a well-signed timestamp."""
    return answer.status == 401 and "signature" in (answer.message or "").lower()


async def _hang_up(request: web.Request, answer: Response) -> web.StreamResponse:
    if _is_forged(answer) and request.transport is not None:
        request.transport.close()
    return await behaviour.respond(request, answer)


async def _redirect_to_login(request: web.Request, answer: Response) -> web.StreamResponse:
    login = Response(302, None, (("Location", "/login"),))
    return await behaviour.respond(request, login if _is_forged(answer) else answer)


def _check_date(
    timestamp: bytes, now: float, dialect: Dialect, tolerance: float, *, guarded: bool
) -> Response | None:
    """Converts the timestamp to a date. int() raises ValueError for text, which is caught if
    `guarded`. fromtimestamp() raises it for milliseconds, whose year is out of range."""
    try:
        seconds = int(timestamp)
    except ValueError:
        if guarded:
            return Response(401, "the timestamp is not a number")
        raise
    age = now - datetime.fromtimestamp(seconds, UTC).timestamp()
    return Response(401, "the timestamp is too far off") if abs(age) > tolerance else None


def _authenticate_in(
    headers: Headers, body: bytes, signer: Signer, now: float, **parts: Any
) -> Response | None:
    return authenticate(
        headers, body, replace(signer, dialect=replace(signer.dialect, **parts)), now
    )


SIGNATURE = (
    *FORGED,
    Faulty(
        "lossy-decoding",
        "replaces invalid UTF-8 with U+FFFD before it checks the signature",
        rule("equal-meaning"),
        ReceiverBehaviour(
            receive=partial(
                _receive_changed, change=lambda body: body.decode("utf-8", "replace").encode()
            )
        ),
    ),
    Faulty(
        "rewritten-json-will-do",
        "also accepts a signature over the re-encoded JSON",
        rule("equal-meaning"),
        ReceiverBehaviour(authenticate=_try_both),
    ),
    Faulty(
        "trimmed-body",
        "trims the body before it checks the signature",
        rule("equal-meaning", "raw-bytes"),
        ReceiverBehaviour(receive=partial(_receive_changed, change=bytes.strip)),
    ),
    Faulty(
        "compare-throws-on-non-ascii",
        "compares signatures as str and answers 500 if one is not ASCII",
        rule("refusal-status"),
        checking(matches=matches_as_text),
    ),
    Faulty(
        "compare-throws-on-length",
        "answers 500 to a signature of the wrong length, because timingSafeEqual throws",
        rule("refusal-status"),
        checking(matches=_timing_safe_equal),
    ),
    Faulty(
        "absent-header-throws",
        "answers 500 if a signature header is absent",
        rule("refusal-status"),
        checking(credentials=_require_headers),
    ),
    Faulty(
        "hangs-up",
        "closes the connection on a wrong signature, like nginx with 444",
        rule("refusal-status"),
        ReceiverBehaviour(respond=_hang_up),
    ),
    Faulty(
        "redirects-to-login",
        "redirects a request with a wrong signature to a login page",
        rule("refusal-status"),
        ReceiverBehaviour(respond=_redirect_to_login),
    ),
    Faulty(
        "json-stringify",
        "checks the signature over the output of JSON.stringify for the parsed body",
        rule("raw-bytes", "equal-meaning"),
        checking(signed=partial(_encode_again, form="compact")),
    ),
    Faulty(
        "json-dumps",
        "checks the signature over the output of json.dumps for the parsed body",
        rule("raw-bytes", "equal-meaning"),
        checking(signed=partial(_encode_again, form="spaced-ascii")),
    ),
    Faulty(
        "json-marshal",
        "checks the signature over the output of Go's json.Marshal for the parsed body",
        rule("raw-bytes", "equal-meaning"),
        checking(signed=partial(_encode_again, form="html-escaped")),
    ),
    Faulty(
        "json-marshal-of-a-map",
        "checks the signature over the output of Go's json.Marshal for the body parsed into a map",
        rule("raw-bytes", "equal-meaning"),
        checking(signed=partial(_encode_again, form="sorted-html-escaped")),
    ),
    Faulty(
        "json-encode",
        "checks the signature over the output of PHP's json_encode for the parsed body",
        rule("raw-bytes", "equal-meaning"),
        checking(signed=partial(_encode_again, form="ascii-slash-escaped")),
    ),
    Faulty(
        "canonical-json",
        "checks the signature over the parsed body with sorted keys",
        rule("raw-bytes", "equal-meaning"),
        checking(signed=partial(_encode_again, form="sorted-keys")),
    ),
    Faulty(
        "line-ends-translated",
        "reads the body in text mode, which converts CRLF to LF",
        rule("raw-bytes"),
        ReceiverBehaviour(
            receive=partial(_receive_changed, change=lambda body: body.replace(b"\r\n", b"\n"))
        ),
    ),
    Faulty(
        "date-of-milliseconds",
        "converts the timestamp to a date and answers 500 to milliseconds",
        rule("timestamp-form"),
        checking(fresh=partial(_check_date, guarded=True)),
    ),
    Faulty(
        "timestamp-must-parse",
        "calls int() on the timestamp and answers 500 when it is not a number",
        rule("timestamp-form"),
        checking(fresh=partial(_check_date, guarded=False)),
    ),
    Faulty(
        "one-spelling-of-headers",
        "finds the headers only in the guide's spelling",
        rule("header-case"),
        checking(
            credentials=partial(
                _look_up_exactly, spellings=("X-Webhook-Timestamp", "X-Webhook-Signature")
            )
        ),
    ),
    Faulty(
        "no-colon",
        "expects a signature without the colon between timestamp and body, like some clients",
        rule("dialect"),
        ReceiverBehaviour(
            authenticate=partial(_authenticate_in, parts=parse_template("{timestamp}{body}"))
        ),
    ),
    Faulty(
        "dot-for-colon",
        "expects a dot instead of the colon in the signed text, like Stripe",
        rule("dialect"),
        ReceiverBehaviour(
            authenticate=partial(_authenticate_in, parts=parse_template("{timestamp}.{body}"))
        ),
    ),
    Faulty(
        "digest-in-base64",
        "expects the signature in Base64",
        rule("dialect"),
        ReceiverBehaviour(authenticate=partial(_authenticate_in, encoding="base64")),
    ),
    Faulty(
        "body-signed-alone",
        "expects a signature over the body alone, like GitHub",
        rule("dialect"),
        ReceiverBehaviour(authenticate=partial(_authenticate_in, parts=parse_template("{body}"))),
    ),
)
