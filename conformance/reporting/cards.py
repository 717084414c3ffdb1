"""What a notebook shows of a single thing: a card of harmless HTML, styled in place.

It takes the ink of its page, dark or light, and knows nothing of exchanges or reports.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from conformance.reporting.pages.escaped import decoded, marked
from conformance.reporting.pages.escaped import wire as spelled

LONGEST = 2048
"""Bytes of a body that are shown."""
LONGEST_HEADER = 400

_MONO = "font-family: monospace; font-size: .9em; overflow-wrap: anywhere; white-space: pre-wrap"
_CELL = "padding: .25em .75em .25em 0; text-align: left; vertical-align: top; white-space: normal"


def wire(first: str, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Markup:
    """A request or an answer as it stood on the wire, under its `first` line."""
    lines = [Markup("<b>{}</b>").format(marked(first))]
    lines += [Markup("{}: {}").format(_header(name), _header(value)) for name, value in headers]
    if body:
        lines += [Markup(""), spelled(decoded(body, LONGEST))]
    if len(body) > LONGEST:
        lines.append(Markup("<i>… {:,} bytes</i>").format(len(body)))
    return pre(Markup("\n").join(lines))


def pre(text: Markup) -> Markup:
    """`text` with its line ends, in letters of one width."""
    return Markup('<pre style="margin: .25em 0; background: transparent; {}">{}</pre>').format(
        _MONO, text
    )


def card(title: str, rows: Iterable[tuple[str, str | None]]) -> str:
    """A heading and a table of two columns; rows without a value are left out."""
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


def _header(part: bytes) -> Markup:
    shown = spelled(decoded(part, LONGEST_HEADER), lines=False)
    return shown + ("…" if len(part) > LONGEST_HEADER else "")
