"""Starting Locust in place of this process, and the process that judges its run.

Locust monkey-patches the standard library for gevent, so it never runs in the process that judges.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from conformance.load.settings import check_amounts, split
from conformance.model.errors import InputError
from conformance.options.secrets import read_secret
from conformance.protocol import resources

SECRET = "HOOKPROOF_SECRET"  # noqa: S105 - the variable's name
"""The environment variable that passes the secret to Locust, unless the user named a place for it."""

_RUN_TIME = re.compile(r"[0-9]+|(?=[0-9])([0-9]+h)?([0-9]+m)?([0-9]+s)?")
"""What Locust accepts; its own error message would name a program that the user did not start."""


def become_locust(
    url: str, secret: str, options: Mapping[str, object], locust_arguments: Sequence[str]
) -> NoReturn:
    """Run Locust against `url` in place of this process. Its exit status is that of the verdict.

    `options` are by their names on Locust's command line; those that are None are left out.
    `locust_arguments` are passed to Locust unchanged. Raises InputError.
    """
    if importlib.util.find_spec("locust") is None:
        raise InputError("load: Locust is not installed: pip install 'hookproof[load]'")
    host, path = split(url)
    read_secret(secret)  # reports a missing secret before anything starts
    _check_run_time(str(options["run-time"]))
    is_place = secret.startswith(("env:", "file:"))
    all_options = {
        "host": host,
        "path": path,
        "secret": secret if is_place else f"env:{SECRET}",
        "verdict-only": 1,
        **options,
    }
    command = [sys.executable, "-m", "locust", "-f", str(resources.locustfile())]
    command += ["--headless", "--only-summary", "--loglevel=ERROR"]
    command += [f"--{name}={value}" for name, value in all_options.items() if value is not None]
    environment = {**os.environ} if is_place else {**os.environ, SECRET: secret}
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)  # a headless Locust obeys keys
    os.execve(sys.executable, [*command, *locust_arguments], environment)  # noqa: S606 - no shell


def _check_run_time(run_time: str) -> None:
    if not _RUN_TIME.fullmatch(run_time):
        raise InputError(
            "--run-time: {run_time!r} is not a time: give one like 90s, 5m or 1h30m",
            run_time=run_time,
        )
    check_amounts(None, sum(map(int, re.findall(r"[0-9]+", run_time))))
