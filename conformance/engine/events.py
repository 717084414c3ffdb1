"""What a run reports while it goes on. Whoever shows it (a progress bar, the terminal, pytest, a notebook)
is a listener: one callable that takes each event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from conformance.engine.metadata import Key
from conformance.model.report import Report, Result


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run begins. `keys` are all that it will judge, in the catalogue's order."""

    keys: Sequence[Key]


Event = RunStarted | Result | Report
"""The run begins; one case is settled: each of the run's keys gets exactly one result, in any order; the run
is over: no report is sent when it is cancelled, or cannot begin."""

Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener of a run that nobody watches."""
