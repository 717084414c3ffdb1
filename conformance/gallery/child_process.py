"""Programs that are run as children of a run: started, killed hard, started again, ended.

A child ends when its standard input closes, so that none outlives the run however that ends.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from conformance.model.errors import HarnessError
from conformance.protocol.resources import PACKAGE

START_SECONDS = 30.0
END_SECONDS = 5.0

# Asks the run to kill the child and to start it again; ends once it serves.
_RESTART = (
    "import socket, sys; "
    'asked = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); '
    'sys.exit(asked.recv(2) != b"ok")'
)


def with_package(environment: Mapping[str, str]) -> dict[str, str]:
    """One's own environment with `environment` beside it, in which a child imports this package."""
    paths = os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH"))))
    return {**os.environ, **environment, "PYTHONPATH": paths}


class Child:
    """A program that prints its URL in one line once it serves, and ends when its input closes."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = with_package(environment)
        self._child: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self) -> None:
        """Start it, on the port that it had before; returns when it serves."""
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
            raise HarnessError(f"{shlex.join(self._command)} did not come to serve")
        self.url = line.decode().strip()

    async def kill(self) -> None:
        """End it hard; returns when it is gone."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()

    async def end(self) -> None:
        """Close its input, and end it hard if it does not go."""
        if self._child is None or self._child.stdin is None:
            return
        self._child.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._child.wait()
        except TimeoutError:
            await self.kill()


@asynccontextmanager
async def running(command: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[Child]:
    """Run a command within the context, with `environment` beside one's own."""
    process = Child(command, environment)
    try:
        await process.start()
        yield process
    finally:
        await process.end()


@asynccontextmanager
async def restarting(child: Child) -> AsyncIterator[str]:
    """A --restart-command for `child`, which stays this run's child."""

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
