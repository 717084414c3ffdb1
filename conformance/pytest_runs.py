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
from conformance.pytest_items import RuleItem
from conformance.pytest_plugin import LINES, SEED, Target, given_target
from conformance.render.files import Files
from conformance.safe import visible
from conformance.report import Report, Result
from conformance.rules import Outcome
from conformance.scenario import built_in, select

RENAMED = {"--seed:": "--hookproof-seed:", "--trace:": "--hookproof-trace:"}
"""Options that have another name in pytest, which keeps the short one for itself."""

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


def judged(item: RuleItem, target: Target, observer: str | None) -> Result:
    """The result for `item`, waited for. Ends the item's set-up when there is none to conclude from:
    in an error, so that what could not be judged is no failure, or in a skip."""
    try:
        result = _run_for(item, target, observer).result(item.key)
    except InputError as fault:
        pytest.fail(str(fault), pytrace=False)
    if result.outcome is Outcome.ERROR:
        pytest.fail(visible(result.message.en), pytrace=False)
    if result.outcome is Outcome.SKIP:
        pytest.skip(visible(result.message.en))
    if result.outcome is Outcome.NOTE:
        item.config.stash[LINES].append(f"note: {result.name}: {visible(result.message.en)}")
    return result


def _rules_beside(item: RuleItem) -> tuple[str, ...]:
    """The rules that share a run with `item`: those of its file of which a case was selected."""
    rules = [
        each.scenario.rule.id
        for each in item.session.items
        if isinstance(each, RuleItem) and each.file == item.file
    ]
    return tuple(dict.fromkeys(rules))


def _run_for(item: RuleItem, target: Target, observer: str | None) -> TargetRun:
    """The run of the built-in rules, or of those in the item's file, against `target`. Started on
    first need; ends with the session."""
    session, file = item.session, item.file
    runs = session.config.stash.setdefault(RUNS, {})
    key = target, observer, file
    if key not in runs:
        option = session.config.option
        options = _options(
            target,
            observer,
            rules=_rules_beside(item),
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
            "the fixture hookproof_receiver must give a Target (see conformance.pytest_plugin), "
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
