"""Runs for pytest: one for each target and file, on a thread of its own, waited for case by case."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from conformance import dialect as dialects
from conformance.demo import reference_receiver
from conformance.dialect import Secret
from conformance.engine.options import Options, read_header, read_secret, read_seed
from conformance.engine.run import Key, Run
from conformance.errors import HarnessError, InputError
from conformance.pytest_plugin.target import LINES, SEED, Target
from conformance.render.files import Files
from conformance.report import Report, Result
from conformance.scenario import built_in, select

RENAMED = {"--seed:": "--hookproof-seed:", "--trace:": "--hookproof-trace:"}
"""Options that have another name in pytest, which keeps the short one for itself."""

OF_THE_TARGET = ("--secret", "--observer-url", "--restart-command", "--also-url", "--dialect")
"""The options that describe the receiver at --endpoint, and are about nothing without it."""

Runs = dict[tuple[Target, str | None, Path | None], "TargetRun"]
RUNS = pytest.StashKey[Runs]()


class TargetRun:
    """One run that has been started, of what `name` says. `trace` is where its exchanges go."""

    def __init__(self, name: str, options: Options, trace: Path | None) -> None:
        self._name = name
        self._options = options
        self._run = Run(options, self._tell)
        self._trace = trace
        self._results: dict[Key, Result] = {}
        self._told = {key: threading.Event() for key in self._run.keys}
        self._thread = ExitStack()
        loop = self._thread.enter_context(loop_thread())
        self._report: Future[Report] = asyncio.run_coroutine_threadsafe(self._run.report(), loop)
        self._report.add_done_callback(self._release)

    def _tell(self, result: Result) -> None:
        key = result.rule.id, result.case
        self._results[key] = result
        self._told[key].set()

    def _release(self, report: Future[Report]) -> None:
        for told in self._told.values():
            told.set()

    def result(self, key: Key) -> Result:
        """The result for one case, once it is there. Raises HarnessError when the run broke down."""
        self._told[key].wait()
        if key not in self._results:
            fault = self._report.exception()
            raise HarnessError("the run broke down") from fault
        return self._results[key]

    def wait(self) -> None:
        """Wait until the run has ended."""
        wait([self._report])

    def stop(self) -> list[str]:
        """End the run, at once when nobody waits for the rest, and tell of it in lines."""
        report = None
        if self._trace is not None or all(told.is_set() for told in self._told.values()):
            report = self._report.result() if self._report.exception() is None else None
        self._thread.close()
        dialect, seed = self._options.dialect.name, self._options.seed
        lines = [f"{self._name}: dialect {dialect}, seed {seed}"]
        if report is None:
            return lines
        if report.cause:
            lines.append(report.cause.en)
        if self._trace is not None:
            try:
                Files(trace=self._trace).write(report)
                lines.append(f"its exchanges: {self._trace}")
            except InputError as fault:
                lines.append(_renamed(fault))
        return lines


def run_for(
    session: pytest.Session,
    target: Target,
    observer: str | None,
    file: Path | None,
    rules: tuple[str, ...],
) -> TargetRun:
    """The run of the built-in rules, or of those in `file`, against `target`. Started on first need,
    with `rules` alone; ends with the session. Raises InputError."""
    runs = session.config.stash.setdefault(RUNS, {})
    key = target, observer, file
    if key not in runs:
        option = session.config.option
        options = _options(
            target,
            observer,
            rules=rules,
            strict=option.hookproof_strict,
            seed=session.config.stash[SEED],
            scenario_files=(file,) if file is not None else (),
        )
        trace: Path | None = option.hookproof_trace
        if trace is not None and runs:
            trace = trace.with_name(f"{trace.stem}-{len(runs) + 1}{trace.suffix}")
        name = target.called or target.url
        # Two at once would disturb each other, the rules that want the target alone above all.
        for other in runs.values():
            other.wait()
        run = TargetRun(name if file is None else f"{name} by {file.name}", options, trace)
        runs[key] = run
        # Fixtures of the session that were set up before, the target's among them, outlive the run.
        session.addfinalizer(lambda: session.config.stash[LINES].extend(run.stop()))
    return runs[key]


def _options(target: Target, observer: str | None, **more: Any) -> Options:
    if not isinstance(target, Target):
        raise InputError(
            "the fixture hookproof_receiver must give a Target (see conformance.pytest_plugin.target), "
            f"not a {type(target).__name__}"
        )
    return Options(
        url=target.url,
        secret=Secret(target.secret)
        if isinstance(target.secret, bytes)
        else read_secret(target.secret),
        dialect=dialects.load(target.dialect),
        observer_url=observer,
        restart_command=target.restart_command,
        also_url=target.also_url,
        headers=tuple(read_header(line) for line in target.headers),
        ca=target.ca,
        **more,
    )


def given_target(config: pytest.Config) -> Target | None:
    """The receiver at --endpoint, if one is given. Raises UsageError for options that lack another."""
    option = config.option
    if option.hookproof_endpoint is None:
        lonely = [name for name in OF_THE_TARGET if config.getoption(name) is not None]
        if lonely:
            raise pytest.UsageError(f"{lonely[0]}: give --endpoint URL too, which it is about")
        return None
    if option.hookproof_secret is None:
        raise pytest.UsageError(
            "--endpoint: give --secret too; as it is, or as env:NAME, file:PATH"
        )
    return Target(
        url=option.hookproof_endpoint,
        secret=option.hookproof_secret,
        dialect=option.hookproof_dialect or "guide",
        observer_url=option.hookproof_observer_url,
        also_url=option.hookproof_also_url,
        restart_command=option.hookproof_restart_command,
    )


def check_options(config: pytest.Config) -> int:
    """Look at what was given on the command line; the seed that it stands for. Raises UsageError."""
    option = config.option
    seed: str | None = option.hookproof_seed
    try:
        select(built_in("receiver"), option.hookproof_rules)
        Files(trace=option.hookproof_trace).check()
        target = given_target(config)
        if target is not None:
            _options(target, target.observer_url)
        return read_seed("1" if seed is None else seed)
    except InputError as fault:
        raise pytest.UsageError(_renamed(fault)) from None


def _renamed(fault: InputError) -> str:
    text = str(fault)
    for short, ours in RENAMED.items():
        text = ours + text.removeprefix(short) if text.startswith(short) else text
    return text


@contextmanager
def embedded() -> Iterator[Target]:
    """The reference receiver, served on a thread of its own."""
    with loop_thread() as loop:
        stack = AsyncExitStack()
        served = stack.enter_async_context(reference_receiver())
        options = asyncio.run_coroutine_threadsafe(served, loop).result()
        try:
            yield Target(
                url=options.url,
                secret=options.secret,
                observer_url=options.observer_url,
                called="the embedded reference receiver (no --endpoint)",
            )
        finally:
            asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result()


@contextmanager
def loop_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs on a thread of its own. Leaving cancels what still runs there, and waits."""
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
