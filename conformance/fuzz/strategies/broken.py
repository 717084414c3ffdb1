"""Mutations that break JSON, UTF-8 or the bounds of numbers in a body. Pure: from bytes to bytes."""

from __future__ import annotations

import json
import re

from conformance.model.sentence import Sentence
from conformance.protocol.encodings import refuse_constant

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+|\s+', re.DOTALL)

BROKEN: dict[str, tuple[Sentence, bytes | None]] = {
    "left-out": (Sentence("JSON with a character or a value missing"), b""),
    "doubled": (Sentence("JSON with a character or a value too many"), None),
    "quotes": (Sentence("JSON with single quotes"), b"'x'"),
    "bare": (Sentence("JSON with an unquoted word"), b"undefined"),
    "constant": (Sentence("NaN or Infinity in JSON"), b"NaN"),
    "infinity": (Sentence("NaN or Infinity in JSON"), b"-Infinity"),
    "python": (Sentence("Python keywords in JSON"), b"None"),
    "zeros": (Sentence("JSON with a leading zero"), b"007"),
    "plus": (Sentence("JSON with a plus sign before a number"), b"+1"),
    "hex": (Sentence("JSON with a hexadecimal number"), b"0x1F"),
    "point": (Sentence("JSON with a number that ends in a point"), b"1."),
    "escape": (Sentence("JSON with an undefined escape"), b'"\\x41"'),
    "half-escape": (Sentence("JSON with an incomplete escape"), b'"\\u12"'),
    "raw-control": (Sentence("JSON with a raw newline in a string"), b'"a\nb"'),
    "raw-nul": (Sentence("JSON with a raw NUL in a string"), b'"a\0b"'),
    "comment": (Sentence("JSON with a comment"), b"/* x */"),
    "open": (Sentence("JSON with an unterminated string"), b'"x'),
}
"""mark → its description, and the replacement for one of the body's tokens (None: the token twice)."""

INVALID = (
    b"\xff",
    b"\x80",
    b"\xc3",
    b"\xc0\x80",  # an overlong NUL
    b"\xc1\xbf",
    b"\xe6\xb8",  # lacks its last byte
    b"\xed\xa0\xbd",  # half a surrogate pair
    b"\xf0\x9f\x98",
    b"\xf4\x90\x80\x80",  # beyond U+10FFFF
    b"\xfe\xff",
)
"""Bytes that never occur in UTF-8 (RFC 3629)."""

NUMBERS = (
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1" + "0" * 30,
    "1" * 400,
    "9" * 5000,  # more digits than Python parses
    "1e309",
    "-1e400",
    "1e999999999",
    "1e-999999999",
)
"""Numbers beyond the range of an int64, or of any number type of the parser."""


def not_json(body: bytes, mark: str, at: int) -> bytes:
    """`body` with its token `at` replaced as `mark` says; never JSON."""
    tokens = _TOKEN.findall(body)
    at %= len(tokens)
    replacement = BROKEN[mark][1]
    tokens[at] = tokens[at] * 2 if replacement is None else replacement
    broken: bytes = b"".join(tokens)
    # The token may have been a space, or two of them may make a third. A trailing comma is never valid.
    return broken + b"," if is_json(broken) else broken


def in_text(body: bytes, name: str, piece: bytes) -> bytes:
    """`body` with `piece` inserted at the start of the string in the field `name`."""
    field = re.compile(b'("%s": ?")' % name.encode())
    return field.sub(lambda match: match[0] + piece, body, count=1)


def other_number(body: bytes, name: str, number: str) -> bytes:
    """`body` with the literal `number` in the field `name`."""
    field = re.compile(b'("%s": ?)-?[0-9]+' % name.encode())
    return field.sub(lambda match: match[1] + number.encode(), body, count=1)


def is_json(body: bytes) -> bool:
    """Whether `body` is JSON by RFC 8259: UTF-8, without Python's extensions."""
    try:
        json.loads(body.decode(), parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True
