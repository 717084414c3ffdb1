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
from functools import partial
from typing import Any

from conformance.gallery.peer import Faulty
from conformance.model.exchange import Headers
from conformance.protocol.dialect import Dialect, Secret
from conformance.protocol.signing import Signer
from conformance.protocol.tampering import WRONG_SECRET
from conformance.receiver import behaviour
from conformance.receiver.behaviour import ReceiverBehaviour, Response, authenticate

_DAY = 86400


def checking(**parts: Any) -> ReceiverBehaviour:
    """The correct receiver with some `parts` of `authenticate` replaced."""
    return ReceiverBehaviour(authenticate=partial(authenticate, **parts))


def rule(*names: str) -> tuple[str, ...]:
    """The ids of the signature rules with these names."""
    return tuple(f"receiver.signature.{name}" for name in names)


def _header(headers: Headers, name: str) -> bytes | None:
    lower = name.lower().encode()
    return next((value for key, value in headers if key.lower() == lower), None)


def signature_headers(headers: Headers, dialect: Dialect) -> tuple[bytes | None, bytes | None]:
    """The timestamp and the signature, each None if its header is absent."""
    return _header(headers, dialect.timestamp_header), _header(headers, dialect.signature_header)


def _parse(body: bytes) -> dict[str, Any]:
    """The body, parsed before any check; {} if it cannot be parsed."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _check_unless(
    headers: Headers,
    body: bytes,
    signer: Signer,
    now: float,
    *,
    skip: Callable[[bytes | None, bytes | None], bool],
) -> Response | None:
    """Skip the check if `skip` returns true for the timestamp and the signature."""
    if skip(*signature_headers(headers, signer.dialect)):
        return None
    return authenticate(headers, body, signer, now)


def _check_json_alone(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    kind = next((value for key, value in headers if key.lower() == b"content-type"), b"")
    return authenticate(headers, body, signer, now) if b"json" in kind else None


def _try_test_secret(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    test_signer = replace(signer, secret=Secret(WRONG_SECRET.encode()))
    refusal = authenticate(headers, body, signer, now)
    return refusal and authenticate(headers, body, test_signer, now)


def _with_stamp(headers: Headers, dialect: Dialect, stamp: object) -> Headers:
    """`headers` with `stamp` as the timestamp."""
    name = dialect.timestamp_header.encode()
    others = [(key, value) for key, value in headers if key.lower() != name.lower()]
    return (*others, (name, str(stamp).encode()))


def _check_body_stamp(
    headers: Headers, body: bytes, signer: Signer, now: float, *, fallback: bool
) -> Response | None:
    """Checks with the timestamp in the body: only if the header is absent with `fallback`, else
    only if it is present. The latter also refuses a repeat whose header is a second or more newer."""
    absent = _header(headers, signer.dialect.timestamp_header) is None
    if absent == fallback:
        headers = _with_stamp(headers, signer.dialect, _parse(body).get("timestamp"))
    return authenticate(headers, body, signer, now)


def _leading_digits(headers: Headers, dialect: Dialect) -> tuple[bytes, bytes] | Response:
    """parseInt() and the like read the leading digits."""
    pair = behaviour.credentials(headers, dialect)
    if isinstance(pair, Response):
        return pair
    digits = re.match(rb"[0-9]*", pair[0])
    return digits[0] if digits else b"", pair[1]


def _try_neighbours(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    refusal = authenticate(headers, body, signer, now)
    stamp = _header(headers, signer.dialect.timestamp_header) or b""
    for drift in (-1, 1) if refusal and stamp.isdigit() else ():
        near = _with_stamp(headers, signer.dialect, int(stamp) + drift)
        refusal = refusal and authenticate(near, body, signer, now)
    return refusal


def _check_once() -> ReceiverBehaviour:
    """A cache of valid signatures, without what they signed."""
    valid: set[bytes | None] = set()

    def check(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
        signature = _header(headers, signer.dialect.signature_header)
        if signature in valid:
            return None
        refusal = authenticate(headers, body, signer, now)
        if refusal is None:
            valid.add(signature)
        return refusal

    return ReceiverBehaviour(authenticate=check)


def _answer_known_ids() -> ReceiverBehaviour:
    """Dedup in middleware before the check. It remembers the ids that passed the check."""
    known: set[object] = set()

    def check(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
        msg_id = _parse(body).get("msgId")
        if isinstance(msg_id, str) and msg_id in known:
            return Response(200, "duplicate")
        refusal = authenticate(headers, body, signer, now)
        if refusal is None and isinstance(msg_id, str):
            known.add(msg_id)
        return refusal

    return ReceiverBehaviour(authenticate=check)


def _drop_old(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    stamp = _header(headers, signer.dialect.timestamp_header) or b""
    if stamp.isdigit() and now - int(stamp[:20]) > _DAY:
        return Response(200, "too old")
    return authenticate(headers, body, signer, now)


def _matches_up_to_shorter(right: bytes, signature: bytes) -> bool:
    return all(one == other for one, other in zip(right, signature, strict=False))


def _matches_truncated(right: bytes, signature: bytes) -> bool:
    """RFC 2104 lets a protocol truncate an HMAC to half its length. A sender may not choose to."""
    return len(signature) >= len(right) // 2 and right.startswith(signature)


def _matches_slice(right: bytes, signature: bytes, *, part: slice) -> bool:
    """A loop whose bounds are off by one."""
    return len(signature) == len(right) and hmac.compare_digest(right[part], signature[part])


def _is_well_formed(right: bytes, signature: bytes) -> bool:
    return re.fullmatch(rb"[0-9a-f]{64}", signature) is not None


def _decode_like_node(signature: bytes) -> bytes:
    """Buffer.from(text, "hex") stops at the first pair that is not two hex digits."""
    digits = re.match(rb"(?:[0-9a-fA-F]{2})*", signature)
    return digits[0].lower() if digits else b""


def _matches_decoded(right: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(right, _decode_like_node(signature))


def _matches_decoded_bytes(right: bytes, signature: bytes) -> bool:
    """Checks the length of the text, then compares only the bytes decoded from it, which may be none.
    A header that is not ASCII never gets this far."""
    whole = signature.isascii() and len(signature) == len(right)
    return whole and _matches_up_to_shorter(right, _decode_like_node(signature))


def matches_as_text(right: bytes, signature: bytes) -> bool:
    """Compares str: hmac.compare_digest raises TypeError if one is not ASCII."""
    return hmac.compare_digest(right.decode(), signature.decode("latin-1"))


def _matches_on_error(right: bytes, signature: bytes) -> bool:
    try:
        return matches_as_text(right, signature)
    except TypeError:
        return True


FORGED = (
    Faulty(
        "never-verifies",
        "never checks the signature",
        rule(
            *("wrong-secret", "tampered-body", "tampered-timestamp", "missing-signature"),
            *("missing-timestamp", "missing-both", "empty-signature", "truncated", "one-character"),
            *("overlong", "non-hex", "non-ascii", "other-message", "known-id", "equal-meaning"),
        ),
        ReceiverBehaviour(authenticate=lambda headers, body, signer, now: None),
    ),
    Faulty(
        "looks-at-the-form-only",
        "accepts any 64 hex digits as a signature",
        rule(
            *("wrong-secret", "tampered-body", "tampered-timestamp", "one-character"),
            *("other-message", "known-id", "equal-meaning"),
        ),
        checking(matches=_is_well_formed),
    ),
    Faulty(
        "json-alone-checked",
        "checks the signature only if the Content-Type is JSON",
        rule("wrong-secret"),
        ReceiverBehaviour(authenticate=_check_json_alone),
    ),
    Faulty(
        "second-secret",
        "also accepts signatures made with a secret left over from testing",
        rule("wrong-secret", "known-id"),
        ReceiverBehaviour(authenticate=_try_test_secret),
    ),
    Faulty(
        "timestamp-of-the-body",
        "checks the signature over the timestamp in the body, not the one in the header",
        rule("tampered-timestamp"),
        ReceiverBehaviour(authenticate=partial(_check_body_stamp, fallback=False)),
    ),
    Faulty(
        "timestamp-parsed-first",
        "checks the signature over the leading digits of the timestamp and ignores the rest",
        rule("tampered-timestamp"),
        checking(credentials=_leading_digits),
    ),
    Faulty(
        "seconds-around",
        "also tries the timestamp plus and minus one second, to allow for clock skew",
        rule("tampered-timestamp"),
        ReceiverBehaviour(authenticate=_try_neighbours),
    ),
    Faulty(
        "unsigned-let-through",
        "checks the signature only if there is one",
        rule("missing-signature"),
        ReceiverBehaviour(
            authenticate=partial(
                _check_unless, skip=lambda stamp, sign: sign is None and stamp is not None
            )
        ),
    ),
    Faulty(
        "timestamp-falls-back",
        "takes the timestamp from the body if its header is absent",
        rule("missing-timestamp"),
        ReceiverBehaviour(authenticate=partial(_check_body_stamp, fallback=True)),
    ),
    Faulty(
        "no-headers-no-check",
        "trusts a request with neither header as coming from its own network",
        rule("missing-both"),
        ReceiverBehaviour(
            authenticate=partial(_check_unless, skip=lambda stamp, sign: stamp is sign is None)
        ),
    ),
    Faulty(
        "empty-signature-unchecked",
        "refuses an absent signature but does not check an empty one",
        rule("empty-signature"),
        ReceiverBehaviour(
            authenticate=partial(_check_unless, skip=lambda stamp, sign: sign == b"")
        ),
    ),
    Faulty(
        "compares-up-to-the-shorter",
        "compares only up to the end of the shorter signature, as a loop over zip() does",
        rule("truncated", "overlong"),
        checking(matches=_matches_up_to_shorter),
    ),
    Faulty(
        "half-a-signature-will-do",
        "accepts the first 32 digits of the signature, or more, as the whole",
        rule("truncated"),
        checking(matches=_matches_truncated),
    ),
    Faulty(
        "last-character-left-out",
        "does not compare the last character of the signature",
        rule("one-character"),
        checking(matches=partial(_matches_slice, part=slice(None, -1))),
    ),
    Faulty(
        "first-character-left-out",
        "does not compare the first character of the signature",
        rule("one-character"),
        checking(matches=partial(_matches_slice, part=slice(1, None))),
    ),
    Faulty(
        "rest-ignored",
        "compares the first 64 characters of the signature and ignores the rest",
        rule("overlong"),
        checking(matches=lambda right, signature: signature.startswith(right)),
    ),
    Faulty(
        "hex-decoded-with-a-tail",
        "decodes the signature as Node does, which drops everything after the hex digits",
        rule("overlong"),
        checking(matches=_matches_decoded),
    ),
    Faulty(
        "hex-decoded-to-nothing",
        "decodes the signature as Node does and compares only the bytes it decoded",
        rule("non-hex"),
        checking(matches=_matches_decoded_bytes),
    ),
    Faulty(
        "failed-compare-ignored",
        "accepts a request if comparing its signature throws an exception",
        rule("non-ascii"),
        checking(matches=_matches_on_error),
    ),
    Faulty(
        "signature-checked-once",
        "accepts any request with a signature that it has verified before",
        rule("other-message"),
        _check_once,
    ),
    Faulty(
        "old-dropped-as-received",
        "answers 200 to a timestamp more than a day old without checking the signature",
        rule("moved-digit"),
        ReceiverBehaviour(authenticate=_drop_old),
    ),
    Faulty(
        "known-ids-before-the-check",
        "answers 200 to a known msgId without checking the signature",
        rule("known-id"),
        _answer_known_ids,
    ),
)
