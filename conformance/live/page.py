"""The live page over HTTP: the page, news as server-sent events, one request, and scripted answers.

It is for the developer at this machine. It answers only under an IP address or `localhost`, so that
neither a tunnel nor a rebound DNS name leads to it, and refuses changes by the pages of other sites.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from aiohttp import web

from conformance import __version__
from conformance.live.answers import AnswerQueue, QueuedAnswer
from conformance.live.feed import MOST, Feed
from conformance.live.translations import FAULTS, WORDS
from conformance.live.view import RequestView
from conformance.model.errors import InputError
from conformance.model.language import ENGLISH
from conformance.protocol.signing import Signer
from conformance.receiver.events import DeliveryNotice
from conformance.reporting.pages.templates import asset, environment, policy

EVENTS, REQUESTS, ANSWERS = "/live/events", "/live/requests", "/live/answers"

HEARTBEAT = 15.0
"""Seconds after which a quiet stream sends a comment, so that a closed page is noticed."""
PACE = 0.1
"""Seconds between two events; news are collected meanwhile."""
BATCH = 200
"""Requests in one event."""
SLICE = 0.004
"""Seconds for which explaining requests may hold up deliveries."""
MOST_WATCHERS = 20
_LARGEST_SCRIPT = 64 * 1024

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LivePage:
    """The live page of a receiver at `host`, which it follows. The receiver fills `feed`, and takes from
    `answers`."""

    def __init__(self, signer: Signer, host: str) -> None:
        self.feed = Feed()
        self.answers = AnswerQueue()
        self._view = RequestView(signer)
        self._dialect = signer.dialect.name
        self._host = host.lower()
        self._run = secrets.token_hex(4)
        self._closing = False

    def add_to(self, app: web.Application) -> None:
        """Add the page's routes to `app`."""
        app.router.add_get("/", self._guarded(self.page))
        app.router.add_get(EVENTS, self._guarded(self.events))
        app.router.add_get(REQUESTS + "/{number:[0-9]{1,15}}", self._guarded(self.request))
        app.router.add_post(ANSWERS, self._guarded(self.script))
        app.router.add_delete(ANSWERS, self._guarded(self.clear))
        app.on_shutdown.append(self._close)

    def next_answer(self) -> QueuedAnswer | None:
        """The next scripted answer; None for the usual one."""
        return self.answers.take()

    def on_delivery(self, notice: DeliveryNotice) -> None:
        """Show a delivery on the pages that watch."""
        answer, next_ = notice.answer, notice.next
        self.feed.add(
            notice.received, notice.method, notice.path, notice.headers, notice.body,
            answer.status, answer.message,
            None if next_ is None else str(next_), None if next_ is None else next_.broken,
        )  # fmt: skip

    async def page(self, request: web.Request) -> web.StreamResponse:
        """The page itself, still without requests."""
        text, content_policy = _page(self._dialect)
        headers = {**_HEADERS, "Content-Security-Policy": content_policy}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: the requests after the one that Last-Event-ID names, and new ones.

        Each event is {"run": id of this start of the receiver, "rows": […], "missed": number of
        requests that were dropped unseen, "waiting": number of queued answers}. Its own id is the run
        and the last request."""
        if self.feed.watchers >= MOST_WATCHERS:
            return _refusal(503, f"{MOST_WATCHERS} pages are open already: close one")
        run, _, last = request.headers.get("Last-Event-ID", "").partition("-")
        resumed = run == self._run and last.isdecimal() and len(last) <= 15
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        with self.feed.watching():
            await self._stream(response, int(last) if resumed else 0)
        return response

    async def _stream(self, response: web.StreamResponse, number: int) -> None:
        waiting = -1
        try:
            while not self._closing:
                missed = max(0, self.feed.first - 1 - number)
                rows = await self._rows(number)
                if rows or waiting != len(self.answers):
                    waiting = len(self.answers)
                    number = rows[-1]["n"] if rows else number
                    news = {"run": self._run, "rows": rows, "missed": missed, "waiting": waiting}
                    data = json.dumps(news, ensure_ascii=False, separators=(",", ":"))
                    event = f"id: {self._run}-{number}\ndata: {data}\n\n"
                    await response.write(event.encode("utf-8", "replace"))
                    await asyncio.sleep(PACE if len(rows) < BATCH else 0)
                elif not await self.feed.changed(HEARTBEAT):
                    await response.write(b":\n\n")
        except ConnectionError:
            pass  # the page was closed

    async def _rows(self, number: int) -> list[dict[str, Any]]:
        rows, until = [], time.perf_counter() + SLICE
        for entry_number, entry in self.feed.after(number, BATCH):
            rows.append(self._view.row(entry_number, entry))
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + SLICE
        return rows

    async def request(self, request: web.Request) -> web.StreamResponse:
        """One request in full."""
        number = int(request.match_info["number"])
        entry = self.feed.get(number)
        if entry is None:
            return _refusal(404, "this request is no longer kept")
        return web.json_response(self._view.whole(number, entry), headers=_HEADERS)

    async def script(self, request: web.Request) -> web.StreamResponse:
        """Queue scripted answers. Answers with the length of the queue."""
        text = await _small_body(request)
        if text is None:
            return _refusal(413, f"more than {_LARGEST_SCRIPT} bytes")
        try:
            self.answers.add(text)
        except InputError as fault:
            return _refusal(400, str(fault))
        return self._waiting()

    async def clear(self, request: web.Request) -> web.StreamResponse:
        """Empty the queue of scripted answers."""
        self.answers.clear()
        return self._waiting()

    def _waiting(self) -> web.Response:
        self.feed.notify()
        return web.json_response({"waiting": len(self.answers)}, headers=_HEADERS)

    async def _close(self, app: web.Application) -> None:
        self._closing = True
        self.feed.notify()

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            name = _host_of(request.headers.get("Host", ""))
            if not (name == self._host or name == "localhost" or _is_address(name)):
                return _refusal(403, "open this page at localhost or at an IP address")
            if request.method not in ("GET", "HEAD"):
                own_origin = f"{request.scheme}://{request.headers['Host']}".lower()
                if request.headers.get("Origin", own_origin).lower() != own_origin:
                    return _refusal(403, "another site's page may not script the answers")
                if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
                    return _refusal(403, "another site's page may not script the answers")
                if request.method == "POST" and request.content_type != "application/json":
                    return _refusal(415, "send application/json")
            return await handler(request)

        return guarded


@cache
def _page(dialect: str) -> tuple[str, str]:
    """The page and its Content-Security-Policy."""
    css = asset("reporting/pages/base.css", "live/live.css")
    script = asset("reporting/pages/switches.js", "live/list.js", "live/live.js")
    text = (
        environment("live")
        .get_template("live.html.j2")
        .render(
            css=css,
            script=script,
            language=ENGLISH,
            dialect=dialect,
            version=__version__,
            w=WORDS,
            faults=FAULTS,
            most=MOST,
        )
    )
    directives = {"connect-src": "'self'", "frame-ancestors": "'none'"}
    return text, policy(css, script, directives)


async def _small_body(request: web.Request) -> bytes | None:
    """The body; None if it is larger than a script may be."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _LARGEST_SCRIPT:
            return None
    return bytes(body)


def _host_of(host: str) -> str:
    """The name in a Host header, without its port."""
    name = host.lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


def _is_address(name: str) -> bool:
    """Whether `name` is an IP address, which DNS rebinding cannot redirect."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status, headers=_HEADERS)
