"""Other ways of signing that a peer may turn out to speak, and how to say so.

Pure. A scheme is a dialect and what else an implementation may do to secret and body before it
signs: the dialects that are known, and the mistakes that are met again and again.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from conformance.model.text import Text
from conformance.protocol.dialect import Dialect, Secret, parse_template
from conformance.protocol.tampering import Signer

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
        "JSON written again without blanks (as JSON.stringify writes it)",
        "重新序列化、不帶空格的 JSON（如 JSON.stringify 的輸出）",
    ),
    "spaced": Text(
        "JSON written again with blanks after commas and colons",
        "重新序列化、逗號與冒號後帶空格的 JSON",
    ),
    "spaced-ascii": Text(
        "JSON written again with blanks and \\uXXXX escapes (Python's json.dumps as it stands)",
        "重新序列化、帶空格與 \\uXXXX 轉義的 JSON（Python json.dumps 的預設輸出）",
    ),
    "ascii-only": Text(
        "JSON written again with \\uXXXX escapes for all that is not ASCII",
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
"""form → how to name a receiver that takes the signature over that form."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way of signing: a signer, and the form in which the body is written again before signing
    (None: the bytes as sent). `said` describes what the peer signs; `decoded` is what the secret is
    decoded from first (a key of SECRETS), None where it is taken as it was given."""

    signer: Signer
    rewritten: str | None
    said: Text
    decoded: str | None = None


def others(asked: Signer, known: Iterable[Dialect]) -> Iterator[Scheme]:
    """The schemes to try when `asked` is refused: the likeliest first, each only once."""
    dialects = [each for each in known if each.name != asked.dialect.name]
    for dialect in dialects:
        said = described(dialect)
        yield Scheme(replace(asked, dialect=dialect), None, said)
    for form in REWRITTEN:
        for dialect in (asked.dialect, *dialects):
            yield Scheme(replace(asked, dialect=dialect), form, REWRITTEN[form])
    named = (asked.dialect.timestamp_header, asked.dialect.signature_header)
    covered = {
        each.string_to_sign
        for each in (asked.dialect, *dialects)
        if (each.timestamp_header, each.signature_header) == named
    }
    templates = [
        replace(asked.dialect, name=template, parts=parse_template(template))
        for template in _TEMPLATES
        if template not in covered
    ]
    for dialect in templates:
        yield Scheme(replace(asked, dialect=dialect), None, _TEMPLATES[dialect.string_to_sign])
    encoding = "base64" if asked.dialect.encoding == "hex" else "hex"
    for dialect in (asked.dialect, *dialects, *templates):
        said = described(dialect)
        turned = replace(dialect, name=f"{dialect.name} in {encoding}", encoding=encoding)
        note = Text(f", with the digest in {encoding}", f"，摘要以 {encoding} 編碼")
        yield Scheme(replace(asked, dialect=turned), None, said + note)
        for way, decode in SECRETS.items():
            key = decode(asked.secret)
            if key is not None:
                note = Text(f", with the secret decoded from {way} first", f"，密鑰先以 {way} 解碼")
                yield Scheme(Signer(dialect, Secret(key)), None, said + note, way)


def described(dialect: Dialect) -> Text:
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
"""what a secret may be decoded from → how; None for one that is no such text."""
