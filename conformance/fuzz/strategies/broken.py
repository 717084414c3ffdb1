"""What breaks JSON, UTF-8 or the bounds of numbers in a body. Pure: from bytes to bytes."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from conformance.model.text import Text

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+|\s+', re.DOTALL)

BROKEN: dict[str, tuple[Text, bytes | None]] = {
    "left-out": (Text("JSON that lacks a character or a value", "少了一個字符或值的 JSON"), b""),
    "doubled": (Text("JSON with a character or a value too many", "多了一個字符或值的 JSON"), None),
    "quotes": (Text("JSON with single quotes", "使用單引號的 JSON"), b"'x'"),
    "bare": (Text("JSON with a word without quotes", "字詞沒有引號的 JSON"), b"undefined"),
    "constant": (Text("NaN or Infinity in JSON", "JSON 中的 NaN 或 Infinity"), b"NaN"),
    "infinity": (Text("NaN or Infinity in JSON", "JSON 中的 NaN 或 Infinity"), b"-Infinity"),
    "python": (Text("the words of Python in JSON", "JSON 中的 Python 字詞"), b"None"),
    "zeros": (Text("JSON with a leading zero", "數字有前導零的 JSON"), b"007"),
    "plus": (Text("JSON with a number that has a plus sign", "數字帶正號的 JSON"), b"+1"),
    "hex": (Text("JSON with a hexadecimal number", "含十六進位數字的 JSON"), b"0x1F"),
    "point": (Text("JSON with a number that ends in a point", "數字以小數點結尾的 JSON"), b"1."),
    "escape": (Text("JSON with an escape that there is not", "含未定義轉義的 JSON"), b'"\\x41"'),
    "half-escape": (Text("JSON with half an escape", "轉義不完整的 JSON"), b'"\\u12"'),
    "raw-control": (Text("JSON with a raw line end in a text", "字串中有換行的 JSON"), b'"a\nb"'),
    "raw-nul": (Text("JSON with a raw NUL in a text", "字串中有 NUL 的 JSON"), b'"a\0b"'),
    "comment": (Text("JSON with a comment", "含註解的 JSON"), b"/* x */"),
    "open": (Text("JSON with a text that does not end", "字串沒有結尾的 JSON"), b'"x'),
}
"""mark → how it is called, and what stands in place of one of the body's tokens (None: it twice)."""

INVALID = (
    b"\xff",
    b"\x80",
    b"\xc3",
    b"\xc0\x80",  # NUL, written too long
    b"\xc1\xbf",
    b"\xe6\xb8",  # lacks its last byte
    b"\xed\xa0\xbd",  # half a surrogate pair
    b"\xf0\x9f\x98",
    b"\xf4\x90\x80\x80",  # beyond U+10FFFF
    b"\xfe\xff",
)
"""Bytes that stand in no UTF-8 (RFC 3629)."""

NUMBERS = (
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1" + "0" * 30,
    "1" * 400,
    "9" * 5000,  # more digits than Python reads
    "1e309",
    "-1e400",
    "1e999999999",
    "1e-999999999",
)
"""Numbers that no int64 holds, or no number of the reader's."""


def not_json(body: bytes, mark: str, at: int) -> bytes:
    """`body` with what `mark` stands for in place of its token `at`; never JSON."""
    tokens = _TOKEN.findall(body)
    at %= len(tokens)
    instead = BROKEN[mark][1]
    tokens[at] = tokens[at] * 2 if instead is None else instead
    broken: bytes = b"".join(tokens)
    # A token may have been a blank, or two make another: a comma at the end is never right.
    return broken + b"," if is_json(broken) else broken


def in_text(body: bytes, name: str, piece: bytes) -> bytes:
    """`piece` put to the front of the text in the field `name`."""
    field = re.compile(b'("%s": ?")' % name.encode())
    return field.sub(lambda found: found[0] + piece, body, count=1)


def other_number(body: bytes, name: str, number: str) -> bytes:
    """`number`, as it is written, in the field `name`."""
    field = re.compile(b'("%s": ?)-?[0-9]+' % name.encode())
    return field.sub(lambda found: found[1] + number.encode(), body, count=1)


def is_json(body: bytes) -> bool:
    """Whether `body` is JSON (RFC 8259): UTF-8, and nothing that Python alone takes."""
    try:
        json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
