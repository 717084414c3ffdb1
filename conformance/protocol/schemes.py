"""The signing schemes that a peer may turn out to use, and how to describe them.

Pure. A scheme is a dialect, and what an implementation does to secret and body before it signs. The
schemes are the known dialects and the mistakes that implementations often make.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from conformance.model.text import Text
from conformance.protocol.dialect import Dialect, Secret, parse_template
from conformance.protocol.signing import Signer

_TEMPLATES = {
    "{timestamp}{body}": Text(
        "timestamp and body without a separator", "時間戳與請求體直接相接，沒有分隔符"
    ),
    "{timestamp}.{body}": Text("timestamp, a dot and the body", "時間戳、一個點、請求體"),
    "{timestamp}:{body}": Text("timestamp, a colon and the body", "時間戳、冒號、請求體"),
    "{timestamp}\n{body}": Text("timestamp, a newline and the body", "時間戳、換行、請求體"),
    "{body}": Text("the body alone, without the timestamp", "只有請求體，沒有時間戳"),
    "{body}{timestamp}": Text("the body first, then the timestamp", "請求體在前，時間戳在後"),
    "{body}:{timestamp}": Text(
        "the body first, a colon, the timestamp", "請求體在前，冒號，時間戳在後"
    ),
}

REWRITTEN = {
    "compact": Text(
        "JSON written again without spaces (as JSON.stringify writes it)",
        "重新序列化、不帶空格的 JSON（如 JSON.stringify 的輸出）",
    ),
    "spaced": Text(
        "JSON written again with spaces after commas and colons",
        "重新序列化、逗號與冒號後帶空格的 JSON",
    ),
    "spaced-ascii": Text(
        "JSON written again with spaces and \\uXXXX escapes (Python's json.dumps by default)",
        "重新序列化、帶空格與 \\uXXXX 轉義的 JSON（Python json.dumps 的預設輸出）",
    ),
    "ascii-only": Text(
        "JSON written again with \\uXXXX escapes for everything that is not ASCII",
        "重新序列化、非 ASCII 字符轉為 \\uXXXX 的 JSON",
    ),
    "html-escaped": Text(
        "JSON written again with <, > and & escaped (as Go's encoder writes it)",
        "重新序列化、<、>、& 被轉義的 JSON（如 Go 編碼器的輸出）",
    ),
    "ascii-slash-escaped": Text(
        "JSON written again with \\uXXXX and \\/ escapes (as PHP's json_encode writes it)",
        "重新序列化、非 ASCII 字符與斜線被轉義的 JSON（如 PHP json_encode 的輸出）",
    ),
    "sorted-keys": Text(
        "JSON written again with its keys sorted", "重新序列化、鍵按字母排序的 JSON"
    ),
    "sorted-html-escaped": Text(
        "JSON written again with its keys sorted and <, > and & escaped (as Go writes a map)",
        "重新序列化、鍵按字母排序且 <、>、& 被轉義的 JSON（如 Go 對 map 的輸出）",
    ),
}
"""encoding → how to describe a receiver that checks the signature over that encoding."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way of signing: a signer, and the encoding in which the body is rewritten before signing (None:
    the bytes as sent). `description` says what the peer signs; empty for the requested scheme. `decoded`
    is what the secret is decoded from first (a key of SECRETS); None when it is used as it is."""

    signer: Signer
    rewritten: str | None
    description: Text
    decoded: str | None = None


def others(requested: Signer, known: Iterable[Dialect]) -> Iterator[Scheme]:
    """The schemes to try when `requested` is refused, the likeliest first and each only once."""
    dialects = [dialect for dialect in known if dialect.name != requested.dialect.name]
    for dialect in dialects:
        yield Scheme(replace(requested, dialect=dialect), None, describe_dialect(dialect))
    for encoding, description in REWRITTEN.items():
        for dialect in (requested.dialect, *dialects):
            yield Scheme(replace(requested, dialect=dialect), encoding, description)
    templates = list(_with_other_templates(requested.dialect, dialects))
    for dialect in templates:
        yield Scheme(replace(requested, dialect=dialect), None, describe_dialect(dialect))
    for dialect in (requested.dialect, *dialects, *templates):
        yield from _with_other_texts(requested, dialect)


def _with_other_templates(requested: Dialect, dialects: Iterable[Dialect]) -> Iterator[Dialect]:
    """`requested` with each common string to sign that no dialect with the same headers covers."""
    headers = (requested.timestamp_header, requested.signature_header)
    covered = {
        dialect.string_to_sign
        for dialect in (requested, *dialects)
        if (dialect.timestamp_header, dialect.signature_header) == headers
    }
    for template in _TEMPLATES:
        if template not in covered:
            yield replace(requested, name=template, parts=parse_template(template))


def _with_other_texts(requested: Signer, dialect: Dialect) -> Iterator[Scheme]:
    """`dialect` with the digest in the other encoding, and with a secret that is decoded first."""
    description = describe_dialect(dialect)
    encoding = "base64" if requested.dialect.encoding == "hex" else "hex"
    other = replace(dialect, name=f"{dialect.name} in {encoding}", encoding=encoding)
    note = Text(f", with the digest in {encoding}", f"，摘要以 {encoding} 編碼")
    yield Scheme(replace(requested, dialect=other), None, description + note)
    for source, decode in SECRETS.items():
        key = decode(requested.secret)
        if key is not None:
            note = Text(
                f", with the secret decoded from {source} first", f"，密鑰先以 {source} 解碼"
            )
            yield Scheme(Signer(dialect, Secret(key)), None, description + note, source)


def describe_dialect(dialect: Dialect) -> Text:
    """What a dialect signs, in words."""
    plain = Text(dialect.summary, dialect.summary)
    return _TEMPLATES.get(dialect.string_to_sign, plain)


def _unhex(secret: bytes) -> bytes | None:
    try:
        return bytes.fromhex(secret.decode("ascii"))
    except ValueError:
        return None


def _unbase64(secret: bytes) -> bytes | None:
    try:
        return base64.b64decode(secret + b"=" * (-len(secret) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None


SECRETS: dict[str, Callable[[bytes], bytes | None]] = {"hex": _unhex, "Base64": _unbase64}
"""what a secret may be decoded from → the decoder, which returns None for any other text."""
