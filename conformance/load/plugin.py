"""Locust's events: its options, the beginning and the end of a run, and what workers and master say.

In one process or over many: a worker sends its ledger when its users have stopped, and whoever
started the run gathers the ledgers, asks for the effects and gives the verdict.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import click
import gevent
from gevent.event import Event
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from conformance.load.control import Control
from conformance.load.launch import MARK, SECRET
from conformance.load.ledger import MASTER, Ledger
from conformance.load.observer import Observer
from conformance.load.report import document
from conformance.load.settings import OPTIONS, Settings, read
from conformance.load.users import USERS, Sender
from conformance.load.verdict import judge
from conformance.load.worker import PATIENCE, Part
from conformance.model.errors import InputError
from conformance.model.report import EXIT_STATUS
from conformance.model.rules import Verdict

BEGUN, STOP, LEDGER = "hookproof_begun", "hookproof_stop", "hookproof_ledger"
"""A worker's word that it has begun, the master's to stop, and a worker's ledger."""

GRACE = 10.0
"""Seconds beyond the longest exchange in which workers must have told what they sent."""
EVERY = 5.0
"""Seconds between two lines of progress."""

Show = Callable[[dict[str, Any]], None]
"""Gets the document of a run that has ended."""


def attach(show: Callable[[Environment], Show]) -> None:
    """Take part in Locust's events; `show` is asked once, when the options are known, what becomes of
    a run's document. Raises InputError in it for files that cannot be written."""

    def begin(environment: Environment, **_: Any) -> None:
        given: Any = environment.parsed_options
        try:
            if given.headless and not given.worker:
                read(environment.host, vars(given))
            plugin = Plugin(environment, show(environment))
        except InputError as fault:
            _complain(fault)
            sys.exit(2)
        plugin.listen()
        # Else the run time counts from when the loop last ran, before all the imports.
        gevent.get_hub().loop.update_now()

    events.init_command_line_parser.add_listener(add_options)
    events.init.add_listener(begin)


def add_options(parser: LocustArgumentParser, **_: Any) -> None:
    """Put the run's options into Locust's command line and its web form."""
    for option in OPTIONS:
        default = option.default
        if option.secret and SECRET in os.environ:
            default = f"env:{SECRET}"
        parser.add_argument(
            f"--{option.name}",
            type=_stowed if option.secret else type(option.default),
            default=default,
            help=option.help,
            is_secret=option.secret,
            include_in_web_ui=not option.inner,
        )


def _stowed(given: str) -> str:
    """Keep a secret out of what Locust shows and sends: its place is named instead."""
    if given.startswith(("env:", "file:")) or not given:
        return given
    os.environ[SECRET] = given
    return f"env:{SECRET}"


def _complain(fault: InputError) -> None:
    click.echo(f"{MARK}{fault}", err=True)


class Plugin:
    """What happens at Locust's events in this process: it leads a run, sends a part of it, or both."""

    def __init__(self, environment: Environment, show: Show) -> None:
        self._environment = environment
        self._runner: Any = environment.runner
        self._options: Any = environment.parsed_options
        self._leads = not isinstance(self._runner, WorkerRunner)
        self._sends = not isinstance(self._runner, MasterRunner)
        self._show = show
        self._control: Control | None = None
        self._greenlets: list[gevent.Greenlet[[], None]] = []
        self._begun: set[int] = set()
        self._ledgers: dict[int, Ledger] = {}
        self._asking: Observer | None = None
        self._told = Event()

    def listen(self) -> None:
        """Hear of the events from now on."""
        events.test_start.add_listener(self._start)
        events.test_stopping.add_listener(self._stopping)
        events.test_stop.add_listener(self._stop)
        events.quitting.add_listener(self._quitting)
        # Python would raise KeyboardInterrupt in whatever user is running just then.
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            gevent.signal_handler(signal.SIGINT, self._interrupt)
        if not self._sends:
            self._runner.register_message(BEGUN, self._note_begun)
            self._runner.register_message(LEDGER, self._note_ledger)
        if not self._leads:
            # By itself, so that the worker hears what else its master says.
            self._runner.register_message(STOP, lambda **_: self._runner.stop(), concurrent=True)

    def _start(self, environment: Environment, **_: Any) -> None:
        try:
            settings = read(environment.host, vars(self._options))
        except InputError as fault:
            _complain(fault)
            self._give_up(status=2)
        # Whoever is stopped finishes what is under way, so that no request is left unjudged.
        environment.stop_timeout = max(
            environment.stop_timeout or 0, settings.deadline * PATIENCE + 1
        )
        for user in USERS:
            user.weight = settings.mix[user.name]
        if self._leads:
            self._lead(settings)
        if self._sends:
            self._send(settings)

    def _lead(self, settings: Settings) -> None:
        # Whoever is told to begin owes a ledger, even if it dies before it says so.
        self._begun, self._ledgers = set() if self._sends else self._alive(), {}
        self._told.clear()
        self._control = control = Control(settings)
        control.prepare()
        if control.cause:
            self._conclude()
            self._give_up(status=3)
        options = self._options
        options.run_id = control.run_id
        options.run_workers = 1 if self._sends else self._runner.worker_count
        if options.progress:
            self._greenlets.append(gevent.spawn(self._tell_progress))

    def _send(self, settings: Settings) -> None:
        options, worker = self._options, self._runner.worker_index
        if not 0 <= worker < MASTER:
            raise InputError(f"worker {worker}: a run has at most {MASTER} of them")
        Sender.part = Part(settings, options.run_id, worker, options.run_workers)
        self._greenlets.append(gevent.spawn(Sender.part.clock.run))
        if not self._leads:
            self._runner.send_message(BEGUN, {"worker": worker})

    def _give_up(self, status: int) -> None:
        """End the run before it has begun: in the greenlet of its start, which ends with this."""
        headless = self._options.headless
        if headless:
            self._environment.process_exit_code = status
        gevent.spawn(self._runner.quit if headless else self._runner.stop)
        raise gevent.GreenletExit

    def _stopping(self, **_: Any) -> None:
        if self._control is None:
            return
        self._control.stop()
        if self._sends:
            return
        self._runner.send_message(STOP)
        until = perf_counter() + self._environment.stop_timeout + GRACE
        while (self._begun - self._ledgers.keys()) & self._alive() and perf_counter() < until:
            gevent.sleep(0.05)

    def _alive(self) -> set[int]:
        """The workers that still give signs of life."""
        clients = self._runner.clients.values()
        there = [each for each in clients if each.state != STATE_MISSING]
        return {self._runner.get_worker_index(each.id) for each in there}

    def _stop(self, **_: Any) -> None:
        gevent.killall(self._greenlets)
        self._greenlets.clear()
        if not self._leads:
            self._runner.send_message(LEDGER, Sender.part.ledger.packed())
        elif self._control is not None:
            if self._sends:
                self._ledgers = {0: Sender.part.ledger}
            self._conclude()

    def _conclude(self) -> None:
        control = self._control
        if control is None:
            return
        self._asking = control.observer
        gone = len(self._begun - self._ledgers.keys())
        run = control.conclude(list(self._ledgers.values()), gone, self._tell_asking())
        self._control = None
        told = document(run, judge(run))
        self._environment.process_exit_code = EXIT_STATUS[Verdict(told["verdict"])]
        self._show(told)
        self._asking = None
        self._told.set()

    def _interrupt(self) -> None:
        if self._asking is not None:
            self._asking.stop()  # judged by what is known
            return
        self._runner.quit()
        if self._environment.web_ui is not None:
            self._environment.web_ui.stop()

    def _quitting(self, **_: Any) -> None:
        if not self._leads:
            self._runner.stop()  # the ledger goes to the master before the farewell does
        elif self._asking is not None:
            self._asking.stop()
            self._told.wait(GRACE)

    def _note_begun(self, msg: Any, **_: Any) -> None:
        self._begun.add(msg.data["worker"])

    def _note_ledger(self, msg: Any, **_: Any) -> None:
        ledger = Ledger.unpacked(msg.data)
        if self._control is not None and ledger.run == self._control.run_id:
            self._ledgers[ledger.worker] = ledger

    def _tell_progress(self) -> None:
        began = perf_counter()
        while True:
            gevent.sleep(EVERY)
            total = self._environment.stats.total
            slow = total.get_current_response_time_percentile(0.99)
            click.echo(
                f"{MARK}{perf_counter() - began:.0f} s  {total.current_rps:,.0f} requests/s  "
                f"p99 {slow or 0:.0f} ms  {total.num_failures:,} failed",
                err=True,
            )

    def _tell_asking(self) -> Callable[[int, int], None]:
        due = perf_counter() + EVERY

        def tell(asked: int, messages: int) -> None:
            nonlocal due
            if perf_counter() > due:
                due += EVERY
                click.echo(f"{MARK}asked about {asked:,} of {messages:,}", err=True)

        return tell if self._options.progress else lambda asked, messages: None
