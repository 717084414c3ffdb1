"""The receiver on HTTP: its routes, its life from start to stop, and faults kept away from answers.

What a request is worth is decided by the `ReceiverBehaviour` and nowhere here. Guide: 訊息接收.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from conformance.model.clock import Clock
from conformance.protocol.tampering import Signer
from conformance.receiver.behaviour import ReceiverBehaviour, Response
from conformance.receiver.events import Delivered, Follower
from conformance.receiver.inbox import PREVIEW, Inbox
from conformance.receiver.masking import Mask
from conformance.receiver.script import perform
from conformance.serving.listening import KEEP_ALIVE, listening, until_stopped
from conformance.storage.commits import NotStoredError

ENDPOINT = "/webhook/receiver"
OBSERVER = "/processed?msgId={msgId}"
"""Behind the base URL: where deliveries go, and the template for --observer-url."""

GRACE = 2.0
"""Seconds that requests in flight have left when the receiver stops."""

LISTED, MOST_LISTED = 100, 1000

_LOG = logging.getLogger("hookproof.receiver")
# Whoever wants to see what goes wrong inside sets logging up; a garbled request is not worth a
# traceback on the terminal.
_LOG.addHandler(logging.NullHandler())

_CLOCK = Clock()


@dataclass(frozen=True, slots=True)
class Receiver:
    """The handlers of one receiver."""

    behaviour: ReceiverBehaviour
    inbox: Inbox
    signer: Signer
    clock: Clock
    mask: Mask
    follower: Follower | None

    def application(self) -> web.Application:
        """The routes. Every method reaches the endpoint, since which of them deliver is policy."""
        app = web.Application(client_max_size=self.behaviour.limit)
        app.router.add_route("*", ENDPOINT, self.deliver, expect_handler=self.behaviour.expect)
        app.router.add_get("/processed", self.processed)
        app.router.add_get("/deliveries", self.deliveries)
        if self.follower is not None:
            self.follower.add_to(app)
        return app

    async def deliver(self, request: web.Request) -> web.StreamResponse:
        """Take one delivery, and answer it: as usual, or as the follower asked for."""
        follower = self.follower
        next_ = follower.next_answer() if follower is not None else None
        body, answer = await self._take(request, None if next_ is None else next_.status)
        if follower is not None:
            follower.delivered(
                Delivered(
                    self.clock.now(), request.method, request.raw_path, request.raw_headers,
                    body, answer, next_,
                )
            )  # fmt: skip
        if next_ is None:
            return await self.behaviour.respond(request, answer)
        try:
            done = await perform(
                request, next_.scripted(answer), self.clock.monotonic(), self.clock
            )
        except ConnectionError:  # the sender did not wait for it
            return web.StreamResponse()
        return done[0]

    async def _take(self, request: web.Request, scripted: int | None) -> tuple[bytes, Response]:
        """The body, as far as it was read, and the answer. A fault inside is told as one, and never
        what it was."""
        behaviour, body = self.behaviour, b""
        try:
            if request.method not in behaviour.methods:
                allowed = ", ".join(sorted(behaviour.methods))
                answer = Response(405, f"deliveries come by {allowed}", (("Allow", allowed),))
                return body, answer
            received = await behaviour.receive(request)
            if isinstance(received, Response):
                return body, received
            body = received
            if scripted is not None:
                return body, Response(scripted, "as scripted on the live page")
            return body, await self._judge(request, body)
        except NotStoredError as fault:
            _LOG.error("a delivery could not be stored: %s", fault)
            return body, Response(503, "the message could not be stored: send it again")
        except Exception:  # aiohttp's own answer shows a traceback when asyncio is in debug mode
            _LOG.exception("a delivery failed")
            return body, Response(500, "internal error")

    async def _judge(self, request: web.Request, body: bytes) -> Response:
        behaviour = self.behaviour
        arrival = behaviour.examine(
            request.raw_headers,
            body,
            self.signer,
            self.clock.now(),
            lambda: request.transport is not None,
        )
        if isinstance(arrival, Response):
            return arrival
        stored = await behaviour.store(self.inbox, arrival, behaviour.key(arrival))
        return stored if isinstance(stored, Response) else behaviour.acknowledge(arrival, stored)

    async def processed(self, request: web.Request) -> web.Response:
        """How many times `?msgId=` took effect: {"count": N}."""
        msg_id = request.query.get("msgId")
        if not msg_id:
            return _json({"status": "error", "message": "give ?msgId="}, status=400)
        return _json({"count": self.inbox.count(msg_id)})

    async def deliveries(self, request: web.Request) -> web.Response:
        """The newest `?limit=` (100) deliveries that took effect, newest first, as an array of
        {"msgId", "received" (Unix seconds), "size" (bytes), "fits" (the message schema), "body" (its
        beginning, as text)}, without the secret."""
        limit = request.query.get("limit", str(LISTED))
        if not limit.isdecimal() or len(limit) > 9 or not 1 <= int(limit) <= MOST_LISTED:
            message = f"limit is a number from 1 to {MOST_LISTED}"
            return _json({"status": "error", "message": message}, status=400)
        mask = self.mask
        entries = self.inbox.deliveries(int(limit), PREVIEW + mask.longest)
        return _json(
            [
                {
                    "msgId": mask(entry.msg_id.encode()).decode(),
                    "received": entry.received,
                    "size": entry.size,
                    "fits": entry.fits,
                    "body": mask.beginning(entry.start, PREVIEW).decode("utf-8", "replace"),
                }
                for entry in entries
            ]
        )


def _json(value: Any, status: int = 200) -> web.Response:
    return web.json_response(value, status=status)


@asynccontextmanager
async def serving(
    behaviour: ReceiverBehaviour,
    inbox: Inbox,
    signer: Signer,
    host: str = "127.0.0.1",
    port: int = 0,
    clock: Clock = _CLOCK,
    tls: ssl.SSLContext | None = None,
    follower: Follower | None = None,
) -> AsyncIterator[str]:
    """Serve within the context, on https with `tls`; gives the base URL, before ENDPOINT and
    OBSERVER, without a slash at its end. Port 0 takes a free one. `follower` is told of every
    delivery. Raises InputError when the address cannot be had."""
    mask = Mask(bytes(signer.secret))
    runner = web.AppRunner(
        Receiver(behaviour, inbox, signer, clock, mask, follower).application(),
        access_log=None,
        logger=_LOG,
        handler_cancellation=False,
        keepalive_timeout=KEEP_ALIVE,
        shutdown_timeout=GRACE,
        auto_decompress=False,  # the signature is over the bytes as received
    )
    async with listening(runner, host, port, tls) as base:
        yield base


async def serve(
    host: str, port: int, signer: Signer, db: str, follower: Follower | None = None
) -> None:
    """Run the reference receiver on the file `db` until SIGINT or SIGTERM; prints its URL in one
    line once it serves. Raises InputError for an address or a file that cannot be used."""
    async with (
        Inbox(db) as inbox,
        serving(ReceiverBehaviour(), inbox, signer, host, port, follower=follower) as url,
    ):
        await until_stopped(url + ENDPOINT)
