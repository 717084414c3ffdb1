"""Whether bytes that a peer sent give a secret away, or hold it by chance. Only checks that accuse a peer
ask.
"""

from __future__ import annotations

from functools import lru_cache

from conformance.model.rules import Unjudged
from conformance.model.sentence import Sentence
from conformance.options.secrets import mask_of

SHORTEST, SHORTEST_WORD = 6, 12
"""Bytes. A shorter secret, or a shorter one of letters or of digits alone, may appear by chance."""

TOO_SHORT = Unjudged(
    "secret-too-short",
    Sentence(
        "an answer holds the secret, perhaps by chance: it is too short, or too common a word, to tell. "
        "Judge this with a longer one of letters and digits"
    ),
)


@lru_cache(maxsize=256)  # most answers are alike
def discloses(content: bytes, secret: bytes) -> bool | None:
    """Whether `content` holds the secret in any spelling; None where that may be chance."""
    spellings = {match.spelling for match in mask_of(secret).matches(content)}
    if len(secret) >= SHORTEST and any(map(is_distinctive, spellings)):
        return True
    return None if spellings else False


def is_distinctive(spelling: bytes) -> bool:
    """Whether a text has these bytes on purpose."""
    spelling = spelling.replace(b"\0", b"")  # of UTF-16
    text = spelling.decode("utf-8", "replace")
    return len(spelling) >= (SHORTEST_WORD if text.isalpha() or text.isdecimal() else SHORTEST)
