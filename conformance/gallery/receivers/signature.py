"""Receivers that check the signature over other bytes than they received, refuse a valid signature,
or break on an invalid one. Rules: receiver.signature.*, except those of forged.py
"""

from __future__ import annotations

import hmac
import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from aiohttp import web

from conformance.gallery.peer import Faults, row
from conformance.gallery.receivers.forged import header, matches_as_text
from conformance.gallery.receivers.serve import RECEIVER
from conformance.model.exchange import Headers
from conformance.protocol.dialect import Dialect, parse_template
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.signing import Signer
from conformance.receiver import behaviour
from conformance.receiver.behaviour import ReceiverBehaviour, Response, authenticate

faulty = Faults("receiver.signature", RECEIVER)


@faulty("equal-meaning", step="body")
def lossy_decoding(body: bytes) -> bytes:
    """Replaces invalid UTF-8 with U+FFFD before it checks the signature."""
    return body.decode("utf-8", "replace").encode()


@faulty(
    "raw-bytes",
    "equal-meaning",
    step="signed",
    rows=(
        row("json-stringify", "the output of JSON.stringify for the parsed body", form="compact"),
        row("json-dumps", "the output of json.dumps for the parsed body", form="spaced-ascii"),
        row(
            "json-marshal",
            "the output of Go's json.Marshal for the parsed body",
            form="html-escaped",
        ),
        row(
            "json-marshal-of-a-map",
            "the output of Go's json.Marshal for the body parsed into a map",
            form="sorted-html-escaped",
        ),
        row(
            "json-encode",
            "the output of PHP's json_encode for the parsed body",
            form="ascii-slash-escaped",
        ),
        row("canonical-json", "the parsed body with sorted keys", form="sorted-keys"),
    ),
)
def _encode_again(body: bytes, *, form: str) -> bytes:
    """Checks the signature over {}."""
    try:
        return ENCODINGS[form](json.loads(body))
    except (ValueError, RecursionError):
        return body


@faulty("equal-meaning", step="authenticate")
def rewritten_json_will_do(
    headers: Headers, body: bytes, signer: Signer, now: float
) -> Response | None:
    """Also accepts a signature over the re-encoded JSON.

    A half-finished fix: it checks the raw body, and still the re-encoded one as well.
    """
    refusal = authenticate(headers, body, signer, now)
    encode = partial(_encode_again, form="compact")
    return refusal and authenticate(headers, body, signer, now, signed=encode)


@faulty("equal-meaning", "raw-bytes", step="body")
def trimmed_body(body: bytes) -> bytes:
    """Trims the body before it checks the signature."""
    return body.strip()


@faulty("raw-bytes", step="body")
def line_ends_translated(body: bytes) -> bytes:
    """Reads the body in text mode, which converts CRLF to LF."""
    return body.replace(b"\r\n", b"\n")


@faulty("refusal-status", step="matches")
def compare_throws_on_non_ascii(right: bytes, signature: bytes) -> bool:
    """Compares signatures as str and answers 500 if one is not ASCII."""
    return matches_as_text(right, signature)


@faulty("refusal-status", step="matches")
def compare_throws_on_length(right: bytes, signature: bytes) -> bool:
    """Answers 500 to a signature of the wrong length, because timingSafeEqual throws."""
    if len(right) != len(signature):
        raise ValueError("Input buffers must have the same byte length")
    return hmac.compare_digest(right, signature)


@faulty("refusal-status", step="credentials")
def absent_header_throws(headers: Headers, dialect: Dialect) -> tuple[bytes, bytes] | Response:
    """Answers 500 if a signature header is absent.

    request.headers[name], which raises KeyError.
    """
    for name in (dialect.timestamp_header, dialect.signature_header):
        if header(headers, name) is None:
            raise KeyError(name)
    return behaviour.credentials(headers, dialect)


def _is_forged(answer: Response) -> bool:
    """Refused for its signature, and not for a well-signed timestamp."""
    return answer.status == 401 and "signature" in (answer.message or "").lower()


@faulty("refusal-status", step="respond")
async def hangs_up(request: web.Request, answer: Response) -> web.StreamResponse:
    """Closes the connection on a wrong signature, like nginx with 444."""
    if _is_forged(answer) and request.transport is not None:
        request.transport.close()
    return await behaviour.respond(request, answer)


@faulty("refusal-status", step="respond")
async def redirects_to_login(request: web.Request, answer: Response) -> web.StreamResponse:
    """Redirects a request with a wrong signature to a login page."""
    login = Response(302, None, (("Location", "/login"),))
    return await behaviour.respond(request, login if _is_forged(answer) else answer)


@faulty("timestamp-form", step="fresh")
def date_of_milliseconds(
    timestamp: bytes, now: float, dialect: Dialect, tolerance: float
) -> Response | None:
    """Converts the timestamp to a date and answers 500 to milliseconds.

    fromtimestamp() raises ValueError for milliseconds, whose year is out of range.
    """
    if timestamp.isdigit():
        datetime.fromtimestamp(int(timestamp), UTC)
    return behaviour.fresh(timestamp, now, dialect, tolerance)


@faulty("timestamp-form", step="fresh")
def timestamp_must_parse(
    timestamp: bytes, now: float, dialect: Dialect, tolerance: float
) -> Response | None:
    """Calls int() on the timestamp and answers 500 when it is not a number."""
    int(timestamp)
    return behaviour.fresh(timestamp, now, dialect, tolerance)


@faulty("header-case", step="credentials")
def one_spelling_of_headers(headers: Headers, dialect: Dialect) -> tuple[bytes, bytes] | Response:
    """Finds the headers only in the guide's spelling.

    A plain map of header names.
    """
    spellings = (b"X-Webhook-Timestamp", b"X-Webhook-Signature")
    matching = tuple((name, value) for name, value in headers if name in spellings)
    return behaviour.credentials(matching, dialect)


@faulty(
    "duplicate-header",
    step="credentials",
    rows=(
        row("first-signature-counts", "first", place=0),
        row("last-signature-counts", "last", place=-1),
    ),
)
def _pick_signature(
    headers: Headers, dialect: Dialect, *, place: int
) -> tuple[bytes, bytes] | Response:
    """Checks only the {} of several signature headers."""
    name = dialect.signature_header.lower().encode()
    signatures = [each for each in headers if each[0].lower() == name]
    others = [each for each in headers if each[0].lower() != name]
    return behaviour.credentials((*others, *(signatures and [signatures[place]])), dialect)


@faulty("stale-timestamp", step="fresh")
def age_unchecked(
    timestamp: bytes, now: float, dialect: Dialect, tolerance: float
) -> Response | None:
    """Checks that the timestamp is a number, but not how old it is."""
    return behaviour.fresh(timestamp, now, dialect, math.inf)


@faulty("non-numeric-timestamp", step="fresh")
def timestamp_becomes_nan(
    timestamp: bytes, now: float, dialect: Dialect, tolerance: float
) -> Response | None:
    """Converts the timestamp with JavaScript's Number(), so that text passes the check of its age.

    Every comparison with NaN is false.
    """
    return behaviour.fresh(timestamp, now, dialect, tolerance) if timestamp.isdigit() else None


def _in_dialect(change: Callable[[Dialect], Dialect]) -> ReceiverBehaviour:
    def check(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
        return authenticate(headers, body, replace(signer, dialect=change(signer.dialect)), now)

    return ReceiverBehaviour(authenticate=check)


@faulty(
    "dialect",
    rows=(
        row(
            "no-colon",
            "a signature without the colon between timestamp and body, like some clients",
            template="{timestamp}{body}",
        ),
        row(
            "dot-for-colon",
            "a dot instead of the colon in the signed text, like Stripe",
            template="{timestamp}.{body}",
        ),
        row("body-signed-alone", "a signature over the body alone, like GitHub", template="{body}"),
    ),
)
def _other_text(template: str) -> ReceiverBehaviour:
    """Expects {}."""
    return _in_dialect(lambda dialect: replace(dialect, parts=parse_template(template)))


@faulty("dialect")
def digest_in_base64() -> ReceiverBehaviour:
    """Expects the signature in Base64."""
    return _in_dialect(lambda dialect: replace(dialect, encoding="base64"))
