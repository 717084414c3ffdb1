"""The senders of the gallery over real HTTP, each with a short backoff, so that a run is quick."""

from __future__ import annotations

import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from conformance.gallery.child_process import restarting, running
from conformance.gallery.receivers.process import STACKS
from conformance.gallery.senders.peer import FaultySender
from conformance.scenario import dialects
from conformance.sender.app import serving_sender

BACKOFF = 0.3
"""Seconds before the first retry: what a busy machine adds to a wait must be little beside it."""

_TRUST = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
# The variables by which OpenSSL and Node are told of a certificate.


@dataclass(frozen=True, slots=True)
class Served:
    """A sender that serves: the base of its API, and what kills it and starts it again."""

    api_url: str
    restart_command: str | None = None

    @property
    def emit_url(self) -> str:
        """Where it is given messages."""
        return self.api_url + "/Emit"


@dataclass(frozen=True, slots=True)
class SenderProcess:
    """A sender that is a process of its own, over a file: it takes --db, --port and --backoff-base.

    `fault` is None for a correct one, and the rest is as in `FaultySender`.
    """

    name: str
    command: tuple[str, ...]
    fault: str | None = None
    caught_by: tuple[str, ...] = ()
    missing: Callable[[], str | None] = lambda: None


def _program(name: str, fault: str | None = None, *caught_by: str) -> SenderProcess:
    command = (sys.executable, "-m", "conformance.gallery.senders.program", name)
    return SenderProcess(name, command, fault, caught_by)


_SURVIVES = "sender.loss.survives-restart"

PROCESSES = (
    SenderProcess("python-stdlib-threads", (sys.executable, str(STACKS / "stdlib_sender.py"))),
    _program("kept-in-a-file"),
    _program(
        "waiting-in-memory",
        "keeps messages in memory until they are delivered, and loses them when it is killed",
        _SURVIVES,
    ),
    _program(
        "attempts-in-memory",
        "leaves messages whose first attempt failed to a timer, which ends with the process",
        _SURVIVES,
    ),
    _program(
        "successes-in-memory",
        "does not write down what was delivered, and delivers it again after a restart",
        f"{_SURVIVES}[SHOULD]",
    ),
)


@asynccontextmanager
async def in_process(sender: FaultySender, ca: Path | None = None) -> AsyncIterator[Served]:
    """Run a sender in this process; `ca` are certificates that it trusts."""
    settings = sender.settings
    backoff = replace(settings.pace.backoff, base=BACKOFF)
    tls = settings.tls or (ssl.create_default_context(cafile=ca) if ca else None)
    settings = replace(settings, pace=replace(settings.pace, backoff=backoff), tls=tls)
    dialect = dialects.load("guide")
    async with serving_sender(
        dialect, settings, clock=sender.clock, behaviour=sender.fresh()
    ) as url:
        yield Served(url)


@asynccontextmanager
async def as_process(sender: SenderProcess, ca: Path | None = None) -> AsyncIterator[Served]:
    """Run a sender as a process of its own, which can be killed and started again."""
    environment = dict.fromkeys(_TRUST, str(ca)) if ca else {}
    async with AsyncExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="hookproof-"))
        options = ("--db", str(Path(place) / "queue.db"), "--backoff-base", str(BACKOFF))
        command = (*sender.command, *options)
        child = await stack.enter_async_context(running(command, environment))
        restart = await stack.enter_async_context(restarting(child))
        yield Served(child.url, restart)
