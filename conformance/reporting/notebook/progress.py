"""Live progress of a run in a notebook, and nothing anywhere else."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from markupsafe import Markup

from conformance.engine.events import Event, Listener, RunStarted, ignore
from conformance.model.language import Language
from conformance.model.report import Report, Result
from conformance.model.rules import Outcome
from conformance.model.sentence import Sentence
from conformance.reporting.pages.escaped_text import escape_text
from conformance.reporting.terminal import NAMES

INTERVAL = 0.1
"""Seconds between two updates: a browser need not draw each result."""
MOST_LISTED = 5
"""Findings that are listed, the newest ones."""

_LISTED = (Outcome.FAIL, Outcome.ERROR, Outcome.WARN)
_PROGRESS = Markup('<progress style="width: 16em" max="{}" value="{}"></progress>')
_JUDGING, _JUDGED = Sentence("judging"), Sentence("judged")


@contextmanager
def live(language: Language) -> Iterator[Listener]:
    """A listener. In Jupyter it advances a bar under the cell, lists failures, errors and warnings as they
    come, and leaves a line of counts."""
    if not _in_jupyter():
        yield ignore
        return
    bar = _Bar(language)
    try:
        yield bar.listen
    finally:
        bar.end()


def _in_jupyter() -> bool:
    """Whether this process is the kernel of a notebook; IPython is not imported to find out."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class _Bar:
    """A display that is updated in place."""

    def __init__(self, language: Language) -> None:
        self._total, self._language = 0, language
        self._counts: Counter[Outcome] = Counter()
        self._findings: list[str] = []
        self._last_update = 0.0
        self._handle: Any = None

    def listen(self, event: Event) -> None:
        match event:
            case RunStarted(keys):
                self._total = len(keys)
                display: Any = sys.modules["IPython.display"]
                self._handle = display.display(self._content(_JUDGING), raw=True, display_id=True)
            case Result():
                self._advance(event)
            case Report():
                self.end()

    def _advance(self, result: Result) -> None:
        self._counts[result.outcome] += 1
        if result.outcome in _LISTED:
            self._findings.append(f"{NAMES[result.outcome].in_(self._language)} {result.name}")
        if time.monotonic() - self._last_update >= INTERVAL:
            self._update(_JUDGING)

    def end(self) -> None:
        """Leave the counts alone: the run is over, or cancelled."""
        if self._handle is not None:
            self._update(_JUDGED)
            self._handle = None

    def _update(self, state: Sentence) -> None:
        self._last_update = time.monotonic()
        self._handle.update(self._content(state), raw=True)

    def _content(self, state: Sentence) -> dict[str, str]:
        done, judging = self._counts.total(), state is _JUDGING
        counts = ", ".join(
            f"{self._counts[outcome]} {NAMES[outcome].in_(self._language)}"
            for outcome in Outcome
            if self._counts[outcome]
        )
        text = f"{state.in_(self._language)} {done}/{self._total}"
        text += f": {counts}" if counts else ""
        pieces = [Markup("<span>{}</span>").format(text)]
        if judging:
            pieces.insert(0, _PROGRESS.format(self._total, done))
            pieces += [
                Markup("<br>{}").format(escape_text(line)) for line in self._findings[-MOST_LISTED:]
            ]
        return {"text/plain": text, "text/html": Markup(" ").join(pieces)}
