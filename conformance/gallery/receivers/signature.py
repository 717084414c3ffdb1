"""Receivers that check the signature over other bytes than came, refuse what was signed well, or break
over a signature. Rules: receiver.signature.*, those of forged.py among them.
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
from conformance.gallery.receivers.forged import FORGED, as_text, both, checking, rule
from conformance.model.exchange import Headers
from conformance.protocol.dialect import Dialect, parse_template
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.tampering import Signer
from conformance.receiver import behaviour as behaviour
from conformance.receiver.behaviour import ReceiverBehaviour, Response, authenticate


def _as_timing_safe_equal(right: bytes, given: bytes) -> bool:
    if len(right) != len(given):
        raise ValueError("Input buffers must have the same byte length")
    return hmac.compare_digest(right, given)


def _present(headers: Headers, dialect: Dialect) -> tuple[bytes, bytes] | Response:
    """request.headers[name], which raises KeyError."""
    if None in both(headers, dialect):
        raise KeyError(dialect.signature_header)
    return behaviour.credentials(headers, dialect)


def _spelled(
    headers: Headers, dialect: Dialect, *, ways: tuple[str, ...]
) -> tuple[bytes, bytes] | Response:
    """A plain map of the names as they came, looked into by some spellings."""
    known = [(name, value) for name, value in headers if name.decode() in ways]
    return behaviour.credentials(tuple(known), dialect)


def _rewritten(body: bytes, *, form: str) -> bytes:
    try:
        return ENCODINGS[form](json.loads(body))
    except (ValueError, RecursionError):
        return body


def _either(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    """Somebody's repair: the raw body was added, and the old way kept."""
    refusal = authenticate(headers, body, signer, now)
    signed = partial(_rewritten, form="compact")
    return refusal and authenticate(headers, body, signer, now, signed=signed)


async def _received(request: web.Request, *, change: Callable[[bytes], bytes]) -> bytes | Response:
    body = await behaviour.receive(request)
    return body if isinstance(body, Response) else change(body)


def _forged(answer: Response) -> bool:
    """Refused for its signature, and not for a timestamp that was signed well."""
    return answer.status == 401 and "signature" in (answer.message or "").lower()


async def _hang_up(request: web.Request, answer: Response) -> web.StreamResponse:
    if _forged(answer) and request.transport is not None:
        request.transport.close()
    return await behaviour.respond(request, answer)


async def _to_login(request: web.Request, answer: Response) -> web.StreamResponse:
    login = Response(302, None, (("Location", "/login"),))
    return await behaviour.respond(request, login if _forged(answer) else answer)


def _as_date(
    timestamp: bytes, now: float, dialect: Dialect, tolerance: float, *, guarded: bool
) -> Response | None:
    """A date made of the timestamp: int() raises ValueError for text, and is `guarded` or not;
    fromtimestamp() does for milliseconds, since no such year can be written."""
    try:
        seconds = int(timestamp)
    except ValueError:
        if guarded:
            return Response(401, "the timestamp is not a number")
        raise
    age = now - datetime.fromtimestamp(seconds, UTC).timestamp()
    return Response(401, "the timestamp is too far off") if abs(age) > tolerance else None


def _speaking(
    headers: Headers, body: bytes, signer: Signer, now: float, **parts: Any
) -> Response | None:
    return authenticate(
        headers, body, replace(signer, dialect=replace(signer.dialect, **parts)), now
    )


SIGNATURE = (
    *FORGED,
    Faulty(
        "lossy-decoding",
        "decodes the body with U+FFFD for invalid bytes, and checks and reads that text",
        rule("equal-meaning"),
        ReceiverBehaviour(
            receive=partial(_received, change=lambda body: body.decode("utf-8", "replace").encode())
        ),
    ),
    Faulty(
        "rewritten-json-will-do",
        "tries the signature over JSON written again when it does not fit the raw body",
        rule("equal-meaning"),
        ReceiverBehaviour(authenticate=_either),
    ),
    Faulty(
        "trimmed-body",
        "trims the body before it checks the signature",
        rule("equal-meaning", "raw-bytes"),
        ReceiverBehaviour(receive=partial(_received, change=bytes.strip)),
    ),
    Faulty(
        "compare-throws-on-non-ascii",
        "compares str, and answers 500 to a signature that is not ASCII",
        rule("refusal-status"),
        checking(matches=as_text),
    ),
    Faulty(
        "compare-throws-on-length",
        "answers 500 to a signature of another length, as timingSafeEqual throws",
        rule("refusal-status"),
        checking(matches=_as_timing_safe_equal),
    ),
    Faulty(
        "absent-header-throws",
        "answers 500 when a header is absent",
        rule("refusal-status"),
        checking(credentials=_present),
    ),
    Faulty(
        "hangs-up",
        "closes the connection on a wrong signature, as nginx does for 444",
        rule("refusal-status"),
        ReceiverBehaviour(respond=_hang_up),
    ),
    Faulty(
        "redirects-to-login",
        "redirects a wrong signature to a login page",
        rule("refusal-status"),
        ReceiverBehaviour(respond=_to_login),
    ),
    Faulty(
        "json-stringify",
        "checks the signature over JSON.stringify of the parsed body",
        rule("raw-bytes", "equal-meaning"),
        checking(signed=partial(_rewritten, form="compact")),
    ),
    Faulty(
        "json-dumps",
        "checks the signature over json.dumps of the parsed body",
        rule("raw-bytes", "equal-meaning"),
        checking(signed=partial(_rewritten, form="spaced-ascii")),
    ),
    Faulty(
        "json-marshal",
        "checks the signature over what Go's encoder makes of the parsed body",
        rule("raw-bytes", "equal-meaning"),
        checking(signed=partial(_rewritten, form="html-escaped")),
    ),
    Faulty(
        "json-marshal-of-a-map",
        "checks the signature over what Go's encoder makes of the body parsed into a map",
        rule("raw-bytes", "equal-meaning"),
        checking(signed=partial(_rewritten, form="sorted-html-escaped")),
    ),
    Faulty(
        "json-encode",
        "checks the signature over PHP's json_encode of the parsed body",
        rule("raw-bytes", "equal-meaning"),
        checking(signed=partial(_rewritten, form="ascii-slash-escaped")),
    ),
    Faulty(
        "canonical-json",
        "checks the signature over the parsed body with its keys sorted",
        rule("raw-bytes", "equal-meaning"),
        checking(signed=partial(_rewritten, form="sorted-keys")),
    ),
    Faulty(
        "line-ends-translated",
        "reads the body in text mode, which turns CRLF into LF",
        rule("raw-bytes"),
        ReceiverBehaviour(
            receive=partial(_received, change=lambda body: body.replace(b"\r\n", b"\n"))
        ),
    ),
    Faulty(
        "date-of-milliseconds",
        "makes a date of the timestamp, and answers 500 to milliseconds",
        rule("timestamp-form"),
        checking(fresh=partial(_as_date, guarded=True)),
    ),
    Faulty(
        "timestamp-must-parse",
        "reads the timestamp with int(), and answers 500 to what that does not take",
        rule("timestamp-form"),
        checking(fresh=partial(_as_date, guarded=False)),
    ),
    Faulty(
        "one-spelling-of-headers",
        "looks the headers up by the guide's spelling alone",
        rule("header-case"),
        checking(
            credentials=partial(_spelled, ways=("X-Webhook-Timestamp", "X-Webhook-Signature"))
        ),
    ),
    Faulty(
        "no-colon",
        "signs timestamp and body without the colon, as published clients do",
        rule("dialect"),
        ReceiverBehaviour(
            authenticate=partial(_speaking, parts=parse_template("{timestamp}{body}"))
        ),
    ),
    Faulty(
        "dot-for-colon",
        "signs timestamp, dot and body, as Stripe does",
        rule("dialect"),
        ReceiverBehaviour(
            authenticate=partial(_speaking, parts=parse_template("{timestamp}.{body}"))
        ),
    ),
    Faulty(
        "digest-in-base64",
        "compares with the digest in Base64",
        rule("dialect"),
        ReceiverBehaviour(authenticate=partial(_speaking, encoding="base64")),
    ),
    Faulty(
        "body-signed-alone",
        "signs the body alone, as GitHub does",
        rule("dialect"),
        ReceiverBehaviour(authenticate=partial(_speaking, parts=parse_template("{body}"))),
    ),
)
