"""The report as one HTML page that needs nothing else, and as a table for Jupyter.

Colours and layout stand in the templates; what may be shown of a target is made in `evidence`.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from conformance import __version__
from conformance.markup import marked
from conformance.render.evidence import LONGEST_LINE, Evidence, weight
from conformance.render.terminal import NAMES
from conformance.render.words import OUTCOMES, WORDS, statement
from conformance.report import Report
from conformance.rules import Outcome
from conformance.safe import visible

ORDER = (Outcome.FAIL, Outcome.ERROR, Outcome.WARN, Outcome.NOTE, Outcome.SKIP, Outcome.PASS)
LARGEST = 480_000
"""Bytes of a page; one that is larger shows less of its exchanges."""
ROOMS = ((20, 2048), (5, 2048), (3, 1024), (2, 512), (1, 256), (0, 0))
"""(exchanges shown of a result, bytes shown of a body), the most first."""


def page(report: Report) -> str:
    """The whole report as one file: no script but the copy button, nothing from the network.

    Texts are in the report's language. A page over LARGEST bytes shows less of its exchanges.
    """
    # Escaping only adds: what is too heavy before it need not be tried.
    for most, longest in ROOMS[:-1]:
        if weight(report, most, longest) <= LARGEST:
            text = _page(report, most, longest)
            if len(text.encode()) <= LARGEST:
                return text
    return _page(report, *ROOMS[-1])


def fragment(report: Report) -> str:
    """A compact table for a notebook, styled in place: all that is not right, counts of the rest.

    Texts are in the report's language.
    """
    rows = sorted(report.results, key=lambda each: ORDER.index(each.outcome))
    template = _templates().get_template("fragment.html.j2")
    return template.render(_words(report), report=report, rows=rows, longest_line=LONGEST_LINE)


def _page(report: Report, most: int, longest: int) -> str:
    evidence = Evidence(report, most, longest)
    sections = [(outcome, evidence.by_rule(report.having(outcome))) for outcome in ORDER]
    template = _templates().get_template("report.html.j2")
    return template.render(_words(report), report=report, bars=_bars(report), sections=sections)


def _words(report: Report) -> dict[str, object]:
    """What both templates know: labels in the report's language, and counts by outcome."""
    language = report.language
    summary = report.summary()
    return {
        "w": {name: text.in_(language) for name, text in WORDS.items()},
        "outcomes": {outcome: text.in_(language) for outcome, text in OUTCOMES.items()},
        "names": {outcome: text.in_(language) for outcome, text in NAMES.items()},
        "t": lambda text: marked(text.in_(language)),
        "statement": statement(report).in_(language),
        "counts": {outcome: summary[outcome] for outcome in ORDER},
        "version": __version__,
    }


def _bars(report: Report) -> list[tuple[Outcome, float, float]]:
    """A bar of 1000 units cut by outcome: (outcome, where it starts, how wide it is)."""
    seen = [(outcome, count) for outcome in ORDER if (count := report.summary()[outcome])]
    # What is rare must still be seen, so that each part has a width of its own to begin with.
    least, gap = 8.0, 3.0
    room = 1000 - len(seen) * (least + gap) + gap
    bars, start = [], 0.0
    for outcome, count in seen:
        width = least + room * count / len(report.results)
        bars.append((outcome, round(start, 1), round(width, 1)))
        start += width + gap
    return bars


def _digest(text: str) -> str:
    """The source expression by which a Content-Security-Policy allows `text` inline."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("conformance", "render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters.update(digest=_digest, marked=marked, visible=visible)
    return templates
