"""The suites from Python: awaited in a running event loop, or called from a plain script."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from dataclasses import fields
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from conformance.engine.events import Event
from conformance.engine.receiver.side import ReceiverSide
from conformance.engine.runner import Runner, Side
from conformance.engine.sender.side import SenderSide
from conformance.model.language import Language
from conformance.model.report import Report as Record
from conformance.model.report import Result
from conformance.model.sentence import Sentence
from conformance.options.receiver import Options
from conformance.options.sender import SenderOptions
from conformance.options.table import EXAMPLES, ReceiverTable, SenderTable, options
from conformance.options.values import read_options
from conformance.reporting import languages
from conformance.reporting.notebook.displays import ShownResult
from conformance.reporting.notebook.progress import live
from conformance.reporting.terminal import plain
from conformance.trace import Trace

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Report(Record):
    """A report that displays itself: as a table in Jupyter, as plain text elsewhere."""

    __slots__ = ()

    trace: Trace

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{number} {outcome}" for outcome, number in self.summary().items() if number
        )
        return f"<Report of {self.target}: {self.verdict} ({counts})>"

    def __str__(self) -> str:
        return plain(self)


def _takes(table: type) -> Callable[[F], F]:
    """Give a function with `**arguments` the signature and the description of a table's options."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        *own, _ = signature.parameters.values()
        rest = [option for option in options(table).values() if not option.argument]
        shown = [
            inspect.Parameter(
                option.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if option.required else option.default,
            )
            for option in rest
        ]
        function.__signature__ = signature.replace(parameters=[*own, *shown])  # type: ignore[attr-defined]
        lines = [f"    {option.name}: {Sentence(option.help)}" for option in rest]
        function.__doc__ = "\n".join([inspect.getdoc(function) or "", "", "Options:", *lines])
        return function

    return decorate


@_takes(ReceiverTable)
async def check_receiver(
    url: str,
    *,
    examples: str | PathLike[str] | None = EXAMPLES,
    language: str = "en",
    on_result: Callable[[Result], None] = lambda result: None,
    **arguments: Any,
) -> Report:
    """Judge the receiver at `url`, and return the report.

    `examples` is the folder in which failing examples are kept and tried first next time (None keeps
    none). `on_result` is called with each result as it comes. The other arguments are the options of
    `hookproof check receiver`; each is a text as on the command line, or data: a number, a Path, a list.

    Raises InputError for an unusable argument. Faults of the target, and rules that could not be
    judged, are in the report.
    """
    record = read_options(Options, {"url": url, **arguments}, examples=_path(examples))
    return await _report(ReceiverSide(record), languages.load(language), on_result)


@_takes(SenderTable)
async def check_sender(
    api_url: str,
    *,
    examples: str | PathLike[str] | None = EXAMPLES,
    language: str = "en",
    on_result: Callable[[Result], None] = lambda result: None,
    **arguments: Any,
) -> Report:
    """Judge the sender with the operations Config, List, Test and Update under `api_url`, and return
    the report.

    It gets its messages through `emit_url`, which takes one event as JSON, or through `emit_command`, on
    its standard input; without either only Test is judged. The other arguments are the options of
    `hookproof check sender`; the rest is as for `check_receiver`.

    Raises InputError for an unusable argument. Faults of the sender, and rules that could not be
    judged, are in the report.
    """
    record = read_options(
        SenderOptions, {"api_url": api_url, **arguments}, examples=_path(examples)
    )
    return await _report(SenderSide(record), languages.load(language), on_result)


def _path(folder: str | PathLike[str] | None) -> Path | None:
    return None if folder is None else Path(folder)


async def _report(side: Side, language: Language, on_result: Callable[[Result], None]) -> Report:
    """The report on `side`, able to display itself. A notebook shows the progress meanwhile."""
    with live(language) as advance:

        def listen(event: Event) -> None:
            advance(event)
            if isinstance(event, Result):
                on_result(event)

        record = await Runner(side, listen, language=language).report()
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    values["results"] = tuple(_shown(result, record) for result in record.results)
    return Report(**values)


def _shown(result: Result, report: Record) -> ShownResult:
    values = {field.name: getattr(result, field.name) for field in fields(result)}
    return ShownResult(**values, trace=report.trace, language=report.language)


def check_receiver_sync(url: str, **arguments: Any) -> Report:
    """`check_receiver` for scripts: takes the same arguments and waits for the report."""
    return wait_for(check_receiver(url, **arguments))


def check_sender_sync(api_url: str, **arguments: Any) -> Report:
    """`check_sender` for scripts: takes the same arguments and waits for the report."""
    return wait_for(check_sender(api_url, **arguments))


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, run on a background loop, so that this thread may have a running loop."""
    return asyncio.run_coroutine_threadsafe(work, _background()).result()


@cache
def _background() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="hookproof", daemon=True).start()
    return loop
