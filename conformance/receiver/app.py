"""The receiver's HTTP server: its routes, its start and stop, and no internal fault in an answer.

The `ReceiverBehaviour` decides what happens to a request; nothing here does. Guide: 訊息接收.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from conformance.model.clock import Clock
from conformance.options.secrets import Mask, mask_of
from conformance.protocol.signing import Signer
from conformance.receiver.behaviour import ReceiverBehaviour, Response
from conformance.receiver.events import DeliveryNotice, Follower
from conformance.receiver.inbox import PREVIEW, Inbox
from conformance.receiver.script import perform
from conformance.serving.listening import KEEP_ALIVE, listening, until_stopped
from conformance.storage.commits import NotStoredError

ENDPOINT = "/webhook/receiver"
OBSERVER = "/processed?msgId={msgId}"
"""Paths below the base URL: where deliveries go, and the template for --observer-url."""

GRACE = 2.0
"""Seconds that requests in flight get to finish when the receiver stops."""

DEFAULT_LIMIT, LARGEST_LIMIT = 100, 1000
"""Of `?limit=` in a list of deliveries."""

_LOG = logging.getLogger("hookproof.receiver")
# Silent until the user configures logging: a garbled request does not deserve a traceback on the
# terminal.
_LOG.addHandler(logging.NullHandler())

_CLOCK = Clock()


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a receiver serves. Port 0 picks a free one; with `tls` it serves https. `follower` learns
    of every delivery."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    follower: Follower | None = None


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
        """The routes. Every method reaches the endpoint: the behaviour decides which ones deliver."""
        app = web.Application(client_max_size=self.behaviour.limit)
        app.router.add_route("*", ENDPOINT, self.deliver, expect_handler=self.behaviour.expect)
        app.router.add_get("/processed", self.processed)
        app.router.add_get("/deliveries", self.deliveries)
        if self.follower is not None:
            self.follower.add_to(app)
        return app

    async def deliver(self, request: web.Request) -> web.StreamResponse:
        """Take one delivery and answer it: as usual, or as the follower requests."""
        follower = self.follower
        next_ = follower.next_answer() if follower is not None else None
        body, answer = await self._take(request, None if next_ is None else next_.status)
        if follower is not None:
            follower.on_delivery(
                DeliveryNotice(
                    self.clock.now(), request.method, request.raw_path, request.raw_headers,
                    body, answer, next_,
                )
            )  # fmt: skip
        if next_ is None:
            return await self.behaviour.respond(request, answer)
        scripted, now = next_.scripted(answer), self.clock.monotonic()
        if scripted.fault is None:
            await self.clock.sleep(scripted.delay)
            return await self.behaviour.respond(request, answer)
        with suppress(ConnectionError):  # the sender did not wait for the answer
            await perform(request.transport, request.method, scripted, now, self.clock)
        if request.transport is not None:
            request.transport.close()
        return web.StreamResponse()  # goes nowhere

    async def _take(self, request: web.Request, scripted: int | None) -> tuple[bytes, Response]:
        """The body, as far as it was read, and the answer. An internal fault is reported as a 500
        that never says what it was."""
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
        """How many times the message `?msgId=` took effect: {"count": N}."""
        msg_id = request.query.get("msgId")
        if not msg_id:
            return _json({"status": "error", "message": "give ?msgId="}, status=400)
        return _json({"count": self.inbox.count(msg_id)})

    async def deliveries(self, request: web.Request) -> web.Response:
        """The newest `?limit=` (100) deliveries that took effect, newest first, as an array of
        {"msgId", "received" (Unix seconds), "size" (bytes), "fits" (whether it matches the message
        schema), "body" (its beginning, as text)}, with the secret masked."""
        limit = request.query.get("limit", str(DEFAULT_LIMIT))
        if not limit.isdecimal() or len(limit) > 9 or not 1 <= int(limit) <= LARGEST_LIMIT:
            message = f"limit is a number from 1 to {LARGEST_LIMIT}"
            return _json({"status": "error", "message": message}, status=400)
        mask = self.mask
        entries = self.inbox.deliveries(int(limit), PREVIEW + mask.longest)
        return _json(
            [
                {
                    "msgId": mask.text(entry.msg_id),
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
    settings: Settings | None = None,
    clock: Clock = _CLOCK,
) -> AsyncIterator[str]:
    """Serve within the context. Yields the base URL, which goes before ENDPOINT and OBSERVER and has
    no trailing slash. Raises InputError when the address cannot be bound."""
    settings = settings or Settings()
    mask = mask_of(signer.secret)
    runner = web.AppRunner(
        Receiver(behaviour, inbox, signer, clock, mask, settings.follower).application(),
        access_log=None,
        logger=_LOG,
        handler_cancellation=False,
        keepalive_timeout=KEEP_ALIVE,
        shutdown_timeout=GRACE,
        auto_decompress=False,  # the signature is over the bytes as received
    )
    async with listening(runner, settings.host, settings.port, settings.tls) as base:
        yield base


async def serve(signer: Signer, db: str, settings: Settings | None = None) -> None:
    """Run the reference receiver on the file `db` until SIGINT or SIGTERM. Prints its URL on one
    line once it serves. Raises InputError for an address or a file that cannot be used."""
    async with (
        Inbox(db) as inbox,
        serving(ReceiverBehaviour(), inbox, signer, settings) as url,
    ):
        await until_stopped(url + ENDPOINT)
