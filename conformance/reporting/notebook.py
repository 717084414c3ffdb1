"""Live progress where a notebook runs; nothing anywhere else."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from markupsafe import Markup

from conformance.model.report import Result
from conformance.model.rules import Outcome
from conformance.model.text import Text
from conformance.reporting.pages.escaped import marked
from conformance.reporting.terminal import NAMES

EVERY = 0.1
"""Seconds between two pictures: a browser need not draw each result."""
NAMED = 5

_SHOWN = (Outcome.FAIL, Outcome.ERROR, Outcome.WARN)
_PROGRESS = Markup('<progress style="width: 16em" max="{}" value="{}"></progress>')
_JUDGING, _JUDGED = Text("judging", "判定中"), Text("judged", "已判定")


@contextmanager
def live(total: int, language: str) -> Iterator[Callable[[Result], None]]:
    """Something to tell each result to: in Jupyter it moves a bar under the cell, naming what is not
    well as it comes, and leaves a line of counts behind."""
    if not _in_jupyter():
        yield lambda result: None
        return
    bar = _Bar(total, language)
    try:
        yield bar.advance
    finally:
        bar.end()


def _in_jupyter() -> bool:
    """Whether this process is the kernel of a notebook; IPython is not imported to find out."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class _Bar:
    """One display, drawn again and again."""

    def __init__(self, total: int, language: str) -> None:
        self._total, self._language = total, language
        self._seen: Counter[Outcome] = Counter()
        self._unwell: list[str] = []
        self._drawn = 0.0
        display: Any = sys.modules["IPython.display"]
        self._handle = display.display(self._picture(_JUDGING), raw=True, display_id=True)

    def advance(self, result: Result) -> None:
        self._seen[result.outcome] += 1
        if result.outcome in _SHOWN:
            self._unwell.append(f"{NAMES[result.outcome].in_(self._language)} {result.name}")
        if time.monotonic() - self._drawn >= EVERY:
            self._draw(_JUDGING)

    def end(self) -> None:
        self._draw(_JUDGED)

    def _draw(self, what: Text) -> None:
        self._drawn = time.monotonic()
        self._handle.update(self._picture(what), raw=True)

    def _picture(self, what: Text) -> dict[str, str]:
        done, doing = self._seen.total(), what is _JUDGING
        counts = ", ".join(
            f"{self._seen[each]} {NAMES[each].in_(self._language)}"
            for each in Outcome
            if self._seen[each]
        )
        said = f"{what.in_(self._language)} {done}/{self._total}"
        said += f": {counts}" if counts else ""
        pieces = [Markup("<span>{}</span>").format(said)]
        if doing:
            pieces.insert(0, _PROGRESS.format(self._total, done))
            pieces += [Markup("<br>{}").format(marked(each)) for each in self._unwell[-NAMED:]]
        return {"text/plain": said, "text/html": Markup(" ").join(pieces)}
