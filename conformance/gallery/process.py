"""Peers that are processes of their own: the four programs in stacks/, and receivers whose fault, or
whose virtue, takes two processes or the end of one.

A process ends when its standard input closes, so that none outlives the run however that ends.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import shlex
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from conformance import dialect as dialects
from conformance.dialect import Secret
from conformance.engine.options import Options
from conformance.errors import HarnessError
from conformance.gallery.program import SECRET
from conformance.receiver.app import ENDPOINT, OBSERVER
from conformance.resources import PACKAGE

STACKS = Path(__file__).parent / "stacks"
EXPRESS = STACKS / "express"

START_SECONDS = 30.0
END_SECONDS = 5.0

# Asks the run to kill the receiver and to start it again; ends once it serves.
_RESTART = (
    "import socket, sys; "
    'asked = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); '
    'sys.exit(asked.recv(2) != b"ok")'
)


@dataclass(frozen=True, slots=True)
class Stack:
    """A correct receiver in a stack of its own: its command, and what it needs to be there."""

    name: str
    command: tuple[str, ...]
    missing: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two processes of one receiver over one file, the first of which can be killed and started again.

    `name` is also that of its policy in `program.POLICIES`; `fault` is None for the correct one, and
    the rest is as in `Faulty`.
    """

    name: str
    fault: str | None = None
    caught_by: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def _node() -> str | None:
    return None if shutil.which("node") else "needs node"


def _express() -> str | None:
    there = (EXPRESS / "node_modules" / "express").is_dir()
    return _node() or (None if there else f"needs `npm ci` in {EXPRESS}")


def _flask() -> str | None:
    return None if importlib.util.find_spec("flask") else "needs flask"


STACK_PEERS = (
    Stack("python-stdlib", (sys.executable, str(STACKS / "stdlib_receiver.py"))),
    Stack("python-flask", (sys.executable, str(STACKS / "flask_receiver.py")), _flask),
    Stack("node-http", ("node", str(STACKS / "node_receiver.mjs")), _node),
    Stack("node-express", ("node", str(EXPRESS / "server.js")), _express),
)

PAIRS = (
    Pair("two-processes"),
    Pair(
        "dedup-in-memory",
        "remembers ids in the memory of each process",
        ("receiver.duplicate.across-instances", "receiver.duplicate.survives-restart"),
    ),
    Pair(
        "dedup-cache-never-renewed",
        "reads the known ids when it starts, and does not look at those of other processes again",
        ("receiver.duplicate.across-instances",),
    ),
    Pair(
        "queue-in-memory",
        "acknowledges messages that wait in memory for a worker, and loses them when it is killed",
        ("receiver.duplicate.survives-restart",),
    ),
    Pair(
        "process-dies-of-nesting",
        "dies of a deeply nested body, and nothing starts it again",
        ("receiver.http.alive",),
        beside=("receiver.body.*",),
    ),
)


class _Process:
    """A program that prints its URL in one line once it serves, and ends when its input closes."""

    def __init__(self, command: Sequence[str], secret: Secret) -> None:
        self._command = command
        paths = os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH"))))
        self._environment = {**os.environ, SECRET: secret.decode(), "PYTHONPATH": paths}
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
async def _running(command: Sequence[str], secret: Secret) -> AsyncIterator[_Process]:
    process = _Process(command, secret)
    try:
        await process.start()
        yield process
    finally:
        await process.end()


@asynccontextmanager
async def _restarting(process: _Process) -> AsyncIterator[str]:
    """A --restart-command for `process`; the process stays this run's child."""

    async def restart(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await process.kill()
            await process.start()
            writer.write(b"ok")
        finally:
            writer.close()

    server = await asyncio.start_server(restart, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield shlex.join([sys.executable, "-I", "-S", "-c", _RESTART, str(port)])


def _options(url: str, secret: Secret) -> Options:
    return Options(
        url=url,
        secret=secret,
        dialect=dialects.load("guide"),
        observer_url=url.removesuffix(ENDPOINT) + OBSERVER,
    )


def fresh_secret() -> Secret:
    """A random secret."""
    return Secret(secrets.token_hex(16).encode())


@asynccontextmanager
async def stack(peer: Stack) -> AsyncIterator[Options]:
    """Run a program of stacks/; gives what a run against it needs."""
    secret = fresh_secret()
    async with _running(peer.command, secret) as process:
        yield _options(process.url, secret)


@asynccontextmanager
async def pair(peer: Pair) -> AsyncIterator[Options]:
    """Run two processes over one file; gives what a run against them needs."""
    secret = fresh_secret()
    async with AsyncExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="hookproof-"))
        command = (
            sys.executable,
            "-m",
            "conformance.gallery.program",
            peer.name,
            "--db",
            str(Path(place) / "inbox.db"),
        )
        one = await stack.enter_async_context(_running(command, secret))
        other = await stack.enter_async_context(_running(command, secret))
        restart = await stack.enter_async_context(_restarting(one))
        yield replace(_options(one.url, secret), also_url=other.url, restart_command=restart)
