"""Receivers that take what nobody signed. Rules: receiver.signature.wrong-secret to .known-id

One rule has no peer of its own, by nature: whoever takes a body that was changed cannot have
compared the signature with anything, and takes other well-formed ones (tampered-body).
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
from conformance.protocol.tampering import WRONG_SECRET, Signer
from conformance.receiver import behaviour as behaviour
from conformance.receiver.behaviour import ReceiverBehaviour, Response, authenticate

_DAY = 86400


def checking(**parts: Any) -> ReceiverBehaviour:
    """The correct receiver with other parts of `authenticate`."""
    return ReceiverBehaviour(authenticate=partial(authenticate, **parts))


def rule(*names: str) -> tuple[str, ...]:
    """The ids of these rules."""
    return tuple(f"receiver.signature.{name}" for name in names)


def _header(headers: Headers, name: str) -> bytes | None:
    wanted = name.lower().encode()
    return next((value for key, value in headers if key.lower() == wanted), None)


def both(headers: Headers, dialect: Dialect) -> tuple[bytes | None, bytes | None]:
    """The timestamp and the signature, each None when its header is absent."""
    return _header(headers, dialect.timestamp_header), _header(headers, dialect.signature_header)


def _parsed(body: bytes) -> dict[str, Any]:
    """The body read before anything is checked; {} for what cannot be read."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _unless(
    headers: Headers,
    body: bytes,
    signer: Signer,
    now: float,
    *,
    skip: Callable[[bytes | None, bytes | None], bool],
) -> Response | None:
    """No check when `skip` says so of the two headers."""
    if skip(*both(headers, signer.dialect)):
        return None
    return authenticate(headers, body, signer, now)


def _json_alone(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    kind = next((value for key, value in headers if key.lower() == b"content-type"), b"")
    return authenticate(headers, body, signer, now) if b"json" in kind else None


def _second_secret(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    left_over = replace(signer, secret=Secret(WRONG_SECRET.encode()))
    refusal = authenticate(headers, body, signer, now)
    return refusal and authenticate(headers, body, left_over, now)


def _stamped(headers: Headers, dialect: Dialect, stamp: object) -> Headers:
    """`headers` with `stamp` in place of the timestamp."""
    name = dialect.timestamp_header.encode()
    others = [each for each in headers if each[0].lower() != name.lower()]
    return (*others, (name, str(stamp).encode()))


def _body_stamp(
    headers: Headers, body: bytes, signer: Signer, now: float, *, fallback: bool
) -> Response | None:
    """The timestamp of the body: as a `fallback` for an absent header, or always, though the header
    must be there. Then a repeat under a fresh header is refused as well, if by now a second has gone."""
    absent = _header(headers, signer.dialect.timestamp_header) is None
    if absent == fallback:
        headers = _stamped(headers, signer.dialect, _parsed(body).get("timestamp"))
    return authenticate(headers, body, signer, now)


def _parsed_stamp(headers: Headers, dialect: Dialect) -> tuple[bytes, bytes] | Response:
    """parseInt() and its like read the digits at the beginning."""
    given = behaviour.credentials(headers, dialect)
    if isinstance(given, Response):
        return given
    digits = re.match(rb"[0-9]*", given[0])
    return digits[0] if digits else b"", given[1]


def _with_skew(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    refusal = authenticate(headers, body, signer, now)
    stamp = _header(headers, signer.dialect.timestamp_header) or b""
    for drift in (-1, 1) if refusal and stamp.isdigit() else ():
        near = _stamped(headers, signer.dialect, int(stamp) + drift)
        refusal = refusal and authenticate(near, body, signer, now)
    return refusal


def _checked_once() -> ReceiverBehaviour:
    """A cache of signatures that were right; it does not hold what they were right for."""
    right: set[bytes | None] = set()

    def check(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
        signature = _header(headers, signer.dialect.signature_header)
        if signature in right:
            return None
        refusal = authenticate(headers, body, signer, now)
        if refusal is None:
            right.add(signature)
        return refusal

    return ReceiverBehaviour(authenticate=check)


def _known_first() -> ReceiverBehaviour:
    """Dedup in a middleware in front of the check; it remembers what the check let through."""
    known: set[object] = set()

    def check(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
        msg_id = _parsed(body).get("msgId")
        if isinstance(msg_id, str) and msg_id in known:
            return Response(200, "duplicate")
        refusal = authenticate(headers, body, signer, now)
        if refusal is None and isinstance(msg_id, str):
            known.add(msg_id)
        return refusal

    return ReceiverBehaviour(authenticate=check)


def _old_dropped(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    stamp = _header(headers, signer.dialect.timestamp_header) or b""
    if stamp.isdigit() and now - int(stamp[:20]) > _DAY:
        return Response(200, "too old")
    return authenticate(headers, body, signer, now)


def _up_to_the_shorter(right: bytes, given: bytes) -> bool:
    return all(one == other for one, other in zip(right, given, strict=False))


def _shortened(right: bytes, given: bytes) -> bool:
    """RFC 2104 lets an HMAC be cut to its half: a choice of the protocol, and not of the sender."""
    return len(given) >= len(right) // 2 and right.startswith(given)


def _part(right: bytes, given: bytes, *, kept: slice) -> bool:
    """A loop whose bounds are off by one."""
    return len(given) == len(right) and hmac.compare_digest(right[kept], given[kept])


def _well_formed(right: bytes, given: bytes) -> bool:
    return re.fullmatch(rb"[0-9a-f]{64}", given) is not None


def _hex_of_node(given: bytes) -> bytes:
    """Buffer.from(text, "hex") ends before the first pair that is not of hex digits."""
    digits = re.match(rb"(?:[0-9a-fA-F]{2})*", given)
    return digits[0].lower() if digits else b""


def _decoded(right: bytes, given: bytes) -> bool:
    return hmac.compare_digest(right, _hex_of_node(given))


def _decoded_in_a_loop(right: bytes, given: bytes) -> bool:
    """The length is that of the text, and the loop is over what was decoded of it, which may be
    nothing. Headers that are not ASCII never come this far."""
    whole = given.isascii() and len(given) == len(right)
    return whole and _up_to_the_shorter(right, _hex_of_node(given))


def as_text(right: bytes, given: bytes) -> bool:
    """hmac.compare_digest raises TypeError for str that is not ASCII."""
    return hmac.compare_digest(right.decode(), given.decode("latin-1"))


def _error_ignored(right: bytes, given: bytes) -> bool:
    try:
        return as_text(right, given)
    except TypeError:
        return True


FORGED = (
    Faulty(
        "never-verifies",
        "never looks at the signature",
        rule(
            *("wrong-secret", "tampered-body", "tampered-timestamp", "missing-signature"),
            *("missing-timestamp", "missing-both", "empty-signature", "truncated", "one-character"),
            *("overlong", "non-hex", "non-ascii", "other-message", "known-id", "equal-meaning"),
        ),
        ReceiverBehaviour(authenticate=lambda headers, body, signer, now: None),
    ),
    Faulty(
        "looks-at-the-form-only",
        "takes any signature of 64 hex digits",
        rule(
            *("wrong-secret", "tampered-body", "tampered-timestamp", "one-character"),
            *("other-message", "known-id", "equal-meaning"),
        ),
        checking(matches=_well_formed),
    ),
    Faulty(
        "json-alone-checked",
        "checks the signature in the middleware that parses JSON, which other content types pass by",
        rule("wrong-secret"),
        ReceiverBehaviour(authenticate=_json_alone),
    ),
    Faulty(
        "second-secret",
        "takes signatures by a secret that was left in from testing, beside the configured one",
        rule("wrong-secret", "known-id"),
        ReceiverBehaviour(authenticate=_second_secret),
    ),
    Faulty(
        "timestamp-of-the-body",
        "signs the timestamp field of the body, whatever the header says",
        rule("tampered-timestamp"),
        ReceiverBehaviour(authenticate=partial(_body_stamp, fallback=False)),
    ),
    Faulty(
        "timestamp-parsed-first",
        "signs the number at the beginning of the timestamp, whatever follows it",
        rule("tampered-timestamp"),
        checking(credentials=_parsed_stamp),
    ),
    Faulty(
        "seconds-around",
        "tries the seconds around the timestamp too, against clock skew",
        rule("tampered-timestamp"),
        ReceiverBehaviour(authenticate=_with_skew),
    ),
    Faulty(
        "unsigned-let-through",
        "checks the signature only when there is one",
        rule("missing-signature"),
        ReceiverBehaviour(
            authenticate=partial(
                _unless, skip=lambda stamp, sign: sign is None and stamp is not None
            )
        ),
    ),
    Faulty(
        "timestamp-falls-back",
        "takes the timestamp from the body when its header is absent",
        rule("missing-timestamp"),
        ReceiverBehaviour(authenticate=partial(_body_stamp, fallback=True)),
    ),
    Faulty(
        "no-headers-no-check",
        "takes a request with neither header for one from within its own network",
        rule("missing-both"),
        ReceiverBehaviour(
            authenticate=partial(_unless, skip=lambda stamp, sign: stamp is sign is None)
        ),
    ),
    Faulty(
        "empty-signature-unchecked",
        "refuses an absent signature header, and compares the signature only when it is truthy",
        rule("empty-signature"),
        ReceiverBehaviour(authenticate=partial(_unless, skip=lambda stamp, sign: sign == b"")),
    ),
    Faulty(
        "compares-up-to-the-shorter",
        "compares as many characters as the shorter signature has, as a loop over zip() does",
        rule("truncated", "overlong"),
        checking(matches=_up_to_the_shorter),
    ),
    Faulty(
        "half-a-signature-will-do",
        "takes the first 32 digits or more of the signature for the whole of it",
        rule("truncated"),
        checking(matches=_shortened),
    ),
    Faulty(
        "last-character-left-out",
        "compares all characters but the last",
        rule("one-character"),
        checking(matches=partial(_part, kept=slice(None, -1))),
    ),
    Faulty(
        "first-character-left-out",
        "compares all characters but the first",
        rule("one-character"),
        checking(matches=partial(_part, kept=slice(1, None))),
    ),
    Faulty(
        "rest-ignored",
        "compares the first 64 characters and ignores what follows",
        rule("overlong"),
        checking(matches=lambda right, given: given.startswith(right)),
    ),
    Faulty(
        "hex-decoded-with-a-tail",
        "decodes the signature as Node does, and does not see what follows its hex digits",
        rule("overlong"),
        checking(matches=_decoded),
    ),
    Faulty(
        "hex-decoded-to-nothing",
        "decodes the signature as Node does, and compares as many bytes as it got",
        rule("non-hex"),
        checking(matches=_decoded_in_a_loop),
    ),
    Faulty(
        "failed-compare-ignored",
        "logs an exception of the comparison and goes on",
        rule("non-ascii"),
        checking(matches=_error_ignored),
    ),
    Faulty(
        "signature-checked-once",
        "does not check a signature again that was right before, whatever it comes with",
        rule("other-message"),
        _checked_once,
    ),
    Faulty(
        "old-dropped-as-received",
        "answers 200 to timestamps more than a day old, and drops them, before the check",
        rule("moved-digit"),
        ReceiverBehaviour(authenticate=_old_dropped),
    ),
    Faulty(
        "known-ids-before-the-check",
        "answers 200 to a known msgId before the signature is checked",
        rule("known-id"),
        _known_first,
    ),
)
