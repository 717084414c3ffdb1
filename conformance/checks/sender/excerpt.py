"""Quotes values in findings: as JSON, with invisible characters escaped, and cut to what is of interest."""

from __future__ import annotations

import json
import unicodedata

LONGEST_SHOWN = 60
"""Characters of a value that are quoted."""


def visible_json(value: object) -> str:
    """`value` as JSON, with invisible characters escaped."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    return "".join(char if _is_visible(char) else json.dumps(char)[1:-1] for char in text)


def _is_visible(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] not in "CZM"


def differing(was: str, now: str) -> tuple[str, str]:
    """Both texts, cut to LONGEST_SHOWN characters around the place where they begin to differ."""
    longest = max(len(was), len(now))
    pairs = enumerate(zip(was, now, strict=False))
    same = next((n for n, (one, other) in pairs if one != other), min(len(was), len(now)))
    begin = max(0, same - LONGEST_SHOWN // 2) if longest > LONGEST_SHOWN else 0
    return _excerpt(was, begin), _excerpt(now, begin)


def _excerpt(text: str, begin: int) -> str:
    """LONGEST_SHOWN characters of `text` from `begin`, with its length where it goes on."""
    end = begin + LONGEST_SHOWN
    excerpt = ("…" if begin else "") + text[begin:end]
    return f"{excerpt}… ({len(text)})" if len(text) > end else excerpt


def short(value: object) -> str:
    return _excerpt(visible_json(value), 0)
