"""Child processes of a run: start, kill, restart and stop; and what such a program does itself.

A child exits when its standard input closes, so that none outlives the run, however the run ends.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from conformance.model.errors import HarnessError
from conformance.protocol.resources import PACKAGE

STACKS = Path(__file__).parent / "stacks"
"""The folder of peers on other stacks."""

START_SECONDS = 30.0
STOP_SECONDS = 5.0

# Asks the run to kill and restart the child; exits once the child serves again.
_RESTART = (
    "import socket, sys; "
    'asked = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); '
    'sys.exit(asked.recv(2) != b"ok")'
)


def end_with_input(status: int = 0) -> None:
    """In a child: exit at once, without cleaning up, when standard input closes."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(status)

    threading.Thread(target=wait, daemon=True).start()


async def announce(url: str) -> None:
    """In a child: print the URL that it serves as one line, and never return."""
    sys.stdout.write(url + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def with_package(environment: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, plus `environment`, plus a PYTHONPATH that finds this package."""
    paths = os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH"))))
    return {**os.environ, **environment, "PYTHONPATH": paths}


class Child:
    """A program that prints its URL as one line once it serves, and exits when its input closes."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = with_package(environment)
        self._child: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self) -> None:
        """Start it, on the same port as before, and wait until it serves. Raises HarnessError if it does
        not within START_SECONDS."""
        port = urlsplit(self.url).port or 0
        self._child = child = await asyncio.create_subprocess_exec(
            *self._command,
            "--port",
            str(port),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await child.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise HarnessError(
                "{command} did not start to serve", command=shlex.join(self._command)
            )
        self.url = line.decode().strip()

    async def kill(self) -> None:
        """Kill it (SIGKILL) and wait until it has exited."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()

    async def stop(self) -> None:
        """Close its input, and kill it if it has not exited within STOP_SECONDS."""
        if self._child is None or self._child.stdin is None:
            return
        self._child.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._child.wait()
        except TimeoutError:
            await self.kill()


@asynccontextmanager
async def running(command: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[Child]:
    """Run a command within the context; `environment` is added to this process's own."""
    child = Child(command, environment)
    try:
        await child.start()
        yield child
    finally:
        await child.stop()


@asynccontextmanager
async def restarting(child: Child) -> AsyncIterator[str]:
    """A --restart-command for `child`, under which it remains a child of this process."""

    async def restart(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await child.kill()
            await child.start()
            writer.write(b"ok")
        finally:
            writer.close()

    server = await asyncio.start_server(restart, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield shlex.join([sys.executable, "-I", "-S", "-c", _RESTART, str(port)])
