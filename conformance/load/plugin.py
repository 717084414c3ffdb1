"""Hookproof as a plugin of Locust: options, the start and the end of a run, messages between processes.

A run uses one process or many. A worker sends its ledger when its users have stopped; the process
that leads the run collects the ledgers, and hands them to the process that judges.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import gevent
from gevent.event import Event
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from conformance.load.judge_process import JudgeProcess
from conformance.load.launch import SECRET
from conformance.load.ledger import MASTER, RUNS, Ledger
from conformance.load.settings import OPTIONS, Settings, check_amounts, read
from conformance.load.users import USERS, Sender
from conformance.load.worker import TIMEOUT_DEADLINES, Worker
from conformance.model.errors import InputError
from conformance.model.language import ENGLISH, LANGUAGES, Language
from conformance.model.sentence import Sentence

WORKER_STARTED, STOP, LEDGER = "hookproof_begun", "hookproof_stop", "hookproof_ledger"
"""Messages between processes: a worker has started, the master stops the run, a worker's ledger."""

GRACE = 10.0
"""Seconds beyond the longest exchange that workers have to send their ledgers."""
PROGRESS_INTERVAL = 5.0
"""Seconds between two lines of progress."""

PLACE = "/hookproof"
"""Where Locust's web UI shows the report of its last run."""
_NONE_YET = Sentence("No run has ended yet.")


def attach(language: Callable[[str], Language]) -> None:
    """Register with Locust's events. `language` finds the language of --lang."""

    def begin(environment: Environment, **_: Any) -> None:
        options: Any = environment.parsed_options
        plugin = Plugin(environment, language)
        if options.verdict_only:
            logging.getLogger("locust.stats_logger").disabled = True
        if options.headless and not options.worker:
            try:
                check_amounts(options.num_users, options.run_time)
                read(environment.host, vars(options))
            except InputError as fault:
                _print_error(fault, language, options.lang)
                sys.exit(2)
            # Before the run's own time begins.
            if not plugin.prepare():
                sys.exit(environment.process_exit_code)
        plugin.listen()
        # Otherwise the run time would count from the loop's last turn, before all the imports.
        gevent.get_hub().loop.update_now()

    events.init_command_line_parser.add_listener(add_options)
    events.init.add_listener(begin)


def add_options(parser: LocustArgumentParser, **_: Any) -> None:
    """Add the run's options to Locust's command line and its web form."""
    for option in OPTIONS:
        default = option.default
        if option.secret and SECRET in os.environ:
            default = f"env:{SECRET}"
        parser.add_argument(
            f"--{option.name}",
            type=_to_place if option.secret else type(option.default),
            default=default,
            help=option.help,
            is_secret=option.secret,
            include_in_web_ui=not option.internal,
        )


def _to_place(secret: str) -> str:
    """Move a secret to the environment and name its place, so that Locust does not show or send it."""
    if secret.startswith(("env:", "file:")) or not secret:
        return secret
    os.environ[SECRET] = secret
    return f"env:{SECRET}"


def _print_error(fault: InputError, language: Callable[[str], Language], code: str) -> None:
    spoken = language(code) if code in LANGUAGES else ENGLISH
    click.echo(f"hookproof: {fault.sentence.in_(spoken)}", err=True)


class Plugin:
    """Handles Locust's events in this process, which leads a run, sends its requests, or both."""

    def __init__(self, environment: Environment, language: Callable[[str], Language]) -> None:
        self._environment = environment
        self._runner: Any = environment.runner
        self._options: Any = environment.parsed_options
        self._leads = not isinstance(self._runner, WorkerRunner)
        self._sends = not isinstance(self._runner, MasterRunner)
        self._language = language
        self._judge: JudgeProcess | None = None  # of the current run
        self._judging: JudgeProcess | None = None  # of the run that has ended
        self._began = self._ended = 0.0
        self._greenlets: list[gevent.Greenlet[[], None]] = []
        self._started_workers: set[int] = set()
        self._ledgers: dict[int, Ledger] = {}
        self._concluded = Event()
        if environment.web_ui is not None:
            self._show_page(environment.web_ui)

    def prepare(self) -> bool:
        """Start the process that judges. Returns whether its preflight lets the load begin; otherwise the
        exit status is set."""
        self._options.run_id = random.SystemRandom().randrange(RUNS)
        names = (option.name.replace("-", "_") for option in OPTIONS)
        values = {name: getattr(self._options, name) for name in names}
        self._judge = JudgeProcess(self._environment.host or "", values)
        if self._judge.is_ready():
            return True
        self._environment.process_exit_code = self._judge.status()
        self._judge = None
        return False

    def _show_page(self, web_ui: Any) -> None:
        if not self._options.verdict_html:
            self._options.verdict_html = f"{tempfile.mkdtemp(prefix='hookproof-')}/report.html"

        @web_ui.app.route(PLACE)  # type: ignore[untyped-decorator]
        @web_ui.auth_required_if_enabled  # type: ignore[untyped-decorator]
        def hookproof() -> str:
            page = Path(self._options.verdict_html)
            return (
                page.read_text()
                if page.exists()
                else _NONE_YET.in_(self._language(self._options.lang))
            )

    def listen(self) -> None:
        """Register for the events."""
        events.test_start.add_listener(self._start)
        events.test_stopping.add_listener(self._stop_load)
        events.test_stop.add_listener(self._finish)
        events.quitting.add_listener(self._quit)
        # Python would raise KeyboardInterrupt in whichever user happens to run.
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            gevent.signal_handler(signal.SIGINT, self._interrupt)
        if not self._sends:
            self._runner.register_message(WORKER_STARTED, self._add_worker)
            self._runner.register_message(LEDGER, self._add_ledger)
        if not self._leads:
            # Concurrent, so that the worker still receives its master's other messages.
            self._runner.register_message(STOP, lambda **_: self._runner.stop(), concurrent=True)

    def _start(self, environment: Environment, **_: Any) -> None:
        try:
            settings = read(environment.host, vars(self._options))
        except InputError as fault:
            _print_error(fault, self._language, self._options.lang)
            self._give_up(status=2)
        # Users may finish their requests when they are stopped, so that every request is judged.
        environment.stop_timeout = max(
            environment.stop_timeout or 0, settings.deadline * TIMEOUT_DEADLINES + 1
        )
        for user in USERS:
            user.weight = settings.mix[user.name]
        if self._leads:
            self._lead()
        if self._sends:
            self._send(settings)

    def _lead(self) -> None:
        # Every worker alive now owes a ledger, even if it dies before it reports its start.
        self._started_workers, self._ledgers = set() if self._sends else self._live_workers(), {}
        self._concluded.clear()
        if self._judge is None and not self.prepare():
            self._give_up(status=3)
        options = self._options
        options.run_workers = 1 if self._sends else self._runner.worker_count
        self._began = self._ended = perf_counter()
        if options.progress:
            self._greenlets.append(gevent.spawn(self._print_progress))

    def _send(self, settings: Settings) -> None:
        options, index = self._options, self._runner.worker_index
        if not 0 <= index < MASTER:
            raise InputError(
                "worker {index}: a run has at most {limit} workers", index=index, limit=MASTER
            )
        Sender.worker = Worker(settings, options.run_id, index, options.run_workers)
        self._greenlets.append(gevent.spawn(Sender.worker.clock.run))
        if not self._leads:
            self._runner.send_message(WORKER_STARTED, {"worker": index})

    def _give_up(self, status: int) -> None:
        """End the run before it begins. Called in the greenlet that starts it, and ends that greenlet."""
        headless = self._options.headless
        if headless:
            self._environment.process_exit_code = status
        gevent.spawn(self._runner.quit if headless else self._runner.stop)
        raise gevent.GreenletExit

    def _stop_load(self, **_: Any) -> None:
        self._ended = perf_counter()
        if self._sends or self._judge is None:
            return
        self._runner.send_message(STOP)
        until = perf_counter() + self._environment.stop_timeout + GRACE
        while (
            self._started_workers - self._ledgers.keys()
        ) & self._live_workers() and perf_counter() < until:
            gevent.sleep(0.05)

    def _live_workers(self) -> set[int]:
        """The indexes of the workers that still send heartbeats."""
        clients = self._runner.clients.values()
        live = [client for client in clients if client.state != STATE_MISSING]
        return {self._runner.get_worker_index(client.id) for client in live}

    def _finish(self, **_: Any) -> None:
        gevent.killall(self._greenlets)
        self._greenlets.clear()
        if not self._leads:
            self._runner.send_message(LEDGER, Sender.worker.ledger.pack())
        elif self._judge is not None:
            if self._sends:
                self._ledgers = {0: Sender.worker.ledger}
            self._conclude(self._judge)

    def _conclude(self, judge: JudgeProcess) -> None:
        # Locust ends a run twice when its last worker goes missing.
        self._judge, self._judging = None, judge
        missing_workers = len(self._started_workers - self._ledgers.keys())
        self._environment.process_exit_code = judge.conclude(
            list(self._ledgers.values()), self._ended - self._began, missing_workers
        )
        self._judging = None
        self._concluded.set()

    def _interrupt(self) -> None:
        if self._judging is not None:
            self._judging.interrupt()  # the run is judged by the counts so far
            return
        self._runner.quit()
        if self._environment.web_ui is not None:
            self._environment.web_ui.stop()

    def _quit(self, **_: Any) -> None:
        if not self._leads:
            self._runner.stop()  # sends the ledger to the master before Locust says goodbye
        elif self._judging is not None:
            self._judging.interrupt()
            self._concluded.wait(GRACE)

    def _add_worker(self, msg: Any, **_: Any) -> None:
        self._started_workers.add(msg.data["worker"])

    def _add_ledger(self, msg: Any, **_: Any) -> None:
        ledger = Ledger.unpack(msg.data)
        if ledger.run == self._options.run_id:
            self._ledgers[ledger.worker] = ledger

    def _print_progress(self) -> None:
        began = perf_counter()
        while True:
            gevent.sleep(PROGRESS_INTERVAL)
            total = self._environment.stats.total
            slow = total.get_current_response_time_percentile(0.99)
            click.echo(
                f"hookproof: {perf_counter() - began:.0f} s  {total.current_rps:,.0f} requests/s  "
                f"p99 {slow or 0:.0f} ms  {total.num_failures:,} failed",
                err=True,
            )
