"""Live progress on standard error, if that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conformance.engine.events import Event, Listener, RunStarted, ignore
from conformance.model.report import Report, Result
from conformance.model.rules import Outcome

STYLES = {Outcome.FAIL: "red", Outcome.ERROR: "magenta", Outcome.WARN: "yellow"}


@contextmanager
def progress(*, quiet: bool) -> Iterator[Listener]:
    """A listener: a bar that advances with each case, and prints each failure, error and warning as it
    comes. It goes away when the run is over."""
    console = Console(stderr=True, highlight=False)
    if quiet or not console.is_terminal:
        yield ignore
        return
    with _bar(console) as bar:
        task = bar.add_task("judging", total=None)

        def advance(event: Event) -> None:
            match event:
                case RunStarted(keys):
                    bar.update(task, total=len(keys))
                case Result() as result:
                    if result.outcome in STYLES:
                        style = STYLES[result.outcome]
                        bar.console.print(f"[{style}]{result.outcome}[/] ", end="")
                        bar.console.print(result.name, markup=False)
                    bar.advance(task)
                case Report():
                    bar.stop()

        yield advance


@contextmanager
def looks() -> Iterator[Callable[[int, int], None]]:
    """A bar for the looks at peers: takes how many are done, and how many are planned so far."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda done, planned: None
        return
    with _bar(console) as bar:
        task = bar.add_task("judging", total=None)
        yield lambda done, planned: bar.update(task, completed=done, total=planned)


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=True)
