"""JSON encodings: how different encoders write the same value. A receiver must accept each of them.

An encoding turns a value into bytes. `compact` is the plain one: compact UTF-8 in the guide's field
order.
"""

import json
import re
from collections.abc import Callable
from typing import NoReturn

Encoding = Callable[[object], bytes]


def refuse_constant(name: str) -> NoReturn:
    """For `parse_constant` of a JSON parser: RFC 8259 knows no NaN and no Infinity. Raises ValueError."""
    raise ValueError(f"{name} is not a JSON number")


def compact(value: object) -> bytes:
    """No spaces, UTF-8: what JSON.stringify and most encoders write."""
    # surrogatepass, so that a lone surrogate fails at the receiver under test and not here.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def spaced(value: object) -> bytes:
    """A space after each comma and colon, UTF-8."""
    return json.dumps(value, ensure_ascii=False).encode()


def spaced_ascii(value: object) -> bytes:
    """What Python's json.dumps writes by default: spaces, and \\uXXXX escapes."""
    return json.dumps(value).encode()


def ascii_only(value: object) -> bytes:
    """Compact, with \\uXXXX for everything that is not ASCII."""
    return json.dumps(value, separators=(",", ":")).encode()


def indented(value: object) -> bytes:
    """Pretty-printed, two spaces a level."""
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


def crlf(value: object) -> bytes:
    """Pretty-printed, with CRLF line ends."""
    return indented(value).replace(b"\n", b"\r\n")


def _escape_html(text: bytes) -> bytes:
    escapes = {b"<": b"\\u003c", b">": b"\\u003e", b"&": b"\\u0026"}
    return re.sub(rb"[<>&]", lambda match: escapes[match[0]], text)


def html_escaped(value: object) -> bytes:
    """Compact, with \\u003c, \\u003e and \\u0026, as Go's encoder writes it."""
    return _escape_html(compact(value))


def slash_escaped(value: object) -> bytes:
    """Compact, with every slash written as \\/, as PHP's encoder writes it."""
    return compact(value).replace(b"/", b"\\/")


def ascii_slash_escaped(value: object) -> bytes:
    """What PHP's json_encode writes by default: \\uXXXX for everything that is not ASCII, and \\/."""
    return ascii_only(value).replace(b"/", b"\\/")


def spaces_around(value: object) -> bytes:
    """Compact, between spaces."""
    return b"  " + compact(value) + b" "


def newline_after(value: object) -> bytes:
    """Compact, with a newline at the end."""
    return compact(value) + b"\n"


def sorted_keys(value: object) -> bytes:
    """Compact, keys in alphabetical order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def sorted_html_escaped(value: object) -> bytes:
    """What Go's encoder writes for a map: keys in alphabetical order, and its HTML escapes."""
    return _escape_html(sorted_keys(value))


def reversed_keys(value: object) -> bytes:
    """Compact, keys in the reverse of the guide's order."""
    return compact(dict(reversed(value.items()))) if isinstance(value, dict) else compact(value)


ENCODINGS: dict[str, Encoding] = {
    "compact": compact,
    "spaced": spaced,
    "spaced-ascii": spaced_ascii,
    "ascii-only": ascii_only,
    "indented": indented,
    "crlf": crlf,
    "html-escaped": html_escaped,
    "slash-escaped": slash_escaped,
    "ascii-slash-escaped": ascii_slash_escaped,
    "spaces-around": spaces_around,
    "newline-after": newline_after,
    "sorted-keys": sorted_keys,
    "sorted-html-escaped": sorted_html_escaped,
    "reversed-keys": reversed_keys,
}
