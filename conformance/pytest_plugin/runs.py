"""Runs for pytest: one for each target and scenario file, on a thread of its own; items wait for their
results.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from conformance.engine.events import CaseFinished, Event, Listener
from conformance.engine.metadata import Key
from conformance.engine.receiver.side import ReceiverSide
from conformance.engine.runner import Runner
from conformance.engine.sender.side import SenderSide
from conformance.gallery.reference import reference_receiver, reference_sender
from conformance.model.errors import HarnessError, InputError
from conformance.model.report import Report, Result
from conformance.options.receiver import Options, read_header
from conformance.options.run import EXAMPLES, FUZZ, read_seed
from conformance.options.secrets import read_secret
from conformance.options.sender import SenderOptions, read_listen
from conformance.protocol.dialect import Secret
from conformance.pytest_plugin.target import LINES, SEED, SenderTarget, Target
from conformance.reporting.files import Files
from conformance.scenario import dialects
from conformance.scenario.load import built_in, select

LONG_NAMES = {"--seed:": "--hookproof-seed:", "--trace:": "--hookproof-trace:"}
"""Options with another name here, since pytest reserves the short ones."""

RECEIVER_OPTIONS = ("--observer-url", "--also-url")
SENDER_OPTIONS = ("--emit-url",)
TARGET_OPTIONS = ("--secret", "--restart-command", "--dialect")
"""The options that describe the target at --endpoint or --sender-url, and mean nothing without it."""

AnyTarget = Target | SenderTarget
Runs = dict[tuple[AnyTarget, str | None, Path | None], "TargetRun"]
RUNS = pytest.StashKey[Runs]()


class TargetRun:
    """A run in progress. `name` describes its target in the summary; its exchanges go to `trace`."""

    def __init__(self, name: str, options: Options | SenderOptions, trace: Path | None) -> None:
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
        if isinstance(event, CaseFinished):
            key = event.result.rule.id, event.result.case
            self._results[key] = event.result
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

    def stop(self) -> list[str]:
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
                lines.append(_with_long_names(fault))
        return lines


def _runner(options: Options | SenderOptions, listener: Listener) -> Runner:
    if isinstance(options, SenderOptions):
        return Runner(SenderSide(options), listener)
    return Runner(ReceiverSide(options), listener)


def run_for(
    session: pytest.Session,
    target: AnyTarget,
    observer: str | None,
    file: Path | None,
    rules: tuple[str, ...],
) -> TargetRun:
    """The run against `target` of the built-in rules, or of those in `file`. It starts on the first call,
    with `rules` only, and ends with the session. Raises InputError."""
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
            fuzz=_fuzz(session.config),
            # Failing examples of an embedded part are not worth keeping.
            examples=EXAMPLES if target.called is None else None,
            scenario_files=(file,) if file is not None else (),
        )
        trace: Path | None = option.hookproof_trace
        if trace is not None and runs:
            trace = trace.with_name(f"{trace.stem}-{len(runs) + 1}{trace.suffix}")
        name = target.called or target.url
        # Concurrent runs would disturb each other, above all the rules that need the target alone.
        for other in runs.values():
            other.wait()
        run = TargetRun(name if file is None else f"{name} by {file.name}", options, trace)
        runs[key] = run
        # Finalizers run in reverse order, so the session fixtures, such as the target, outlive the run.
        session.addfinalizer(lambda: session.config.stash[LINES].extend(run.stop()))
    return runs[key]


def _options(target: AnyTarget, observer: str | None, **settings: Any) -> Options | SenderOptions:
    settings |= {
        "secret": Secret(target.secret)
        if isinstance(target.secret, bytes)
        else read_secret(target.secret),
        "dialect": dialects.load(target.dialect),
        "restart_command": target.restart_command,
        "ca": target.ca,
    }
    if isinstance(target, SenderTarget):
        key = target.api_key
        return SenderOptions(
            api_url=target.url,
            emit_url=target.emit_url,
            emit_command=target.emit_command,
            api_key=read_secret(key, "api_key") if key is not None else None,
            tls_cert=target.tls_cert,
            tls_key=target.tls_key,
            listen=read_listen(target.listen),
            public_url=target.public_url,
            **settings,
        )
    return Options(
        url=target.url,
        observer_url=observer,
        also_url=target.also_url,
        headers=tuple(read_header(line) for line in target.headers),
        **settings,
    )


def receiver_option(config: pytest.Config) -> Target | None:
    """The receiver at --endpoint; None without the option. Raises UsageError for incomplete options."""
    option = config.option
    if not _has_target(config, "--endpoint", RECEIVER_OPTIONS):
        return None
    return Target(
        url=option.hookproof_endpoint,
        secret=option.hookproof_secret,
        dialect=option.hookproof_dialect or "guide",
        observer_url=option.hookproof_observer_url,
        also_url=option.hookproof_also_url,
        restart_command=option.hookproof_restart_command,
    )


def sender_option(config: pytest.Config) -> SenderTarget | None:
    """The sender at --sender-url; None without the option. Raises UsageError for incomplete options."""
    option = config.option
    if not _has_target(config, "--sender-url", SENDER_OPTIONS):
        return None
    return SenderTarget(
        url=option.hookproof_sender_url,
        secret=option.hookproof_secret,
        dialect=option.hookproof_dialect or "guide",
        emit_url=option.hookproof_emit_url,
        restart_command=option.hookproof_restart_command,
    )


def _has_target(config: pytest.Config, name: str, details: tuple[str, ...]) -> bool:
    """Whether the option `name` names a target. Raises UsageError for a target without a secret, and
    for options that describe a target (`details` only this one) without one."""
    urls = [config.getoption(option) for option in ("--endpoint", "--sender-url")]
    if config.getoption(name) is None:
        of_any_target = TARGET_OPTIONS if urls == [None, None] else ()
        orphans = [
            option for option in (*details, *of_any_target) if config.getoption(option) is not None
        ]
        if orphans:
            missing = (
                f"{name} URL" if orphans[0] in details else "--endpoint URL or --sender-url URL"
            )
            raise pytest.UsageError(f"{orphans[0]}: needs {missing} too")
        return False
    if config.getoption("--secret") is None:
        raise pytest.UsageError(
            f"{name}: needs --secret too: the secret itself, env:NAME or file:PATH"
        )
    return True


def check_options(config: pytest.Config) -> int:
    """Validate the options of the command line, and return the seed. Raises UsageError."""
    option = config.option
    seed: str | None = option.hookproof_seed
    try:
        select([*built_in("receiver"), *built_in("sender")], option.hookproof_rules)
        Files(trace=option.hookproof_trace).check()
        receiver, sender = receiver_option(config), sender_option(config)
        fuzz = _fuzz(config)
        if receiver is not None:
            _options(receiver, receiver.observer_url, fuzz=fuzz)
        if sender is not None:
            _options(sender, None, fuzz=fuzz)
        return read_seed("1" if seed is None else seed)
    except InputError as fault:
        raise pytest.UsageError(_with_long_names(fault)) from None


def _fuzz(config: pytest.Config) -> int:
    examples: int | None = config.option.hookproof_fuzz
    if examples is not None and examples < 0:
        raise InputError("--fuzz: must be at least 0, which turns it off")
    return FUZZ if examples is None else examples


def _with_long_names(fault: InputError) -> str:
    text = str(fault)
    for short, long in LONG_NAMES.items():
        text = long + text.removeprefix(short) if text.startswith(short) else text
    return text


@contextmanager
def embedded_receiver() -> Iterator[Target]:
    """The reference receiver, on a thread of its own."""
    with loop_thread() as loop:
        stack = AsyncExitStack()
        entry = stack.enter_async_context(reference_receiver())
        options = asyncio.run_coroutine_threadsafe(entry, loop).result()
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
def embedded_sender() -> Iterator[SenderTarget]:
    """The reference sender, on a thread of its own."""
    with loop_thread() as loop:
        stack = AsyncExitStack()
        entry = stack.enter_async_context(reference_sender())
        options = asyncio.run_coroutine_threadsafe(entry, loop).result()
        try:
            yield SenderTarget(
                url=options.api_url,
                secret=options.secret,
                emit_url=options.emit_url,
                called="the embedded reference sender (no --sender-url)",
            )
        finally:
            asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result()


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
