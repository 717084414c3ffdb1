"""Runs for pytest: one for each target and scenario file, on a thread of its own; items wait for their
results.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from conformance.engine.events import Event, Listener
from conformance.engine.metadata import Key
from conformance.engine.receiver.side import ReceiverSide
from conformance.engine.runner import Runner
from conformance.engine.sender.side import SenderSide
from conformance.gallery.reference import reference_receiver, reference_sender
from conformance.model.errors import HarnessError, InputError
from conformance.model.report import Report, Result
from conformance.options.receiver import Options
from conformance.options.sender import SenderOptions
from conformance.options.table import EXAMPLES, RunOptions
from conformance.pytest_plugin.command_line import message, run_options, values
from conformance.pytest_plugin.target import SenderTarget, Target
from conformance.reporting.files import Files
from hookproof_pytest import LINES

Runs = dict[tuple[Target, str | None, Path | None], "TargetRun"]
RUNS = pytest.StashKey[Runs]()
T = TypeVar("T")


class TargetRun:
    """A run in progress. `name` describes its target in the summary; its exchanges go to `trace`."""

    def __init__(self, name: str, options: RunOptions, trace: Path | None) -> None:
        self._name = name
        self._options = options
        self._runner = _runner(options, self._listen)
        self._trace = trace
        self._results: dict[Key, Result] = {}
        self._settled = {key: threading.Event() for key in self._runner.keys}
        self._thread = ExitStack()
        loop = self._thread.enter_context(loop_thread())
        self._report: Future[Report] = asyncio.run_coroutine_threadsafe(self._runner.report(), loop)
        self._report.add_done_callback(self._release)

    def _listen(self, event: Event) -> None:
        if isinstance(event, Result):
            key = event.rule.id, event.case
            self._results[key] = event
            self._settled[key].set()

    def _release(self, report: Future[Report]) -> None:
        for settled in self._settled.values():
            settled.set()

    def result(self, key: Key) -> Result:
        """The result for one case, once it is settled. Raises HarnessError if the run broke down."""
        self._settled[key].wait()
        if key not in self._results:
            fault = self._report.exception()
            raise HarnessError("the run broke down") from fault
        return self._results[key]

    def wait(self) -> None:
        """Wait until the run has ended."""
        wait([self._report])

    def stop(self, config: pytest.Config) -> list[str]:
        """End the run, and return its lines for the summary. A run without a trace whose results nobody
        waits for is cancelled."""
        report = None
        if self._trace is not None or all(settled.is_set() for settled in self._settled.values()):
            report = self._report.result() if self._report.exception() is None else None
        self._thread.close()
        dialect, seed = self._options.dialect.name, self._options.seed
        lines = [f"{self._name}: dialect {dialect}, seed {seed}"]
        if report is None:
            return lines
        if report.cause:
            lines.append(str(report.cause))
        if self._trace is not None:
            try:
                Files(trace=self._trace).write(report)
                lines.append(f"its exchanges: {self._trace}")
            except InputError as fault:
                lines.append(message(config, fault))
        return lines


def _runner(options: RunOptions, listener: Listener) -> Runner:
    if isinstance(options, SenderOptions):
        return Runner(SenderSide(options), listener)
    assert isinstance(options, Options)  # noqa: S101 - there are two kinds
    return Runner(ReceiverSide(options), listener)


def run_for(
    session: pytest.Session,
    target: Target,
    observer: str | None,
    file: Path | None,
    rules: tuple[str, ...],
) -> TargetRun:
    """The run against `target` of the built-in rules, or of those in `file`. It starts on the first call,
    with `rules` only, and ends with the session. Raises InputError."""
    config = session.config
    runs = config.stash.setdefault(RUNS, {})
    key = target, observer, file
    if key not in runs:
        more = {"rules": rules} if observer is None else {"rules": rules, "observer_url": observer}
        options = run_options(
            config,
            target,
            more,
            # Failing examples of an embedded part are not worth keeping.
            examples=EXAMPLES if target.called is None else None,
            scenario_files=(file,) if file is not None else (),
        )
        path = values(config).get("trace")
        trace = Path(path) if path is not None else None
        if trace is not None and runs:
            trace = trace.with_name(f"{trace.stem}-{len(runs) + 1}{trace.suffix}")
        name = target.called or target.url
        # Concurrent runs would disturb each other, above all the rules that need the target alone.
        for other in runs.values():
            other.wait()
        run = TargetRun(name if file is None else f"{name} by {file.name}", options, trace)
        runs[key] = run
        # Finalizers run in reverse order, so the session fixtures, such as the target, outlive the run.
        session.addfinalizer(lambda: config.stash[LINES].extend(run.stop(config)))
    return runs[key]


@contextmanager
def _serving(part: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """A reference part, on a thread of its own."""
    with loop_thread() as loop:
        stack = AsyncExitStack()
        yield asyncio.run_coroutine_threadsafe(stack.enter_async_context(part), loop).result()
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result()


@contextmanager
def embedded_receiver() -> Iterator[Target]:
    """The reference receiver."""
    with _serving(reference_receiver()) as options:
        yield Target(
            url=options.url,
            secret=options.secret,
            observer_url=options.observer_url,
            called="the embedded reference receiver (no --endpoint)",
        )


@contextmanager
def embedded_sender() -> Iterator[SenderTarget]:
    """The reference sender."""
    with _serving(reference_sender()) as options:
        yield SenderTarget(
            url=options.api_url,
            secret=options.secret,
            emit_url=options.emit_url,
            called="the embedded reference sender (no --sender-url)",
        )


EMBEDDED = {"receiver": embedded_receiver, "sender": embedded_sender}
"""Side → the part that is judged without a target."""


@contextmanager
def loop_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop on a thread of its own. Leaving cancels what still runs there, and waits for it."""
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        stop = asyncio.Event()
        ready.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="hookproof", daemon=True)
    thread.start()
    loop, stop = ready.result()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
