"""Starting Locust as a process of its own, and what comes back from it.

Locust patches the world for gevent, so that it never runs in the process of the command line.
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
"""The environment variable that holds the secret where no other place is named."""

MARK = "hookproof: "
"""How a line begins that is for whoever started the run; Locust says a lot more."""
_RUN_TIME = re.compile(r"[0-9]+|(?=[0-9])([0-9]+h)?([0-9]+m)?([0-9]+s)?")
"""What Locust takes; its own complaint of anything else names a program that nobody called."""
SHOWN = 15
"""Lines of what Locust said last that are shown when it died."""


def load(
    url: str,
    secret: str,
    given: Mapping[str, object],
    more: Sequence[str],
    tell: Callable[[str], None],
) -> tuple[dict[str, Any] | None, int]:
    """Run Locust against `url`; the document of the run, and the status to exit with.

    `given` are options by the names that Locust's command line has for them, None for what is not
    given; `more` are arguments for Locust as they are. `tell` gets the lines that are for people:
    also why there is no document. Raises InputError.
    """
    if importlib.util.find_spec("locust") is None:
        raise InputError("load: Locust is not installed: pip install 'hookproof[load]'")
    host, path = split(url)
    read_secret(secret)  # told before anything starts
    _check_run_time(given.get("run-time"))
    named = secret.startswith(("env:", "file:"))
    with tempfile.TemporaryDirectory(prefix="hookproof-") as folder:
        verdict = Path(folder) / "verdict.json"
        options = {
            "host": host,
            "path": path,
            "secret": secret if named else f"env:{SECRET}",
            "verdict-json": verdict,
            **given,
        }
        command = [sys.executable, "-m", "locust", "-f", str(resources.locustfile())]
        command += ["--headless", "--only-summary", "--loglevel=WARNING"]
        command += [f"--{name}={value}" for name, value in options.items() if value is not None]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if not named:
            environment[SECRET] = secret
        status, last = _run([*command, *more], environment, tell)
        if verdict.exists():
            document: dict[str, Any] = json.loads(verdict.read_text(encoding="utf-8"))
            return document, EXIT_STATUS[Verdict(document["verdict"])]
    for line in last:
        tell(line)
    return None, 2 if status == 2 else 3


def _check_run_time(given: object) -> None:
    if given is not None and not _RUN_TIME.fullmatch(str(given)):
        raise InputError(f"--run-time: {given!r} is no time: give one like 90s, 5m or 1h30m")


def _run(
    command: Sequence[str], environment: Mapping[str, str], tell: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Run Locust to its end; its status, and what it said last that was not told."""
    last: deque[str] = deque(maxlen=SHOWN)
    process = subprocess.Popen(  # noqa: S603 - no shell
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
    )
    # Ctrl-C reaches Locust as well, which then judges what was sent until then.
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
    }
    try:
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        for line in process.stderr:
            if line.startswith(MARK):
                tell(line.rstrip())
            else:
                last.append(line.rstrip())
        return process.wait(), list(last)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
