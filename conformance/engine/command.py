"""The user's own commands: run in a shell, and ended with the run."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from conformance.model.clock import Clock
from conformance.model.errors import HarnessError

SAID = 2000
"""Bytes of a command's output that are kept."""
RESTART_SECONDS, AGAIN_SECONDS = 15.0, 0.2
"""Within which a target that was started again must serve, and between two looks at it."""


async def output_of(command: str, given: bytes | None = None) -> tuple[int, bytes]:
    """Run `command` with `given` on its standard input: its exit status, and the end of what it wrote.

    A command that hands its output to a process which stays is waited for, not the process. When
    this is cancelled the command is killed, and what it started with it.
    """
    pipe, silent = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_shell(
        command,
        stdin=silent if given is None else pipe,
        stdout=silent,
        stderr=silent if given is None else pipe,
        start_new_session=True,
    )
    said = b""
    try:
        if given is not None:
            _, said = await process.communicate(given)
        status = await process.wait()
    finally:
        if process.returncode is None:  # the run's time is over
            os.killpg(process.pid, signal.SIGKILL)
    return status, said[-SAID:]


async def restart(
    command: str, serves: Callable[[], Awaitable[bool]], clock: Clock, otherwise: str
) -> None:
    """Run a --restart-command, and wait until the target `serves` again. Raises HarnessError for a
    command that fails, and in the words of `otherwise` when the target does not come back."""
    status, _ = await output_of(command)
    if status != 0:
        raise HarnessError(f"--restart-command ended with status {status}")
    until = clock.monotonic() + RESTART_SECONDS
    while not await serves():
        if clock.monotonic() >= until:
            raise HarnessError(
                f"{RESTART_SECONDS:g} s after --restart-command had ended, {otherwise}"
            )
        await clock.sleep(AGAIN_SECONDS)
