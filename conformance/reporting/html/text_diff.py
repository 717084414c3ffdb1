"""The differences between two texts from the wire, character by character. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

_LONGEST = 600
"""Characters between the first difference and the last; a longer stretch is one single difference."""
_SHORTEST_MATCH = 4
"""Characters; a shorter match between two differences is chance (two digests share digits)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of the later text: `same` if the earlier text has it too. `removed` is what the earlier
    text had in its place."""

    text: str
    same: bool
    removed: str = ""


def diff(before: str, after: str) -> list[Piece]:
    """`after` in pieces, compared with `before`. Equal texts are one piece."""
    start = _common_prefix(before, after)
    room = min(len(before), len(after)) - start
    end = _common_prefix(before[::-1][:room], after[::-1][:room])
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    pieces = [
        Piece(after[:start], same=True),
        *_middle(old, new),
        Piece(after[len(after) - end :], same=True),
    ]
    return [piece for piece in pieces if piece.text or piece.removed]


def _common_prefix(before: str, after: str) -> int:
    """The number of characters with which both begin."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(before), len(after)))


def _middle(old: str, new: str) -> Iterator[Piece]:
    if max(len(old), len(new)) > _LONGEST:
        yield Piece(new, same=False, removed=old)
        return
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    i = j = 0
    for match in matcher.get_matching_blocks():
        if match.size and match.size < _SHORTEST_MATCH:
            continue
        if match.a > i or match.b > j:
            yield Piece(new[j : match.b], same=False, removed=old[i : match.a])
        if match.size:
            yield Piece(new[match.b : match.b + match.size], same=True)
        i, j = match.a + match.size, match.b + match.size
