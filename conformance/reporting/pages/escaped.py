"""Hostile text made harmless for a page: escaped, and spelled out where it would not be seen.

Whatever a peer sent is hostile. Bytes that are no text, and characters that would be obeyed or would
leave no trace, are written out (`\\xff`, `\\u202e`) and told from the characters that spell them.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from functools import lru_cache

from markupsafe import Markup, escape

from conformance.model.escaping import UNSAFE, visible
from conformance.model.text import Text

_RUN = re.compile(f"(?:{UNSAFE.pattern})+")
_RUN_OR_END = re.compile(f"(?:{UNSAFE.pattern}|[\n\t])+")
_NAMED = {"\n": "\\n", "\t": "\\t"}


def decoded(body: bytes, longest: int) -> str:
    """The first `longest` bytes as text; each byte that is no UTF-8 is a lone surrogate, and a
    character that the cut would break is left out."""
    decoder = getincrementaldecoder("utf-8")("surrogateescape")
    return decoder.decode(body[:longest], final=len(body) <= longest)


def marked(text: str, *, lines: bool = False) -> Markup:
    """`text` escaped, with what is spelled out in <i>: line ends and tabs too, unless `lines`."""
    return _markup(text, _character, lines=lines)


def both(text: Text) -> Markup:
    """`text` in both languages, of which the page's style shows one."""
    if text.en == text.zh:
        return marked(text.en)
    pair = Markup('<span lang="en">{}</span><span lang="zh-Hant">{}</span>')
    return pair.format(marked(text.en), marked(text.zh))


def wire(text: str, *, lines: bool = True) -> Markup:
    """As `marked` for what `decoded` gave: a byte that is no text becomes `\\xff`."""
    return _markup(text, _byte, lines=lines)


def runs(text: str, *, lines: bool = True) -> list[str]:
    """As `wire`, for a page that makes its own nodes: plain and spelled runs in turn, beginning with
    a plain one, which may be empty."""
    pieces = [""]
    for spelled, piece in _pieces(text, _byte, lines=lines):
        if spelled == (len(pieces) % 2 == 0):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return pieces


def _pieces(text: str, spell: Callable[[str], str], *, lines: bool) -> Iterator[tuple[bool, str]]:
    """Runs of `text`: (whether it is spelled out, how it is written)."""
    end = 0
    for run in (_RUN if lines else _RUN_OR_END).finditer(text):
        if run.start() > end:
            yield False, text[end : run.start()]
        yield True, "".join(map(spell, run[0]))
        end = run.end()
    if end < len(text):
        yield False, text[end:]


def _markup(text: str, spell: Callable[[str], str], *, lines: bool) -> Markup:
    return Markup("").join(
        _italic(piece) if spelled else escape(piece)
        for spelled, piece in _pieces(text, spell, lines=lines)
    )


@lru_cache(1000)
def _italic(piece: str) -> Markup:
    return Markup("<i>{}</i>").format(piece)


def _byte(char: str) -> str:
    # UTF-8 holds no surrogates: each one stands for a byte that is no text.
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else _character(char)


def _character(char: str) -> str:
    return _NAMED.get(char) or visible(char)
