"""The check that no answer reveals what only the target should know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote_to_bytes, urlsplit

from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.receiver.wording import places
from conformance.model.exchange import Answer, Exchange, Masked, Role
from conformance.model.rules import Finding, Judgement, Level, held
from conformance.model.sentence import Sentence
from conformance.options.secrets import is_distinctive
from conformance.protocol.dialect import sign
from conformance.protocol.encodings import in_json

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
    answered = [each for each in over if each.answer is not None and each.role is not Role.OBSERVE]
    for exchange in answered:
        leak = _leak(exchange, profile)
        if leak is not None:
            place = places([exchange])
            message = Sentence("an answer holds ") + leak
            return [
                Finding(
                    level, "leak", message + Sentence(" ({place})", place=place), (exchange.id,)
                )
            ]
    return [held(level, answered)]


def _leak(exchange: Exchange, profile: ReceiverProfile) -> Sentence | None:
    """What the answer reveals, or None."""
    signer, text = profile.scheme.signer, _text(exchange.answer)
    if Masked.SECRET in exchange.masked or (
        is_distinctive(signer.secret)
        and any(encoded in text for encoded in in_json(bytes(signer.secret)))
    ):
        return Sentence("the secret")
    sent = _sent(exchange)
    signing = exchange.signing
    if signing is not None and not signing.authentic:
        stamp = exchange.header(signer.dialect.timestamp_header.encode()) or b""
        right = sign(signer.dialect, signer.secret, stamp, exchange.request.body)
        if right in text and right not in sent:
            return Sentence("the signature that would have been right")
    return next((leak for leak, match in _matches(text) if match not in sent), None)


@lru_cache(64)  # most answers are alike: search each once
def _matches(text: bytes) -> tuple[tuple[Sentence, bytes], ...]:
    """What the patterns find in `text`: what kind of leak it is, and the bytes."""
    matches = [(leak, pattern.search(text)) for leak, pattern in _LEAKS]
    return tuple((leak, match[0].strip()) for leak, match in matches if match is not None)


def _sent(exchange: Exchange) -> bytes:
    """Everything that the target received, so that an echo does not count as a leak."""
    request, url = exchange.request, urlsplit(exchange.request.url)
    path = url.path.encode()
    values = [value for _, value in request.headers]
    return b"\n".join([request.body, *values, path, unquote_to_bytes(path), url.query.encode()])


def _text(answer: Answer | None) -> bytes:
    """Header values and body as one text; a compressed body is unpacked."""
    if answer is None:
        return b""
    return b"\n".join([*(value for _, value in answer.headers), answer.unpacked])
