"""Strategies for any text and any JSON value that a message may contain."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_TRICKY_NUMBERS = (
    *(0, -1, 2**31 - 1, 2**31, 2**32, -(2**31) - 1),
    *(10**12, 10**15, 2**53 + 1),  # milliseconds, microseconds, a number that a float rounds
    *(253402300800, -62135596801),  # the years 10000 and 0
    *(2**63 - 1, -(2**63)),
)
INT64 = st.one_of(st.sampled_from(_TRICKY_NUMBERS), st.integers(-(2**63), 2**63 - 1))

TRICKY = (
    "\0",
    "a\0b",
    "👩‍👩‍👧‍👦",  # joined by U+200D
    "🇹🇼👍🏽",
    "𠀋𝒳\U0010fffd",  # the planes 2, 1 and 16
    "שלום مرحبا",
    "\u202eabc\u202c\u200f\ufeff",
    "Z\u0351\u036b\u0343a\u0323\u0301",
    "각 각",  # composed and decomposed
    "\x01\x08\t\r\n\x1b[31m\x7f\x85",
    "\u2028\u2029",  # end a line in JavaScript but not in JSON
    "\ufffd",  # written by lossy decoders
    "\ufdd0\uffff\ue000",
    '"\\/\b\f',
    "<b>&amp;</b><script>",
    "'; DROP TABLE messages; --",
    "%s %n {0} {{7*7}} ${x} `x`",
    "null",
    "0e0",
    " ",
)
"""Texts that have broken software before."""

_ANY_TEXT = st.text(max_size=24)
_TRICKY_TEXT = st.lists(st.sampled_from(TRICKY), min_size=1, max_size=3).map("".join)
_UNIT = st.sampled_from(("a", "測試 ", "😀", "e\u0301", "\\u0000", "\x01")) | st.text(
    min_size=1, max_size=4
)


def texts(longest: int = 64) -> st.SearchStrategy[str]:
    """Any text of at most `longest` characters, without lone surrogates."""
    short = st.one_of(_TRICKY_TEXT, _ANY_TEXT)
    if longest < 1000:
        return short.map(lambda text: text[:longest])
    sizes = st.integers(1, longest)
    long = st.builds(lambda unit, size: (unit * (size // len(unit) + 1))[:size], _UNIT, sizes)
    return st.one_of(st.just(""), short, short, short, long)


def names(longest: int = 64) -> st.SearchStrategy[str]:
    """Any text of at most `longest` UTF-16 units, as long as an account or an id can be anywhere."""
    return texts(longest).map(lambda text: _fitting(text, longest))


def _fitting(text: str, units: int) -> str:
    return text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore")


SCALARS: st.SearchStrategy[Any] = st.one_of(
    texts(),
    INT64,
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
)
KEYS = st.one_of(
    st.sampled_from(("a", "10", "9", "", "$ref", "__proto__", "constructor", "標題", "a.b")),
    texts(24),
)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(SCALARS, st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3))


VALUES: st.SearchStrategy[Any] = _nested(_nested(_nested(SCALARS)))
"""Any JSON value, a few levels deep, with numbers that every parser accepts."""

OBJECTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(KEYS, VALUES, max_size=4)
