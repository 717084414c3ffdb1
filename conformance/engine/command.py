"""Runs the user's own commands in a shell, and kills them when the run is over."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from conformance.model.clock import Clock
from conformance.model.errors import HarnessError
from conformance.model.sentence import Sentence

MOST_OUTPUT = 2000
"""Bytes of a command's output that are kept, from its end."""
RESTART_SECONDS = 15.0
"""Seconds within which a restarted target must serve again."""
POLL_SECONDS = 0.2
"""Seconds between two attempts to reach a target that is not ready."""


async def run_command(command: str, stdin: bytes | None = None) -> tuple[int, bytes]:
    """Run `command` with `stdin` as its standard input. Returns its exit status and the last
    MOST_OUTPUT bytes of its standard error (none without `stdin`).

    Waits for the command, not for a process that it leaves running. When this is cancelled, the
    command is killed with everything that it started.
    """
    pipe, silent = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_shell(
        command,
        stdin=silent if stdin is None else pipe,
        stdout=silent,
        stderr=silent if stdin is None else pipe,
        start_new_session=True,
    )
    output = b""
    try:
        if stdin is not None:
            _, output = await process.communicate(stdin)
        status = await process.wait()
    finally:
        if process.returncode is None:  # the run's time is over
            os.killpg(process.pid, signal.SIGKILL)
    return status, output[-MOST_OUTPUT:]


async def restart(
    command: str, serves: Callable[[], Awaitable[bool]], clock: Clock, complaint: Sentence
) -> None:
    """Run a --restart-command, and wait until the target `serves` again.

    Raises HarnessError for a command that fails, and one that ends with `complaint` when the target does
    not serve within RESTART_SECONDS.
    """
    status, _ = await run_command(command)
    if status != 0:
        raise HarnessError("--restart-command ended with status {status}", status=status)
    until = clock.monotonic() + RESTART_SECONDS
    while not await serves():
        if clock.monotonic() >= until:
            raise HarnessError(
                "{seconds:g} s after --restart-command had ended, {complaint}",
                seconds=RESTART_SECONDS,
                complaint=complaint,
            )
        await clock.sleep(POLL_SECONDS)
