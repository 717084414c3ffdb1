"""What differs between two texts from the wire, character by character. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

_LONGEST = 600
"""Characters between the first difference and the last; in a longer stretch nothing is looked for."""
_ISLAND = 4
"""Characters; a shorter agreement between two differences is chance (two digests share digits)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of the later text that stands in the earlier one too (`same`), or does not. `gone` is
    what stood in the earlier text in its place."""

    text: str
    same: bool
    gone: str = ""


def changes(before: str, after: str) -> list[Piece]:
    """`after` in pieces, told by what `before` was. Both the same: one piece."""
    start = _agreement(before, after)
    room = min(len(before), len(after)) - start
    end = _agreement(before[::-1][:room], after[::-1][:room])
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    pieces = [
        Piece(after[:start], True),
        *_middle(old, new),
        Piece(after[len(after) - end :], True),
    ]
    return [each for each in pieces if each.text or each.gone]


def _agreement(before: str, after: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(before), len(after)))


def _middle(old: str, new: str) -> Iterator[Piece]:
    if max(len(old), len(new)) > _LONGEST:
        yield Piece(new, False, old)
        return
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    i = j = 0
    for match in matcher.get_matching_blocks():
        if match.size and match.size < _ISLAND:
            continue
        if match.a > i or match.b > j:
            yield Piece(new[j : match.b], False, old[i : match.a])
        if match.size:
            yield Piece(new[match.b : match.b + match.size], True)
        i, j = match.a + match.size, match.b + match.size
