"""The suites from Python: awaited in a running event loop, or called from a plain script."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import fields
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from conformance.engine.events import CaseFinished, Event
from conformance.engine.receiver.side import ReceiverSide
from conformance.engine.runner import Runner, Side
from conformance.engine.sender.side import SenderSide
from conformance.model.language import Language
from conformance.model.report import Report as Record
from conformance.model.report import Result
from conformance.options.receiver import Options, read_header
from conformance.options.run import EXAMPLES, FUZZ
from conformance.options.secrets import read_secret
from conformance.options.sender import SenderOptions, read_listen
from conformance.reporting import languages
from conformance.reporting.notebook.displays import ShownResult
from conformance.reporting.notebook.progress import live
from conformance.reporting.terminal import plain
from conformance.scenario import dialects
from conformance.trace import Trace

T = TypeVar("T")


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


async def check_receiver(  # noqa: PLR0913 - an argument for each option, until one table declares them
    url: str,
    *,
    secret: str,
    dialect: str = "guide",
    rules: str | Iterable[str] = (),
    strict: bool = False,
    seed: int = 1,
    fuzz: int = FUZZ,
    examples: str | PathLike[str] | None = EXAMPLES,
    concurrency: int = 16,
    timeout: float = 120.0,
    observer_url: str | None = None,
    restart_command: str | None = None,
    also_url: str | None = None,
    headers: Iterable[str] = (),
    ca: str | PathLike[str] | None = None,
    scenarios: Iterable[str | PathLike[str]] = (),
    language: str = "en",
    on_result: Callable[[Result], None] = lambda result: None,
) -> Report:
    """Judge the receiver at `url`, and return the report.

    `secret` may be `env:NAME` or `file:PATH`; `headers` are lines `Name: value` sent with every
    request and recorded nowhere; `scenarios` are folders of the user's own scenario files.
    `fuzz` is the number of examples for each fuzz rule (0 skips these rules); failing examples are
    kept in the folder `examples` and tried first next time (None keeps none). `timeout` is in seconds
    for the whole run. `on_result` is called with each result as it comes.

    Raises InputError for an unusable argument. Faults of the target, and rules that could not be
    judged, are in the report.
    """
    options = Options(
        url=url,
        secret=read_secret(secret),
        dialect=dialects.load(dialect),
        rules=(rules,) if isinstance(rules, str) else tuple(rules),
        strict=strict,
        seed=seed,
        fuzz=fuzz,
        examples=Path(examples) if examples is not None else None,
        concurrency=concurrency,
        timeout=timeout,
        observer_url=observer_url,
        restart_command=restart_command,
        also_url=also_url,
        headers=tuple(read_header(line) for line in headers),
        ca=Path(ca) if ca is not None else None,
        scenarios=tuple(Path(folder) for folder in scenarios),
    )
    return await _report(ReceiverSide(options), languages.load(language), on_result)


async def check_sender(  # noqa: PLR0913 - an argument for each option, until one table declares them
    api_url: str,
    *,
    secret: str,
    emit_url: str | None = None,
    emit_command: str | None = None,
    restart_command: str | None = None,
    api_key: str | None = None,
    tls_cert: str | PathLike[str] | None = None,
    tls_key: str | PathLike[str] | None = None,
    listen: str = "127.0.0.1:0",
    public_url: str | None = None,
    dialect: str = "guide",
    rules: str | Iterable[str] = (),
    strict: bool = False,
    seed: int = 1,
    concurrency: int = 16,
    timeout: float = 120.0,
    ca: str | PathLike[str] | None = None,
    scenarios: Iterable[str | PathLike[str]] = (),
    language: str = "en",
    on_result: Callable[[Result], None] = lambda result: None,
) -> Report:
    """Judge the sender with the operations Config, List, Test and Update under `api_url`, and return
    the report.

    `secret` is what it signs with. It gets its messages through `emit_url`, which takes one event as
    JSON, or through `emit_command`, on its standard input; without either only Test is judged. The mock
    receiver listens on `listen` ("HOST:PORT"), and `public_url` is how the sender reaches it. The
    rest is as for `check_receiver`.

    Raises InputError for an unusable argument. Faults of the sender, and rules that could not be
    judged, are in the report.
    """
    options = SenderOptions(
        api_url=api_url,
        secret=read_secret(secret),
        emit_url=emit_url,
        emit_command=emit_command,
        restart_command=restart_command,
        api_key=read_secret(api_key, "api_key") if api_key is not None else None,
        tls_cert=Path(tls_cert) if tls_cert is not None else None,
        tls_key=Path(tls_key) if tls_key is not None else None,
        listen=read_listen(listen),
        public_url=public_url,
        dialect=dialects.load(dialect),
        rules=(rules,) if isinstance(rules, str) else tuple(rules),
        strict=strict,
        seed=seed,
        concurrency=concurrency,
        timeout=timeout,
        ca=Path(ca) if ca is not None else None,
        scenarios=tuple(Path(folder) for folder in scenarios),
    )
    return await _report(SenderSide(options), languages.load(language), on_result)


async def _report(side: Side, language: Language, on_result: Callable[[Result], None]) -> Report:
    """The report on `side`, able to display itself. A notebook shows the progress meanwhile."""
    with live(language) as advance:

        def listen(event: Event) -> None:
            advance(event)
            if isinstance(event, CaseFinished):
                on_result(event.result)

        record = await Runner(side, listen, language=language).report()
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    values["results"] = tuple(_shown(result, record) for result in record.results)
    return Report(**values)


def _shown(result: Result, report: Record) -> ShownResult:
    values = {field.name: getattr(result, field.name) for field in fields(result)}
    return ShownResult(**values, trace=report.trace, language=report.language)


def check_receiver_sync(url: str, **options: Any) -> Report:
    """`check_receiver` for scripts: takes the same arguments and waits for the report."""
    return wait_for(check_receiver(url, **options))


def check_sender_sync(api_url: str, **options: Any) -> Report:
    """`check_sender` for scripts: takes the same arguments and waits for the report."""
    return wait_for(check_sender(api_url, **options))


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, run on a background loop, so that this thread may have a running loop."""
    return asyncio.run_coroutine_threadsafe(work, _background()).result()


@cache
def _background() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="hookproof", daemon=True).start()
    return loop
