"""Serves the receivers of the gallery: in this process, as a program of stacks/, or as two processes over
one file.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from conformance.gallery.child_process import STACKS, restarting, running
from conformance.gallery.peer import Side
from conformance.gallery.reference import fresh_secret, receiver_options, reference_receiver
from conformance.options.receiver import Options
from conformance.receiver import behaviour
from conformance.receiver.app import Settings
from conformance.receiver.behaviour import ReceiverBehaviour, Response, authenticate
from conformance.serving import certificates

EXPRESS = STACKS / "express"
PROGRAM = "conformance.gallery.receivers.program"
SECRET = "HOOKPROOF_SECRET"  # noqa: S105 - the variable's name

ALIVE = "receiver.http.alive"
CONTROLS = ("receiver.accepts.documented-type", ALIVE)
COSTLY = "receiver.duplicate.window"
"""Sends 1,600 messages."""


def needs_node() -> str | None:
    """What Node's own stack needs; see `Peer.missing`."""
    return None if shutil.which("node") else "needs node"


def needs_express() -> str | None:
    """What the Express stack needs."""
    installed = (EXPRESS / "node_modules" / "express").is_dir()
    return needs_node() or (None if installed else f"needs `npm ci` in {EXPRESS}")


def needs_flask() -> str | None:
    """What the Flask stack needs."""
    return None if importlib.util.find_spec("flask") else "needs flask"


def change(step: str, function: Callable[..., Any]) -> ReceiverBehaviour:
    """The correct receiver with one step replaced: a step of its behaviour, a part of `authenticate`, or
    "body", which takes the body as it was received and returns the one that the other steps get."""
    if step == "body":
        return ReceiverBehaviour(receive=partial(_receive_changed, change=function))
    if step in ("credentials", "signed", "matches", "fresh"):
        parts: dict[str, Any] = {step: function}
        return ReceiverBehaviour(authenticate=partial(authenticate, **parts))
    steps: dict[str, Any] = {step: function}
    return ReceiverBehaviour(**steps)


async def _receive_changed(
    request: web.Request, *, change: Callable[[bytes], bytes]
) -> bytes | Response:
    body = await behaviour.receive(request)
    return body if isinstance(body, Response) else change(body)


@asynccontextmanager
async def in_process(
    make: Callable[[], ReceiverBehaviour | ssl.SSLContext],
) -> AsyncIterator[Options]:
    """Run a receiver with the behaviour or under the certificate that `make` makes."""
    made = await asyncio.to_thread(make)  # it takes a while to make a certificate
    behaviour, tls = (None, made) if isinstance(made, ssl.SSLContext) else (made, None)
    async with reference_receiver(behaviour, Settings(tls=tls)) as options:
        yield options


@asynccontextmanager
async def as_program(*command: str) -> AsyncIterator[Options]:
    """Run a program of stacks/."""
    secret = fresh_secret()
    async with running(command, {SECRET: secret.decode()}) as process:
        yield receiver_options(process.url, secret)


@asynccontextmanager
async def two_processes(make: Callable[..., ReceiverBehaviour]) -> AsyncIterator[Options]:
    """Run two processes over one file; the first can be killed and restarted. Each makes its behaviour by
    the function in program.py with the name of `make`."""
    secret = fresh_secret()
    environment = {SECRET: secret.decode()}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookproof-")))
        command = (sys.executable, "-m", PROGRAM, make.__name__, "--db", str(folder / "inbox.db"))
        one = await stack.enter_async_context(running(command, environment))
        other = await stack.enter_async_context(running(command, environment))
        restart = await stack.enter_async_context(restarting(one))
        options = receiver_options(one.url, secret)
        yield replace(options, also_url=other.url, restart_command=restart)


RECEIVER = Side("receiver", change, in_process, CONTROLS, (COSTLY,))
HTTPS = replace(RECEIVER, missing=certificates.missing)
ON_REQUEST = replace(RECEIVER, on_request=True)
INSTANCES = replace(RECEIVER, serve=two_processes)
