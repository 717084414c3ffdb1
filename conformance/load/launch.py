"""Starting Locust as a separate process, and reading its report.

Locust monkey-patches the standard library for gevent, so it never runs in the command line's process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.load.settings import split
from conformance.model.errors import InputError
from conformance.model.report import EXIT_STATUS
from conformance.model.rules import Verdict
from conformance.options.secrets import read_secret
from conformance.protocol import resources

SECRET = "HOOKPROOF_SECRET"  # noqa: S105 - the variable's name
"""The environment variable that passes the secret to Locust, unless the user named a place for it."""

MARK = "hookproof: "
"""The prefix of lines that are meant for the user; Locust prints much more."""
_RUN_TIME = re.compile(r"[0-9]+|(?=[0-9])([0-9]+h)?([0-9]+m)?([0-9]+s)?")
"""What Locust accepts; its own error message would name a program that the user did not start."""
LAST_LINES = 15
"""Lines of Locust's output that are shown when it dies."""


def load(
    url: str,
    secret: str,
    options: Mapping[str, object],
    locust_arguments: Sequence[str],
    print_line: Callable[[str], None],
) -> tuple[dict[str, Any] | None, int]:
    """Run Locust against `url`; returns the run's report, or None, and the exit status.

    `options` are by their names on Locust's command line; those that are None are left out.
    `locust_arguments` are passed to Locust unchanged. `print_line` gets each line that is meant for
    the user, among them the reason when there is no report. Raises InputError.
    """
    if importlib.util.find_spec("locust") is None:
        raise InputError("load: Locust is not installed: pip install 'hookproof[load]'")
    host, path = split(url)
    read_secret(secret)  # reports a missing secret before anything starts
    _check_run_time(options.get("run-time"))
    is_place = secret.startswith(("env:", "file:"))
    with tempfile.TemporaryDirectory(prefix="hookproof-") as folder:
        verdict = Path(folder) / "verdict.json"
        all_options = {
            "host": host,
            "path": path,
            "secret": secret if is_place else f"env:{SECRET}",
            "verdict-json": verdict,
            **options,
        }
        command = [sys.executable, "-m", "locust", "-f", str(resources.locustfile())]
        command += ["--headless", "--only-summary", "--loglevel=WARNING"]
        command += [f"--{name}={value}" for name, value in all_options.items() if value is not None]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if not is_place:
            environment[SECRET] = secret
        status, last_lines = _run([*command, *locust_arguments], environment, print_line)
        if verdict.exists():
            report: dict[str, Any] = json.loads(verdict.read_text(encoding="utf-8"))
            return report, EXIT_STATUS[Verdict(report["verdict"])]
    for line in last_lines:
        print_line(line)
    return None, 2 if status == 2 else 3


def _check_run_time(run_time: object) -> None:
    if run_time is not None and not _RUN_TIME.fullmatch(str(run_time)):
        raise InputError(
            "--run-time: {run_time!r} is not a time: give one like 90s, 5m or 1h30m",
            run_time=str(run_time),
        )


def _run(
    command: Sequence[str], environment: Mapping[str, str], print_line: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Run Locust to its end; returns its status, and the last of its lines that were not printed."""
    last_lines: deque[str] = deque(maxlen=LAST_LINES)
    process = subprocess.Popen(  # noqa: S603 - no shell
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
    )
    # Ctrl-C reaches Locust as well, which then judges what was sent so far.
    handlers = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
    }
    try:
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        for line in process.stderr:
            if line.startswith(MARK):
                print_line(line.rstrip())
            else:
                last_lines.append(line.rstrip())
        return process.wait(), list(last_lines)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
