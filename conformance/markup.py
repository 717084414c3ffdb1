"""Harmless HTML: bytes and text of anybody's making, escaped, cut and spelled out.

Whatever a target sent is hostile. Nothing leaves here but Markup, in which bytes that are no text,
and characters that would not be seen or would be obeyed, are spelled out in <i>. It knows nothing of
exchanges or reports; what is shown in a notebook is styled in place, and takes the ink of its page.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from itertools import groupby

from markupsafe import Markup, escape

from conformance.safe import visible

LONGEST = 2048
"""Bytes of a body that a notebook shows."""
LONGEST_HEADER = 400

_MONO = "font-family: monospace; font-size: .9em; overflow-wrap: anywhere; white-space: pre-wrap"
_CELL = "padding: .25em .75em .25em 0; text-align: left; vertical-align: top; white-space: normal"


def marked(text: str, keep: str = "") -> Markup:
    """`text` escaped and spelled out; line ends and tabs as well, but for those in `keep`."""
    return _marked(text, lambda char: char if char in keep else _spelled(char))


def as_text(body: bytes, longest: int, keep: str = "\n\t") -> Markup:
    """The first `longest` bytes as text; those that are no UTF-8 are spelled out as `\\xff`."""
    decoder = getincrementaldecoder("utf-8")("surrogateescape")
    text = decoder.decode(body[:longest], final=len(body) <= longest)

    def spell(char: str) -> str:
        # UTF-8 holds no surrogates: each one stands for a byte that is no text.
        if "\udc80" <= char <= "\udcff":
            return f"\\x{ord(char) - 0xDC00:02x}"
        return char if char in keep else _spelled(char)

    return _marked(text, spell)


def header(part: bytes) -> Markup:
    """A header's name or value, cut where it is long."""
    return as_text(part, LONGEST_HEADER, keep="") + ("…" if len(part) > LONGEST_HEADER else "")


def wire(first: str, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Markup:
    """A request or an answer as it stood on the wire under its `first` line, for a notebook."""
    lines = [Markup("<b>{}</b>").format(marked(first))]
    lines += [Markup("{}: {}").format(header(name), header(value)) for name, value in headers]
    if body:
        lines += [Markup(""), as_text(body, LONGEST)]
    if len(body) > LONGEST:
        lines.append(Markup("<i>… {:,} bytes</i>").format(len(body)))
    return pre(Markup("\n").join(lines))


def pre(text: Markup) -> Markup:
    """`text` with its line ends, in letters of one width."""
    return Markup('<pre style="margin: .25em 0; background: transparent; {}">{}</pre>').format(
        _MONO, text
    )


def card(title: str, rows: Iterable[tuple[str, str | None]]) -> str:
    """A heading and a table of two columns, for a notebook; rows without a value are left out."""
    cells = [
        Markup(
            '<tr style="background: transparent"><td style="{0}; opacity: .75">{1}</td>'
            '<td style="{0}">{2}</td></tr>'
        ).format(_CELL, label, value if isinstance(value, Markup) else marked(value))
        for label, value in rows
        if value
    ]
    return Markup(
        '<div style="max-width: 64em; line-height: 1.5"><b>{}</b>'
        '<table style="border-collapse: collapse">{}</table></div>'
    ).format(marked(title), Markup("").join(cells))


def _marked(text: str, spell: Callable[[str], str]) -> Markup:
    pieces = []
    for hidden, run in groupby(((char, spell(char)) for char in text), lambda it: it[0] != it[1]):
        piece = "".join(spelled for _, spelled in run)
        pieces.append(_italic(piece) if hidden else escape(piece))
    return Markup("").join(pieces)


@lru_cache(1000)
def _italic(piece: str) -> Markup:
    return Markup("<i>{}</i>").format(piece)


@cache
def _spelled(char: str) -> str:
    return {"\n": "\\n", "\t": "\\t"}.get(char) or visible(char)
