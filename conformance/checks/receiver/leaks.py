"""The named check that no answer gives away what only the target should know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote_to_bytes, urlsplit

from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.receiver.wording import places
from conformance.model.exchange import Answer, Exchange, Masked, Role
from conformance.model.rules import Finding, Judgement, Level
from conformance.model.text import Text
from conformance.options.secrets import is_telling
from conformance.protocol.dialect import sign
from conformance.protocol.encodings import in_json

# Every repetition is bounded: an answer of blanks alone must not take long to look through.
_CODE = rb"(?:py|js|mjs|cjs|ts|go|php|rb|java|kt|cs|rs|ex)"
_ROOTS = rb"/(?:home|var|usr|srv|app|opt|root|Users|tmp|mnt|private)/"
_PATTERNS = [
    ("a Python traceback", "Python 錯誤堆疊", rb"Traceback \(most recent call last\)"),
    ("a stack trace", "錯誤堆疊", rb"\n[ \t]{1,64}at [^\n]{1,200}:\d+:?\d*\)?"),
    (
        "a stack trace",
        "錯誤堆疊",
        rb"(?:<br>|\\n)(?:\s|&nbsp;|\\t){0,64}at [^\n<]{1,200}?:\d+",
    ),
    ("a stack trace", "錯誤堆疊", rb"goroutine \d+ \[running\]"),
    (
        "a file's path",
        "檔案路徑",
        rb"(?<![\w./:=\"'-])" + _ROOTS + rb"[\w.@+-]{1,80}(?:/[\w.@+-]{1,80}){0,20}\.\w{1,8}\b",
    ),
    (
        "a file's path",
        "檔案路徑",
        rb"(?<![\w./:=-])(?:/[\w.@+-]{1,80}){2,20}\." + _CODE + rb"(?::\d+|\"?,? (?:on )?line \d+)",
    ),
    (
        "a file's path",
        "檔案路徑",
        rb"\b[A-Za-z]:\\{1,2}(?:[\w .@+-]{1,80}\\{1,2}){1,20}[\w.@+-]{1,80}\.\w{2,4}\b",
    ),
]
_LEAKS = [(Text(en, zh), re.compile(pattern)) for en, zh, pattern in _PATTERNS]


def reveals_nothing(
    over: Sequence[Exchange], profile: ReceiverProfile, level: Level
) -> list[Judgement]:
    """No answer holds the secret, the right signature of a forged request, a trace or a path."""
    seen: dict[bytes, list[tuple[Text, bytes]]] = {}  # most answers come again and again
    for each in over:
        if each.answer is None or each.role is Role.OBSERVE:
            continue
        text = _text(each.answer)
        if text not in seen:
            seen[text] = list(_traces(text))
        leak = _leak(each, text, seen[text], profile)
        if leak is not None:
            place = places([each])
            message = Text("an answer holds ", "響應中含有") + leak
            return [Finding(level, message + Text(f" ({place})", f"（{place}）"), (each.id,))]
    return []


def _leak(
    exchange: Exchange, text: bytes, traces: Iterable[tuple[Text, bytes]], profile: ReceiverProfile
) -> Text | None:
    signer = profile.scheme.signer
    if Masked.SECRET in exchange.masked or (
        is_telling(signer.secret)
        and any(written in text for written in in_json(bytes(signer.secret)))
    ):
        return Text("the secret", "密鑰")
    sent = _sent(exchange)
    signing = exchange.signing
    if signing is not None and not signing.authentic:
        stamp = exchange.header(signer.dialect.timestamp_header.encode()) or b""
        right = sign(signer.dialect, signer.secret, stamp, exchange.request.body)
        if right in text and right not in sent:
            return Text("the signature that would have been right", "正確的簽名")
    return next((leak for leak, found in traces if found not in sent), None)


def _traces(text: bytes) -> Iterable[tuple[Text, bytes]]:
    for leak, pattern in _LEAKS:
        found = pattern.search(text)
        if found is not None:
            yield leak, found[0].strip()


def _sent(exchange: Exchange) -> bytes:
    """All that the target was given, so that an echo is no leak."""
    request, url = exchange.request, urlsplit(exchange.request.url)
    path = url.path.encode()
    values = [value for _, value in request.headers]
    return b"\n".join([request.body, *values, path, unquote_to_bytes(path), url.query.encode()])


def _text(answer: Answer) -> bytes:
    """Headers and body as text, unpacked where the body is compressed."""
    return b"\n".join([*(value for _, value in answer.headers), answer.unpacked])
