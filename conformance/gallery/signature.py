"""Receivers that take what nobody signed, refuse what was signed well, or break over a signature.
Rules: receiver.signature.*

Three rules have no peer of their own, by nature. Whoever takes a signature by another secret takes it
with a known msgId as well (known-id). Whoever takes a tampered body, or the signature of a message that
was never sent, cannot have compared it with anything, and takes other well-formed signatures too.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import web

from conformance.damage import WRONG_SECRET, Signer
from conformance.dialect import Dialect, Secret, parse_template
from conformance.exchange import Headers
from conformance.forms import FORMS
from conformance.gallery.peer import Faulty
from conformance.receiver import policy
from conformance.receiver.policy import Answer, Policy, authenticate

_DAY = 86400


def _checking(**parts: Any) -> Policy:
    """The correct receiver with other parts of `authenticate`."""
    return Policy(authenticate=partial(authenticate, **parts))


def _header(headers: Headers, name: str) -> bytes | None:
    wanted = name.lower().encode()
    return next((value for key, value in headers if key.lower() == wanted), None)


def _both(headers: Headers, dialect: Dialect) -> tuple[bytes | None, bytes | None]:
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
) -> Answer | None:
    """No check when `skip` says so of the two headers."""
    if skip(*_both(headers, signer.dialect)):
        return None
    return authenticate(headers, body, signer, now)


def _second_secret(headers: Headers, body: bytes, signer: Signer, now: float) -> Answer | None:
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
) -> Answer | None:
    """The timestamp of the body: as a `fallback` for an absent header, or always, for a header that
    must be there."""
    absent = _header(headers, signer.dialect.timestamp_header) is None
    if absent == fallback:
        headers = _stamped(headers, signer.dialect, _parsed(body).get("timestamp"))
    return authenticate(headers, body, signer, now)


def _parsed_stamp(headers: Headers, dialect: Dialect) -> tuple[bytes, bytes] | Answer:
    """parseInt() and its like read the digits at the beginning."""
    given = policy.credentials(headers, dialect)
    if isinstance(given, Answer):
        return given
    digits = re.match(rb"[0-9]*", given[0])
    return digits[0] if digits else b"", given[1]


def _with_skew(headers: Headers, body: bytes, signer: Signer, now: float) -> Answer | None:
    refusal = authenticate(headers, body, signer, now)
    stamp = _header(headers, signer.dialect.timestamp_header) or b""
    for drift in (-1, 1) if refusal and stamp.isdigit() else ():
        near = _stamped(headers, signer.dialect, int(stamp) + drift)
        refusal = refusal and authenticate(near, body, signer, now)
    return refusal


def _checked_once() -> Policy:
    """A cache of signatures that were right; it does not hold what they were right for."""
    right: set[bytes | None] = set()

    def check(headers: Headers, body: bytes, signer: Signer, now: float) -> Answer | None:
        signature = _header(headers, signer.dialect.signature_header)
        if signature in right:
            return None
        refusal = authenticate(headers, body, signer, now)
        if refusal is None:
            right.add(signature)
        return refusal

    return Policy(authenticate=check)


def _known_first() -> Policy:
    """Dedup in a middleware in front of the check; it remembers what the check let through."""
    known: set[object] = set()

    def check(headers: Headers, body: bytes, signer: Signer, now: float) -> Answer | None:
        msg_id = _parsed(body).get("msgId")
        if isinstance(msg_id, str) and msg_id in known:
            return Answer(200, "duplicate")
        refusal = authenticate(headers, body, signer, now)
        if refusal is None and isinstance(msg_id, str):
            known.add(msg_id)
        return refusal

    return Policy(authenticate=check)


def _old_dropped(headers: Headers, body: bytes, signer: Signer, now: float) -> Answer | None:
    stamp = _header(headers, signer.dialect.timestamp_header) or b""
    if stamp.isdigit() and now - int(stamp[:20]) > _DAY:
        return Answer(200, "too old")
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


def _as_text(right: bytes, given: bytes) -> bool:
    """hmac.compare_digest raises TypeError for str that is not ASCII."""
    return hmac.compare_digest(right.decode(), given.decode("latin-1"))


def _error_ignored(right: bytes, given: bytes) -> bool:
    try:
        return _as_text(right, given)
    except TypeError:
        return True


def _as_timing_safe_equal(right: bytes, given: bytes) -> bool:
    if len(right) != len(given):
        raise ValueError("Input buffers must have the same byte length")
    return hmac.compare_digest(right, given)


def _present(headers: Headers, dialect: Dialect) -> tuple[bytes, bytes] | Answer:
    """request.headers[name], which raises KeyError."""
    if None in _both(headers, dialect):
        raise KeyError(dialect.signature_header)
    return policy.credentials(headers, dialect)


def _spelled(headers: Headers, dialect: Dialect, *, ways: tuple[str, ...]) -> Any:
    """A plain map of the names as they came, looked into by some spellings."""
    known = [(name, value) for name, value in headers if name.decode() in ways]
    return policy.credentials(tuple(known), dialect)


def _rewritten(body: bytes, *, form: str) -> bytes:
    try:
        return FORMS[form](json.loads(body))
    except (ValueError, RecursionError):
        return body


def _either(headers: Headers, body: bytes, signer: Signer, now: float) -> Answer | None:
    """Somebody's repair: the raw body was added, and the old way kept."""
    refusal = authenticate(headers, body, signer, now)
    signed = partial(_rewritten, form="compact")
    return refusal and authenticate(headers, body, signer, now, signed=signed)


async def _received(request: web.Request, *, change: Callable[[bytes], bytes]) -> bytes | Answer:
    body = await policy.receive(request)
    return body if isinstance(body, Answer) else change(body)


def _forged(answer: Answer) -> bool:
    """Refused for its signature, and not for a timestamp that was signed well."""
    return answer.status == 401 and "signature" in (answer.message or "").lower()


async def _hang_up(request: web.Request, answer: Answer) -> web.StreamResponse:
    if _forged(answer) and request.transport is not None:
        request.transport.close()
    return await policy.respond(request, answer)


async def _to_login(request: web.Request, answer: Answer) -> web.StreamResponse:
    login = Answer(302, None, (("Location", "/login"),))
    return await policy.respond(request, login if _forged(answer) else answer)


def _as_date(
    timestamp: bytes, now: float, dialect: Dialect, tolerance: float, *, guarded: bool
) -> Answer | None:
    """A date made of the timestamp: int() raises ValueError for text, and is `guarded` or not;
    fromtimestamp() does for milliseconds, since no such year can be written."""
    try:
        seconds = int(timestamp)
    except ValueError:
        if guarded:
            return Answer(401, "the timestamp is not a number")
        raise
    age = now - datetime.fromtimestamp(seconds, UTC).timestamp()
    return Answer(401, "the timestamp is too far off") if abs(age) > tolerance else None


def _speaking(
    headers: Headers, body: bytes, signer: Signer, now: float, **parts: Any
) -> Answer | None:
    return authenticate(
        headers, body, replace(signer, dialect=replace(signer.dialect, **parts)), now
    )


def _rule(*names: str) -> tuple[str, ...]:
    return tuple(f"receiver.signature.{name}" for name in names)


SIGNATURE = (
    Faulty(
        "never-verifies",
        "never looks at the signature",
        _rule(
            *("wrong-secret", "tampered-body", "tampered-timestamp", "missing-signature"),
            *("missing-timestamp", "missing-both", "empty-signature", "truncated", "one-character"),
            *("overlong", "non-hex", "non-ascii", "other-message", "known-id", "equal-meaning"),
        ),
        Policy(authenticate=lambda headers, body, signer, now: None),
    ),
    Faulty(
        "looks-at-the-form-only",
        "takes any signature of 64 hex digits",
        _rule(
            *("wrong-secret", "tampered-body", "tampered-timestamp", "one-character"),
            *("other-message", "known-id", "equal-meaning"),
        ),
        _checking(matches=_well_formed),
    ),
    Faulty(
        "second-secret",
        "takes signatures by a secret that was left in from testing, beside the configured one",
        _rule("wrong-secret", "known-id"),
        Policy(authenticate=_second_secret),
    ),
    Faulty(
        "timestamp-of-the-body",
        "signs the timestamp field of the body, whatever the header says",
        _rule("tampered-timestamp"),
        Policy(authenticate=partial(_body_stamp, fallback=False)),
    ),
    Faulty(
        "timestamp-parsed-first",
        "signs the number at the beginning of the timestamp, whatever follows it",
        _rule("tampered-timestamp"),
        _checking(credentials=_parsed_stamp),
    ),
    Faulty(
        "seconds-around",
        "tries the seconds around the timestamp too, against clock skew",
        _rule("tampered-timestamp"),
        Policy(authenticate=_with_skew),
    ),
    Faulty(
        "unsigned-let-through",
        "checks the signature only when there is one",
        _rule("missing-signature"),
        Policy(authenticate=partial(_unless, skip=lambda stamp, sign: sign is None is not stamp)),
    ),
    Faulty(
        "timestamp-falls-back",
        "takes the timestamp from the body when its header is absent",
        _rule("missing-timestamp"),
        Policy(authenticate=partial(_body_stamp, fallback=True)),
    ),
    Faulty(
        "no-headers-no-check",
        "takes a request with neither header for one from within its own network",
        _rule("missing-both"),
        Policy(authenticate=partial(_unless, skip=lambda stamp, sign: stamp is sign is None)),
    ),
    Faulty(
        "empty-signature-unchecked",
        "refuses an absent signature header, and compares the signature only when it is truthy",
        _rule("empty-signature"),
        Policy(authenticate=partial(_unless, skip=lambda stamp, sign: sign == b"")),
    ),
    Faulty(
        "compares-up-to-the-shorter",
        "compares as many characters as the shorter signature has, as a loop over zip() does",
        _rule("truncated", "overlong"),
        _checking(matches=_up_to_the_shorter),
    ),
    Faulty(
        "half-a-signature-will-do",
        "takes the first 32 digits or more of the signature for the whole of it",
        _rule("truncated"),
        _checking(matches=_shortened),
    ),
    Faulty(
        "last-character-left-out",
        "compares all characters but the last",
        _rule("one-character"),
        _checking(matches=partial(_part, kept=slice(None, -1))),
    ),
    Faulty(
        "first-character-left-out",
        "compares all characters but the first",
        _rule("one-character"),
        _checking(matches=partial(_part, kept=slice(1, None))),
    ),
    Faulty(
        "rest-ignored",
        "compares the first 64 characters and ignores what follows",
        _rule("overlong"),
        _checking(matches=lambda right, given: given.startswith(right)),
    ),
    Faulty(
        "hex-decoded-with-a-tail",
        "decodes the signature as Node does, and does not see what follows its hex digits",
        _rule("overlong"),
        _checking(matches=_decoded),
    ),
    Faulty(
        "hex-decoded-to-nothing",
        "decodes the signature as Node does, and compares as many bytes as it got",
        _rule("non-hex"),
        _checking(matches=_decoded_in_a_loop),
    ),
    Faulty(
        "failed-compare-ignored",
        "logs an exception of the comparison and goes on",
        _rule("non-ascii"),
        _checking(matches=_error_ignored),
    ),
    Faulty(
        "signature-checked-once",
        "does not check a signature again that was right before, whatever it comes with",
        _rule("other-message"),
        _checked_once,
    ),
    Faulty(
        "old-dropped-as-received",
        "answers 200 to timestamps more than a day old, and drops them, before the check",
        _rule("moved-digit"),
        Policy(authenticate=_old_dropped),
    ),
    Faulty(
        "known-ids-before-the-check",
        "answers 200 to a known msgId before the signature is checked",
        _rule("known-id"),
        _known_first,
    ),
    Faulty(
        "lossy-decoding",
        "decodes the body with U+FFFD for invalid bytes, and checks and reads that text",
        _rule("equal-meaning"),
        Policy(
            receive=partial(_received, change=lambda body: body.decode("utf-8", "replace").encode())
        ),
    ),
    Faulty(
        "rewritten-json-will-do",
        "tries the signature over JSON written again when it does not fit the raw body",
        _rule("equal-meaning"),
        Policy(authenticate=_either),
    ),
    Faulty(
        "trimmed-body",
        "trims the body before it checks the signature",
        _rule("equal-meaning", "raw-bytes"),
        Policy(receive=partial(_received, change=bytes.strip)),
    ),
    Faulty(
        "compare-throws-on-non-ascii",
        "compares str, and answers 500 to a signature that is not ASCII",
        _rule("refusal-status"),
        _checking(matches=_as_text),
    ),
    Faulty(
        "compare-throws-on-length",
        "answers 500 to a signature of another length, as timingSafeEqual throws",
        _rule("refusal-status"),
        _checking(matches=_as_timing_safe_equal),
    ),
    Faulty(
        "absent-header-throws",
        "answers 500 when a header is absent",
        _rule("refusal-status"),
        _checking(credentials=_present),
    ),
    Faulty(
        "hangs-up",
        "closes the connection on a wrong signature, as nginx does for 444",
        _rule("refusal-status"),
        Policy(respond=_hang_up),
    ),
    Faulty(
        "redirects-to-login",
        "redirects a wrong signature to a login page",
        _rule("refusal-status"),
        Policy(respond=_to_login),
    ),
    Faulty(
        "json-stringify",
        "checks the signature over JSON.stringify of the parsed body",
        _rule("raw-bytes", "equal-meaning"),
        _checking(signed=partial(_rewritten, form="compact")),
    ),
    Faulty(
        "json-dumps",
        "checks the signature over json.dumps of the parsed body",
        _rule("raw-bytes", "equal-meaning"),
        _checking(signed=partial(_rewritten, form="spaced-ascii")),
    ),
    Faulty(
        "json-marshal",
        "checks the signature over what Go's encoder makes of the parsed body",
        _rule("raw-bytes", "equal-meaning"),
        _checking(signed=partial(_rewritten, form="html-escaped")),
    ),
    Faulty(
        "json-marshal-of-a-map",
        "checks the signature over what Go's encoder makes of the body parsed into a map",
        _rule("raw-bytes", "equal-meaning"),
        _checking(signed=partial(_rewritten, form="sorted-html-escaped")),
    ),
    Faulty(
        "json-encode",
        "checks the signature over PHP's json_encode of the parsed body",
        _rule("raw-bytes", "equal-meaning"),
        _checking(signed=partial(_rewritten, form="ascii-slash-escaped")),
    ),
    Faulty(
        "canonical-json",
        "checks the signature over the parsed body with its keys sorted",
        _rule("raw-bytes", "equal-meaning"),
        _checking(signed=partial(_rewritten, form="sorted-keys")),
    ),
    Faulty(
        "line-ends-translated",
        "reads the body in text mode, which turns CRLF into LF",
        _rule("raw-bytes"),
        Policy(receive=partial(_received, change=lambda body: body.replace(b"\r\n", b"\n"))),
    ),
    Faulty(
        "date-of-milliseconds",
        "makes a date of the timestamp, and answers 500 to milliseconds",
        _rule("timestamp-form"),
        _checking(fresh=partial(_as_date, guarded=True)),
    ),
    Faulty(
        "timestamp-must-parse",
        "reads the timestamp with int(), and answers 500 to what that does not take",
        _rule("timestamp-form"),
        _checking(fresh=partial(_as_date, guarded=False)),
    ),
    Faulty(
        "one-spelling-of-headers",
        "looks the headers up by the guide's spelling alone",
        _rule("header-case"),
        _checking(
            credentials=partial(_spelled, ways=("X-Webhook-Timestamp", "X-Webhook-Signature"))
        ),
    ),
    Faulty(
        "no-colon",
        "signs timestamp and body without the colon, as published clients do",
        _rule("dialect"),
        Policy(authenticate=partial(_speaking, parts=parse_template("{timestamp}{body}"))),
    ),
    Faulty(
        "dot-for-colon",
        "signs timestamp, dot and body, as Stripe does",
        _rule("dialect"),
        Policy(authenticate=partial(_speaking, parts=parse_template("{timestamp}.{body}"))),
    ),
    Faulty(
        "digest-in-base64",
        "compares with the digest in Base64",
        _rule("dialect"),
        Policy(authenticate=partial(_speaking, encoding="base64")),
    ),
    Faulty(
        "body-signed-alone",
        "signs the body alone, as GitHub does",
        _rule("dialect"),
        Policy(authenticate=partial(_speaking, parts=parse_template("{body}"))),
    ),
)
