"""Hostile text made harmless for a page: markup escaped, invisible characters written out.

Everything that a peer sent is hostile. Bytes that are not text, and characters that a browser would
obey or not show, are written out (`\\xff`, `\\u202e`) in <i>, so that they differ from the same
characters sent literally.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from functools import lru_cache

from markupsafe import Markup, escape

from conformance.model.escaping import UNSAFE, visible
from conformance.model.text import Statement
from conformance.reporting.languages import in_chinese, in_english

_RUN = re.compile(f"(?:{UNSAFE.pattern})+")
_RUN_OR_END = re.compile(f"(?:{UNSAFE.pattern}|[\n\t])+")
_SHORT_ESCAPES = {"\n": "\\n", "\t": "\\t"}


def decode(body: bytes, longest: int) -> str:
    """The first `longest` bytes as text. Each byte that is not UTF-8 becomes a lone surrogate; a
    character that the cut would split is left out."""
    decoder = getincrementaldecoder("utf-8")("surrogateescape")
    return decoder.decode(body[:longest], final=len(body) <= longest)


def escape_text(text: str, *, lines: bool = False) -> Markup:
    """`text` escaped, with the characters that are written out in <i>. These include line ends and
    tabs, unless `lines` keeps them."""
    return _markup(text, _write_character, lines=lines)


def both(text: Statement) -> Markup:
    """`text` in both languages, of which the page's style shows one."""
    en, zh = in_english(text), in_chinese(text)
    if en == zh:
        return escape_text(en)
    pair = Markup('<span lang="en">{}</span><span lang="zh-Hant">{}</span>')
    return pair.format(escape_text(en), escape_text(zh))


def escape_wire(text: str, *, lines: bool = True) -> Markup:
    """As `escape_text`, for the result of `decode`: a byte that is not text becomes `\\xff`."""
    return _markup(text, _write_byte, lines=lines)


def escape_runs(text: str, *, lines: bool = True) -> list[str]:
    """As `escape_wire`, for a page that builds its own nodes: plain runs and written-out runs in
    turn. The first run is plain, and may be empty."""
    runs = [""]
    for written_out, run in _runs(text, _write_byte, lines=lines):
        if written_out == (len(runs) % 2 == 0):
            runs[-1] += run
        else:
            runs.append(run)
    return runs


def _runs(text: str, write: Callable[[str], str], *, lines: bool) -> Iterator[tuple[bool, str]]:
    """`text` in runs: (whether `write` wrote it out, the run as it is shown)."""
    end = 0
    for run in (_RUN if lines else _RUN_OR_END).finditer(text):
        if run.start() > end:
            yield False, text[end : run.start()]
        yield True, "".join(map(write, run[0]))
        end = run.end()
    if end < len(text):
        yield False, text[end:]


def _markup(text: str, write: Callable[[str], str], *, lines: bool) -> Markup:
    return Markup("").join(
        _italic(run) if written_out else escape(run)
        for written_out, run in _runs(text, write, lines=lines)
    )


@lru_cache(1000)
def _italic(run: str) -> Markup:
    return Markup("<i>{}</i>").format(run)


def _write_byte(char: str) -> str:
    # UTF-8 has no surrogates, so each one stands for a byte that is not text.
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return _write_character(char)


def _write_character(char: str) -> str:
    return _SHORT_ESCAPES.get(char) or visible(char)
