"""Peers that are processes of their own: the four programs in stacks/, and receivers whose fault, or
whose virtue, takes two processes or the end of one.
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


def _options(url: str, secret: Secret) -> Options:
    return Options(
        url=url,
        secret=secret,
        dialect=dialects.load("guide"),
        observer_url=url.removesuffix(ENDPOINT) + OBSERVER,
    )


def _told(secret: Secret) -> dict[str, str]:
    return {SECRET: secret.decode()}


def fresh_secret() -> Secret:
    """A random secret."""
    return Secret(secrets.token_hex(16).encode())


@asynccontextmanager
async def stack(peer: Stack) -> AsyncIterator[Options]:
    """Run a program of stacks/; gives what a run against it needs."""
    secret = fresh_secret()
    async with running(peer.command, _told(secret)) as process:
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
            "conformance.gallery.receivers.program",
            peer.name,
            "--db",
            str(Path(place) / "inbox.db"),
        )
        one = await stack.enter_async_context(running(command, _told(secret)))
        other = await stack.enter_async_context(running(command, _told(secret)))
        restart = await stack.enter_async_context(restarting(one))
        yield replace(_options(one.url, secret), also_url=other.url, restart_command=restart)
