"""Receivers in their own processes: the four programs in stacks/, and receivers that need two
processes, or a restart, to show their fault.
"""

from __future__ import annotations

import importlib.util
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from conformance.gallery.child_process import restarting, running
from conformance.gallery.receivers.program import SECRET
from conformance.options.receiver import Options
from conformance.protocol.dialect import Secret
from conformance.receiver.app import ENDPOINT, OBSERVER
from conformance.scenario import dialects

STACKS = Path(__file__).parent.parent / "stacks"
EXPRESS = STACKS / "express"


@dataclass(frozen=True, slots=True)
class Stack:
    """A correct receiver on another stack. `missing` is as in `Peer`."""

    name: str
    command: tuple[str, ...]
    missing: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two processes of one receiver over one file. The first can be killed and restarted.

    `name` is also the key of its behaviour in `program.BEHAVIOURS`. `fault` is None for the correct
    pair; the other fields are as in `Faulty`.
    """

    name: str
    fault: str | None = None
    caught_by: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def _node() -> str | None:
    return None if shutil.which("node") else "needs node"


def _express() -> str | None:
    installed = (EXPRESS / "node_modules" / "express").is_dir()
    return _node() or (None if installed else f"needs `npm ci` in {EXPRESS}")


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
        "remembers ids separately in the memory of each process",
        ("receiver.duplicate.across-instances", "receiver.duplicate.survives-restart"),
    ),
    Pair(
        "dedup-cache-never-renewed",
        "reads the known ids when it starts and never sees those of other processes",
        ("receiver.duplicate.across-instances",),
    ),
    Pair(
        "queue-in-memory",
        "acknowledges messages that wait in memory and loses them when it is killed",
        ("receiver.duplicate.survives-restart",),
    ),
    Pair(
        "process-dies-of-nesting",
        "dies on a deeply nested body and is not restarted",
        ("receiver.http.alive",),
        beside=("receiver.body.*",),
    ),
)


def _options(url: str, secret: Secret) -> Options:
    return Options(
        url=url,
        secret=secret,
        dialect=dialects.load("guide"),
        observer_url=url.removesuffix(ENDPOINT) + OBSERVER,
    )


def _environment(secret: Secret) -> dict[str, str]:
    return {SECRET: secret.decode()}


def fresh_secret() -> Secret:
    """A new random secret."""
    return Secret(secrets.token_hex(16).encode())


@asynccontextmanager
async def stack(peer: Stack) -> AsyncIterator[Options]:
    """Run a program of stacks/; yields the options of a run against it."""
    secret = fresh_secret()
    async with running(peer.command, _environment(secret)) as process:
        yield _options(process.url, secret)


@asynccontextmanager
async def pair(peer: Pair) -> AsyncIterator[Options]:
    """Run two processes over one file; yields the options of a run against them."""
    secret = fresh_secret()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hookproof-"))
        command = (
            sys.executable,
            "-m",
            "conformance.gallery.receivers.program",
            peer.name,
            "--db",
            str(Path(folder) / "inbox.db"),
        )
        one = await stack.enter_async_context(running(command, _environment(secret)))
        other = await stack.enter_async_context(running(command, _environment(secret)))
        restart = await stack.enter_async_context(restarting(one))
        yield replace(_options(one.url, secret), also_url=other.url, restart_command=restart)
