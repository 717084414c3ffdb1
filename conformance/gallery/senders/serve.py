"""Serves the senders of the gallery over real HTTP, with a short backoff to keep runs short."""

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
# The variables that make OpenSSL and Node trust a certificate.


@dataclass(frozen=True, slots=True)
class Served:
    """A running sender: the base URL of its API, and the command that kills and restarts it."""

    api_url: str
    restart_command: str | None = None

    @property
    def emit_url(self) -> str:
        """The URL that takes message events."""
        return self.api_url + "/Emit"


@dataclass(frozen=True, slots=True)
class SenderProcess:
    """A sender in its own process, over a file. `command` takes --db, --port and --backoff-base.

    `fault` is None for a correct one; the other fields are as in `FaultySender`.
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
        "keeps undelivered messages in memory and loses them when it is killed",
        _SURVIVES,
    ),
    _program(
        "attempts-in-memory",
        "keeps retries in memory and loses them when it is killed",
        _SURVIVES,
    ),
    _program(
        "successes-in-memory",
        "does not store which messages it delivered, and delivers them again after a restart",
        f"{_SURVIVES}[SHOULD]",
    ),
)


@asynccontextmanager
async def in_process(sender: FaultySender, ca: Path | None = None) -> AsyncIterator[Served]:
    """Run a sender in this process; it also trusts the certificates in the file `ca`."""
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
    """Run a sender in its own process, which can be killed and restarted."""
    environment = dict.fromkeys(_TRUST, str(ca)) if ca else {}
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hookproof-"))
        options = ("--db", str(Path(folder) / "queue.db"), "--backoff-base", str(BACKOFF))
        command = (*sender.command, *options)
        child = await stack.enter_async_context(running(command, environment))
        restart = await stack.enter_async_context(restarting(child))
        yield Served(child.url, restart)
