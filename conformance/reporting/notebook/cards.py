"""Cards: a title and a table as escaped HTML, styled in place.

A card takes the text colour of its notebook, dark or light. Knows nothing of exchanges or reports.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from conformance.reporting.pages.escaped_text import decode, escape_text, escape_wire

LONGEST = 2048
"""Bytes of a body that are shown."""
LONGEST_HEADER = 400

_MONO = "font-family: monospace; font-size: .9em; overflow-wrap: anywhere; white-space: pre-wrap"
_CELL = "padding: .25em .75em .25em 0; text-align: left; vertical-align: top; white-space: normal"


def http_message(start_line: str, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Markup:
    """A request or an answer as it was on the wire, under its `start_line`."""
    lines = [Markup("<b>{}</b>").format(escape_text(start_line))]
    lines += [Markup("{}: {}").format(_header(name), _header(value)) for name, value in headers]
    if body:
        lines += [Markup(""), escape_wire(decode(body, LONGEST))]
    if len(body) > LONGEST:
        lines.append(Markup("<i>… {:,} bytes</i>").format(len(body)))
    return pre(Markup("\n").join(lines))


def pre(text: Markup) -> Markup:
    """`text` with its line ends, in a monospaced font."""
    return Markup('<pre style="margin: .25em 0; background: transparent; {}">{}</pre>').format(
        _MONO, text
    )


def card(title: str, rows: Iterable[tuple[str, str | None]]) -> str:
    """A title and a table of two columns; rows without a value are left out."""
    cells = [
        Markup(
            '<tr style="background: transparent"><td style="{0}; opacity: .75">{1}</td>'
            '<td style="{0}">{2}</td></tr>'
        ).format(_CELL, label, value if isinstance(value, Markup) else escape_text(value))
        for label, value in rows
        if value
    ]
    return Markup(
        '<div style="max-width: 64em; line-height: 1.5"><b>{}</b>'
        '<table style="border-collapse: collapse">{}</table></div>'
    ).format(escape_text(title), Markup("").join(cells))


def _header(part: bytes) -> Markup:
    text = escape_wire(decode(part, LONGEST_HEADER), lines=False)
    return text + ("…" if len(part) > LONGEST_HEADER else "")
