"""Makes text from a target harmless to show: escapes whatever a terminal or a reader would obey."""

import re

UNSAFE = re.compile(
    # C0 except newline and tab, DEL, C1, line separators, bidi marks and overrides, BOM,
    # surrogates
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069"
    "\ufeff\ufffe\uffff\ud800-\udfff]"
)


def visible(text: str) -> str:
    """`text` with control, bidi and surrogate characters written as `\\x1b` or `\\u202e`."""
    return UNSAFE.sub(lambda match: _escape(ord(match[0])), text)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
