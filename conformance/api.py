"""Running the suites from Python: awaited in a loop that runs, or from a plain script."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import fields
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from conformance.engine.receiver.run import ReceiverRun
from conformance.engine.sender.run import SenderRun
from conformance.model.report import Report as Record
from conformance.model.report import Result
from conformance.options.receiver import Options, read_header
from conformance.options.run import EXAMPLES, FUZZ
from conformance.options.secrets import read_secret
from conformance.options.sender import SenderOptions, read_listen
from conformance.reporting.notebook.displays import ShownResult
from conformance.reporting.notebook.progress import live
from conformance.reporting.terminal import plain
from conformance.scenario import dialects
from conformance.trace import Trace

T = TypeVar("T")


class Report(Record):
    """A report that shows itself: a rich table in Jupyter, plain text elsewhere."""

    __slots__ = ()

    trace: Trace

    def __repr__(self) -> str:
        counts = ", ".join(f"{number} {each}" for each, number in self.summary().items() if number)
        return f"<Report of {self.target}: {self.verdict} ({counts})>"

    def __str__(self) -> str:
        return plain(self)


async def check_receiver(
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
    """Judge the receiver at `url`, and report.

    `secret` may be `env:NAME` or `file:PATH`; `headers` are lines `Name: value` sent with every
    request and recorded nowhere; `scenarios` are folders of the user's own scenario files.
    `fuzz` is the number of examples for each fuzz rule (0: none of these rules), and `examples` the
    folder in which those that fail are kept, to be tried first next time (None: they are not).
    `timeout` is seconds for the whole run. `on_result` is called with each result as it comes.

    Raises InputError for what cannot be used as given; what is wrong with the target, or could
    not be judged, stands in the report.
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
        scenarios=tuple(Path(each) for each in scenarios),
    )
    return await _report(ReceiverRun(options, language=language), on_result)


async def check_sender(
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
    """Judge the sender whose Config, List, Test and Update stand under `api_url`, and report.

    `secret` is what it is to sign with. Messages reach it through `emit_url`, which takes one event
    as JSON, or `emit_command`, on its standard input; without either only Test is judged. The mock
    receiver listens on `listen` ("HOST:PORT"), and `public_url` is how the sender reaches it. The
    rest is as for `check_receiver`.

    Raises InputError for what cannot be used as given; what is wrong with the sender, or could not
    be judged, stands in the report.
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
        scenarios=tuple(Path(each) for each in scenarios),
    )
    return await _report(SenderRun(options, language=language), on_result)


async def _report(run: ReceiverRun | SenderRun, on_result: Callable[[Result], None]) -> Report:
    """The report of `run`, which shows itself; in a notebook its progress shows meanwhile."""
    with live(len(run.keys), run.language) as advance:

        def told(result: Result) -> None:
            advance(result)
            on_result(result)

        run.listen(told)
        record = await run.report()
    given = {each.name: getattr(record, each.name) for each in fields(record)}
    given["results"] = tuple(_shown(each, record) for each in record.results)
    return Report(**given)


def _shown(result: Result, report: Record) -> ShownResult:
    given = {each.name: getattr(result, each.name) for each in fields(result)}
    return ShownResult(**given, trace=report.trace, language=report.language)


def check_receiver_sync(url: str, **options: Any) -> Report:
    """`check_receiver` for scripts: the same arguments, waits for the report."""
    return wait_for(check_receiver(url, **options))


def check_sender_sync(api_url: str, **options: Any) -> Report:
    """`check_sender` for scripts: the same arguments, waits for the report."""
    return wait_for(check_sender(api_url, **options))


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, run on a background loop, whether or not this thread has one running."""
    return asyncio.run_coroutine_threadsafe(work, _background()).result()


@cache
def _background() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="hookproof", daemon=True).start()
    return loop
