"""Mutations that break JSON, UTF-8 or the bounds of numbers in a body. Pure: from bytes to bytes."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from conformance.model.text import Text

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+|\s+', re.DOTALL)

BROKEN: dict[str, tuple[Text, bytes | None]] = {
    "left-out": (Text("JSON with a character or a value missing", "少了一個字符或值的 JSON"), b""),
    "doubled": (Text("JSON with a character or a value too many", "多了一個字符或值的 JSON"), None),
    "quotes": (Text("JSON with single quotes", "使用單引號的 JSON"), b"'x'"),
    "bare": (Text("JSON with an unquoted word", "字詞沒有引號的 JSON"), b"undefined"),
    "constant": (Text("NaN or Infinity in JSON", "JSON 中的 NaN 或 Infinity"), b"NaN"),
    "infinity": (Text("NaN or Infinity in JSON", "JSON 中的 NaN 或 Infinity"), b"-Infinity"),
    "python": (Text("Python keywords in JSON", "JSON 中的 Python 字詞"), b"None"),
    "zeros": (Text("JSON with a leading zero", "數字有前導零的 JSON"), b"007"),
    "plus": (Text("JSON with a plus sign before a number", "數字帶正號的 JSON"), b"+1"),
    "hex": (Text("JSON with a hexadecimal number", "含十六進位數字的 JSON"), b"0x1F"),
    "point": (Text("JSON with a number that ends in a point", "數字以小數點結尾的 JSON"), b"1."),
    "escape": (Text("JSON with an undefined escape", "含未定義轉義的 JSON"), b'"\\x41"'),
    "half-escape": (Text("JSON with an incomplete escape", "轉義不完整的 JSON"), b'"\\u12"'),
    "raw-control": (Text("JSON with a raw newline in a string", "字串中有換行的 JSON"), b'"a\nb"'),
    "raw-nul": (Text("JSON with a raw NUL in a string", "字串中有 NUL 的 JSON"), b'"a\0b"'),
    "comment": (Text("JSON with a comment", "含註解的 JSON"), b"/* x */"),
    "open": (Text("JSON with an unterminated string", "字串沒有結尾的 JSON"), b'"x'),
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
        json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
