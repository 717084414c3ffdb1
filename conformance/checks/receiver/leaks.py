"""The check that no answer reveals what only the target should know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from urllib.parse import unquote_to_bytes, urlsplit

from conformance.checks.disclosure import TOO_SHORT, discloses, is_distinctive
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.receiver.wording import places
from conformance.model.exchange import Exchange, Masked, Role
from conformance.model.rules import Finding, Judgement, Level, held
from conformance.model.sentence import Sentence
from conformance.protocol.dialect import sign
from conformance.trace.masking import differs_from_signed

# Every repetition is bounded: searching an answer of nothing but spaces must not take long.
_CODE = rb"(?:py|js|mjs|cjs|ts|go|php|rb|java|kt|cs|rs|ex)"
_ROOTS = rb"/(?:home|var|usr|srv|app|opt|root|Users|tmp|mnt|private)/"
_PATTERNS = [
    (Sentence("a Python traceback"), rb"Traceback \(most recent call last\)"),
    (Sentence("a stack trace"), rb"\n[ \t]{1,64}at [^\n]{1,200}:\d+:?\d*\)?"),
    (
        Sentence("a stack trace"),
        rb"(?:<br>|\\n)(?:\s|&nbsp;|\\t){0,64}at [^\n<]{1,200}?:\d+",
    ),
    (Sentence("a stack trace"), rb"goroutine \d+ \[running\]"),
    (
        Sentence("a file path"),
        rb"(?<![\w./:=\"'-])" + _ROOTS + rb"[\w.@+-]{1,80}(?:/[\w.@+-]{1,80}){0,20}\.\w{1,8}\b",
    ),
    (
        Sentence("a file path"),
        rb"(?<![\w./:=-])(?:/[\w.@+-]{1,80}){2,20}\." + _CODE + rb"(?::\d+|\"?,? (?:on )?line \d+)",
    ),
    (
        Sentence("a file path"),
        rb"\b[A-Za-z]:\\{1,2}(?:[\w .@+-]{1,80}\\{1,2}){1,20}[\w.@+-]{1,80}\.\w{2,4}\b",
    ),
]
_LEAKS = [(leak, re.compile(pattern)) for leak, pattern in _PATTERNS]


def reveals_nothing(
    over: Sequence[Exchange], profile: ReceiverProfile, level: Level
) -> list[Judgement]:
    """No answer contains the secret, the right signature of a forged request, a stack trace or a path."""
    answered = [e for e in over if e.answer is not None and e.role is not Role.OBSERVE]
    unclear = []
    for exchange in answered:
        disclosed = _discloses_secret(exchange, profile.scheme.signer.secret)
        if disclosed is None:
            unclear.append(exchange.id)
        leak = Sentence("the secret") if disclosed else _leak(exchange, profile)
        if leak is not None:
            place = places([exchange])
            message = Sentence("an answer holds ") + leak
            return [
                Finding(
                    level, "leak", message + Sentence(" ({place})", place=place), (exchange.id,)
                )
            ]
    if unclear:
        return [replace(TOO_SHORT, exchanges=tuple(unclear))]
    return [held(level, answered)]


def _discloses_secret(exchange: Exchange, secret: bytes) -> bool | None:
    """Whether the answer holds the secret; None where that may be chance, or an echo of the request."""
    if Masked.SECRET in exchange.masked:
        disclosed = True if is_distinctive(secret) else None
    else:
        disclosed = discloses(_text(exchange), secret)
    if disclosed and (
        differs_from_signed(exchange) or discloses(_sent(exchange), secret) is not False
    ):
        return None
    return disclosed


def _leak(exchange: Exchange, profile: ReceiverProfile) -> Sentence | None:
    """What else the answer reveals, or None."""
    signer, signing = profile.scheme.signer, exchange.signing
    text, sent = _text(exchange), _sent(exchange)
    if signing is not None and not signing.authentic:
        stamp = exchange.header(signer.dialect.timestamp_header.encode()) or b""
        right = sign(signer.dialect, signer.secret, stamp, exchange.request.body)
        if right in text and right not in sent:
            return Sentence("the signature that would have been right")
    return next((leak for leak, match in _matches(text) if match not in sent), None)


@lru_cache(maxsize=256)  # most answers are alike
def _matches(text: bytes) -> Sequence[tuple[Sentence, bytes]]:
    """What the patterns find in `text`: what kind of leak it is, and the bytes."""
    found = ((leak, pattern.search(text)) for leak, pattern in _LEAKS)
    return [(leak, match[0].strip()) for leak, match in found if match is not None]


def _sent(exchange: Exchange) -> bytes:
    """Everything that the target received, so that an echo does not count as a leak."""
    request, url = exchange.request, urlsplit(exchange.request.url)
    path = url.path.encode()
    values = [value for _, value in request.headers]
    return b"\n".join([request.body, *values, path, unquote_to_bytes(path), url.query.encode()])


def _text(exchange: Exchange) -> bytes:
    """Headers and body of the answer as one text; a compressed body is unpacked."""
    answer = exchange.answer
    if answer is None:
        return b""
    return b"\n".join([*(piece for header in answer.headers for piece in header), answer.unpacked])
