"""Shared by the sender's tests: an event, an independent endpoint and client, a virtual clock."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from conformance.model.clock import Clock
from conformance.protocol.delivery import Backoff
from conformance.scenario.dialects import load
from conformance.sender.app import Settings, serving_sender
from conformance.sender.worker import Pace
from tests.patience import PATIENCE

NOW = 1769845800.0
SECRET = "a lighthouse, 燈塔"
URL = "http://127.0.0.1:9/hook"
QUICK = Pace(Backoff(base=0.01))


def event(msg_id: str = "1", **fields: object) -> dict[str, Any]:
    """A message event for Emit: the guide's body without `timestamp`."""
    return {
        "key": "wxid_lighthouse", "msgId": msg_id, "fromUser": "wxid_keeper",
        "toUser": "wxid_lighthouse", "msgType": 1, "content": "燈亮了", "isSelfMsg": False,
        "createTime": int(NOW) - 1, "isHistory": False, **fields,
    }  # fmt: skip


@dataclass(frozen=True)
class HookRequest:
    """A request as http.server read it. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def msg_id(self) -> str:
        return str(self.json["msgId"])


Answer = Callable[[BaseHTTPRequestHandler, HookRequest], None]


def status(number: int, **headers: str) -> Answer:
    """An empty answer; `Retry_After` becomes the Retry-After header."""

    def answer(handler: BaseHTTPRequestHandler, request: HookRequest) -> None:
        handler.send_response(number)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


class Endpoint:
    """A receiver built on http.server. Each of the first requests gets one of `answers`, and all
    later ones get the last."""

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        self.requests: list[HookRequest] = []
        self._answers = answers
        self._arrival = threading.Condition()
        self.url = ""

    def take(self, handler: BaseHTTPRequestHandler, request: HookRequest) -> None:
        with self._arrival:
            self.requests.append(request)
            answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        try:
            answer(handler, request)
        finally:
            with self._arrival:
                self._arrival.notify_all()

    async def arrived(self, count: int) -> list[HookRequest]:
        """The requests, once there are `count` of them and the last is answered."""

        def wait() -> None:
            with self._arrival:
                enough = self._arrival.wait_for(
                    lambda: len(self.requests) >= count, timeout=PATIENCE
                )
            assert enough, f"{len(self.got)} requests arrived, not {count}"

        await asyncio.to_thread(wait)
        return self.requests


@contextmanager
def endpoint(*answers: Answer) -> Iterator[Endpoint]:
    """A receiver on a free port; it answers 200 by default."""
    here = Endpoint(answers or (status(200),))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            here.take(self, HookRequest(self.command, self.path, headers, body))

        do_GET = do_POST  # noqa: N815 - a redirect that is followed may become a GET

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a sender that is killed resets its connections

    with Server(("127.0.0.1", 0), Handler) as server:
        here.url = f"http://127.0.0.1:{server.server_port}/hook?a=1"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield here
        finally:
            server.shutdown()
            thread.join()


def openssl(request: HookRequest, secret: str) -> str:
    """The signature that openssl computes for a request."""
    signed = request.headers["x-webhook-timestamp"].encode() + b":" + request.body
    command = [
        "openssl",
        "dgst",
        "-sha256",
        "-mac",
        "HMAC",
        "-macopt",
        f"hexkey:{secret.encode().hex()}",
        "-r",
    ]
    return subprocess.run(command, input=signed, capture_output=True, check=True).stdout.decode()[
        :64
    ]


@dataclass(frozen=True)
class ApiAnswer:
    """An answer of the API."""

    status: int
    code: int
    message: str
    data: Any


def ask(method: str, url: str, body: object = None) -> ApiAnswer:
    """One call of the API by urllib; `body` is bytes, or JSON."""
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = Request(url, content, {"Content-Type": "application/json"}, method=method)
    try:
        with urlopen(request, timeout=PATIENCE) as answer:
            return ApiAnswer(answer.status, **json.load(answer))
    except HTTPError as refusal:
        return ApiAnswer(refusal.code, **json.load(refusal))


async def call(method: str, url: str, body: object = None) -> ApiAnswer:
    """The same, without blocking the sender in this process."""
    return await asyncio.to_thread(ask, method, url, body)


@asynccontextmanager
async def api(settings: Settings | None = None) -> AsyncIterator[str]:
    """A sender in memory with short waits; yields the base URL of its API."""
    async with serving_sender(load("guide"), settings or Settings(pace=QUICK)) as base:
        yield base


async def create(base: str, url: str = URL, **fields: object) -> int:
    answer = await call("POST", f"{base}/Config", {"URL": url, "Secret": SECRET, **fields})
    assert (answer.status, answer.code, answer.message) == (200, 0, "success")
    return int(answer.data["ID"])


async def listed(base: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = (await call("GET", f"{base}/List")).data
    return entries


async def emit(base: str, *msg_ids: str, **fields: object) -> ApiAnswer:
    return await call("POST", f"{base}/Emit", [event(each, **fields) for each in msg_ids])


async def deliveries(base: str, state: str, count: int) -> list[dict[str, Any]]:
    """The deliveries in `state`, once there are `count` of them."""
    async with asyncio.timeout(PATIENCE):
        while True:
            entries: list[dict[str, Any]] = (
                await call("GET", f"{base}/Deliveries?status={state}")
            ).data
            if len(entries) >= count:
                return entries


def ids(hook: Endpoint) -> list[str]:
    return [request.msg_id for request in hook.requests]


class VirtualClock(Clock):
    """A clock that stands still until the test turns it."""

    def __init__(self) -> None:
        self._now = NOW
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now - NOW

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), woken))
        await woken

    async def turn(self, seconds: float = 0.0) -> None:
        """Let `seconds` pass; each sleeper wakes at its time, and runs until idle before the next."""
        end = self._now + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self._now = max(self._now, at)
                woken.set_result(None)
                await self._settle()
        self._now = end

    async def _settle(self) -> None:
        for _ in range(40):
            await asyncio.sleep(0)
