"""Receivers that accept forgeries. Rules: receiver.signature.wrong-secret to .known-id

No peer can break tampered-body alone: a receiver that accepts a changed body has not compared the
signature with anything, so it accepts other well-formed signatures too.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.gallery.peer import Faults, row
from conformance.gallery.receivers.serve import RECEIVER
from conformance.model.exchange import Headers
from conformance.protocol.dialect import Dialect, Secret
from conformance.protocol.signing import Signer
from conformance.protocol.tampering import WRONG_SECRET
from conformance.receiver import behaviour
from conformance.receiver.behaviour import Response, authenticate

_DAY = 86400

faulty = Faults("receiver.signature", RECEIVER)


def header(headers: Headers, name: str) -> bytes | None:
    """The value of a header, or None if it is absent."""
    lower = name.lower().encode()
    return next((value for key, value in headers if key.lower() == lower), None)


def _parse(body: bytes) -> dict[str, Any]:
    """The body, parsed before any check; {} if it cannot be parsed."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _with_stamp(headers: Headers, dialect: Dialect, stamp: object) -> Headers:
    """`headers` with `stamp` as the timestamp."""
    name = dialect.timestamp_header.encode()
    others = [(key, value) for key, value in headers if key.lower() != name.lower()]
    return (*others, (name, str(stamp).encode()))


@faulty(
    *("wrong-secret", "tampered-body", "tampered-timestamp", "missing-signature"),
    *("missing-timestamp", "missing-both", "empty-signature", "truncated", "one-character"),
    *("overlong", "non-hex", "non-ascii", "other-message", "known-id", "equal-meaning"),
    step="authenticate",
)
def never_verifies(headers: Headers, body: bytes, signer: Signer, now: float) -> None:
    """Never checks the signature."""


@faulty(
    *("wrong-secret", "tampered-body", "tampered-timestamp", "one-character"),
    *("other-message", "known-id", "equal-meaning"),
    step="matches",
)
def looks_at_the_form_only(right: bytes, signature: bytes) -> bool:
    """Accepts any 64 hex digits as a signature."""
    return re.fullmatch(rb"[0-9a-f]{64}", signature) is not None


@faulty("wrong-secret", step="authenticate")
def json_alone_checked(
    headers: Headers, body: bytes, signer: Signer, now: float
) -> Response | None:
    """Checks the signature only if the Content-Type is JSON."""
    kind = header(headers, "Content-Type") or b""
    return authenticate(headers, body, signer, now) if b"json" in kind else None


@faulty("wrong-secret", "known-id", step="authenticate")
def second_secret(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    """Also accepts signatures made with a secret left over from testing."""
    test_signer = replace(signer, secret=Secret(WRONG_SECRET.encode()))
    refusal = authenticate(headers, body, signer, now)
    return refusal and authenticate(headers, body, test_signer, now)


@faulty("tampered-timestamp", step="authenticate")
def timestamp_of_the_body(
    headers: Headers, body: bytes, signer: Signer, now: float
) -> Response | None:
    """Checks the signature over the timestamp in the body, not the one in the header.

    It also refuses a repeat whose header is a second or more newer.
    """
    if header(headers, signer.dialect.timestamp_header) is not None:
        headers = _with_stamp(headers, signer.dialect, _parse(body).get("timestamp"))
    return authenticate(headers, body, signer, now)


@faulty("missing-timestamp", step="authenticate")
def timestamp_falls_back(
    headers: Headers, body: bytes, signer: Signer, now: float
) -> Response | None:
    """Takes the timestamp from the body if its header is absent."""
    if header(headers, signer.dialect.timestamp_header) is None:
        headers = _with_stamp(headers, signer.dialect, _parse(body).get("timestamp"))
    return authenticate(headers, body, signer, now)


@faulty("tampered-timestamp", step="credentials")
def timestamp_parsed_first(headers: Headers, dialect: Dialect) -> tuple[bytes, bytes] | Response:
    """Checks the signature over the leading digits of the timestamp and ignores the rest.

    parseInt() and the like read the leading digits.
    """
    pair = behaviour.credentials(headers, dialect)
    if isinstance(pair, Response):
        return pair
    digits = re.match(rb"[0-9]*", pair[0])
    return digits[0] if digits else b"", pair[1]


@faulty("tampered-timestamp", step="authenticate")
def seconds_around(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    """Also tries the timestamp plus and minus one second, to allow for clock skew."""
    refusal = authenticate(headers, body, signer, now)
    stamp = header(headers, signer.dialect.timestamp_header) or b""
    for drift in (-1, 1) if refusal and stamp.isdigit() else ():
        near = _with_stamp(headers, signer.dialect, int(stamp) + drift)
        refusal = refusal and authenticate(near, body, signer, now)
    return refusal


@faulty(
    step="authenticate",
    rows=(
        row(
            "unsigned-let-through",
            "checks the signature only if there is one",
            "missing-signature",
            trusts=lambda stamp, sign: sign is None and stamp is not None,
        ),
        row(
            "no-headers-no-check",
            "trusts a request with neither header as coming from its own network",
            "missing-both",
            trusts=lambda stamp, sign: stamp is sign is None,
        ),
        row(
            "empty-signature-unchecked",
            "refuses an absent signature but does not check an empty one",
            "empty-signature",
            trusts=lambda stamp, sign: sign == b"",
        ),
    ),
)
def _check_unless(
    headers: Headers,
    body: bytes,
    signer: Signer,
    now: float,
    *,
    trusts: Callable[[bytes | None, bytes | None], bool],
) -> Response | None:
    """Skips the check if it `trusts` a timestamp and a signature."""
    dialect = signer.dialect
    names = (dialect.timestamp_header, dialect.signature_header)
    if trusts(*(header(headers, name) for name in names)):
        return None
    return authenticate(headers, body, signer, now)


@faulty("truncated", "overlong", step="matches")
def compares_up_to_the_shorter(right: bytes, signature: bytes) -> bool:
    """Compares only up to the end of the shorter signature, as a loop over zip() does."""
    return all(one == other for one, other in zip(right, signature, strict=False))


@faulty("truncated", step="matches")
def half_a_signature_will_do(right: bytes, signature: bytes) -> bool:
    """Accepts the first 32 digits of the signature, or more, as the whole.

    RFC 2104 lets a protocol truncate an HMAC to half its length. A sender may not choose to.
    """
    return len(signature) >= len(right) // 2 and right.startswith(signature)


@faulty(
    "one-character",
    step="matches",
    rows=(
        row("last-character-left-out", "last", part=slice(None, -1)),
        row("first-character-left-out", "first", part=slice(1, None)),
    ),
)
def _matches_slice(right: bytes, signature: bytes, *, part: slice) -> bool:
    """Does not compare the {} character of the signature.

    A loop whose bounds are off by one.
    """
    return len(signature) == len(right) and hmac.compare_digest(right[part], signature[part])


@faulty("overlong", step="matches")
def rest_ignored(right: bytes, signature: bytes) -> bool:
    """Compares the first 64 characters of the signature and ignores the rest."""
    return signature.startswith(right)


def _decode_like_node(signature: bytes) -> bytes:
    """Buffer.from(text, "hex") stops at the first pair that is not two hex digits."""
    digits = re.match(rb"(?:[0-9a-fA-F]{2})*", signature)
    return digits[0].lower() if digits else b""


@faulty("overlong", step="matches")
def hex_decoded_with_a_tail(right: bytes, signature: bytes) -> bool:
    """Decodes the signature as Node does, which drops everything after the hex digits."""
    return hmac.compare_digest(right, _decode_like_node(signature))


@faulty("non-hex", step="matches")
def hex_decoded_to_nothing(right: bytes, signature: bytes) -> bool:
    """Decodes the signature as Node does and compares only the bytes it decoded.

    It checks the length of the text first; the bytes decoded from it may be none. A header that is not
    ASCII never gets this far.
    """
    whole = signature.isascii() and len(signature) == len(right)
    return whole and compares_up_to_the_shorter(right, _decode_like_node(signature))


def matches_as_text(right: bytes, signature: bytes) -> bool:
    """Compares str: hmac.compare_digest raises TypeError if one is not ASCII."""
    return hmac.compare_digest(right.decode(), signature.decode("latin-1"))


@faulty("non-ascii", step="matches")
def failed_compare_ignored(right: bytes, signature: bytes) -> bool:
    """Accepts a request if comparing its signature throws an exception."""
    try:
        return matches_as_text(right, signature)
    except TypeError:
        return True


@faulty("other-message", step="authenticate", state=set)
def signature_checked_once(
    valid: set[bytes | None], headers: Headers, body: bytes, signer: Signer, now: float
) -> Response | None:
    """Accepts any request with a signature that it has verified before.

    A cache of valid signatures, without what they signed.
    """
    signature = header(headers, signer.dialect.signature_header)
    if signature in valid:
        return None
    refusal = authenticate(headers, body, signer, now)
    if refusal is None:
        valid.add(signature)
    return refusal


@faulty("moved-digit", step="authenticate")
def old_dropped_as_received(
    headers: Headers, body: bytes, signer: Signer, now: float
) -> Response | None:
    """Answers 200 to a timestamp more than a day old without checking the signature."""
    stamp = header(headers, signer.dialect.timestamp_header) or b""
    if stamp.isdigit() and now - int(stamp[:20]) > _DAY:
        return Response(200, "too old")
    return authenticate(headers, body, signer, now)


@faulty("known-id", step="authenticate", state=set)
def known_ids_before_the_check(
    known: set[str], headers: Headers, body: bytes, signer: Signer, now: float
) -> Response | None:
    """Answers 200 to a known msgId without checking the signature.

    Dedup in middleware before the check. It remembers the ids that passed the check.
    """
    msg_id = _parse(body).get("msgId")
    if isinstance(msg_id, str) and msg_id in known:
        return Response(200, "duplicate")
    refusal = authenticate(headers, body, signer, now)
    if refusal is None and isinstance(msg_id, str):
        known.add(msg_id)
    return refusal
