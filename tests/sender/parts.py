"""What the tests of the sender share: an event, an endpoint of another make, a client, a clock."""

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
    """A message event as it is given to Emit: the guide's body without `timestamp`."""
    return {
        "key": "wxid_lighthouse", "msgId": msg_id, "fromUser": "wxid_keeper",
        "toUser": "wxid_lighthouse", "msgType": 1, "content": "燈亮了", "isSelfMsg": False,
        "createTime": int(NOW) - 1, "isHistory": False, **fields,
    }  # fmt: skip


@dataclass(frozen=True)
class Got:
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


Answer = Callable[[BaseHTTPRequestHandler, Got], None]


def status(number: int, **headers: str) -> Answer:
    """An empty answer; `Retry_After` stands for Retry-After."""

    def answer(handler: BaseHTTPRequestHandler, got: Got) -> None:
        handler.send_response(number)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


class Endpoint:
    """A receiver by http.server. The first requests get `answers`, one each, and the last of them
    is everybody else's."""

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        self.got: list[Got] = []
        self._answers = answers
        self._arrival = threading.Condition()
        self.url = ""

    def take(self, handler: BaseHTTPRequestHandler, got: Got) -> None:
        with self._arrival:
            self.got.append(got)
            answer = self._answers[min(len(self.got), len(self._answers)) - 1]
        try:
            answer(handler, got)
        finally:
            with self._arrival:
                self._arrival.notify_all()

    async def arrived(self, count: int) -> list[Got]:
        """The requests, once there are `count` of them and the last is answered."""

        def wait() -> None:
            with self._arrival:
                enough = self._arrival.wait_for(lambda: len(self.got) >= count, timeout=PATIENCE)
            assert enough, f"{len(self.got)} requests came, not {count}"

        await asyncio.to_thread(wait)
        return self.got


@contextmanager
def endpoint(*answers: Answer) -> Iterator[Endpoint]:
    """A receiver on a free port; it answers 200 unless told otherwise."""
    here = Endpoint(answers or (status(200),))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            here.take(self, Got(self.command, self.path, headers, body))

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


def openssl(got: Got, secret: str) -> str:
    """The signature that openssl works out for what came."""
    signed = got.headers["x-webhook-timestamp"].encode() + b":" + got.body
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
class Said:
    """An answer of the API."""

    status: int
    code: int
    message: str
    data: Any


def ask(method: str, url: str, body: object = None) -> Said:
    """One call of the API by urllib; `body` is bytes, or JSON."""
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = Request(url, content, {"Content-Type": "application/json"}, method=method)
    try:
        with urlopen(request, timeout=PATIENCE) as answer:
            return Said(answer.status, **json.load(answer))
    except HTTPError as refusal:
        return Said(refusal.code, **json.load(refusal))


async def call(method: str, url: str, body: object = None) -> Said:
    """The same, beside the sender in this process."""
    return await asyncio.to_thread(ask, method, url, body)


@asynccontextmanager
async def api(settings: Settings | None = None) -> AsyncIterator[str]:
    """A sender in memory that does not wait long; gives its API's base URL."""
    async with serving_sender(load("guide"), settings or Settings(pace=QUICK)) as base:
        yield base


async def create(base: str, url: str = URL, **fields: object) -> int:
    said = await call("POST", f"{base}/Config", {"URL": url, "Secret": SECRET, **fields})
    assert (said.status, said.code, said.message) == (200, 0, "success")
    return int(said.data["ID"])


async def listed(base: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await call("GET", f"{base}/List")).data
    return found


async def emit(base: str, *msg_ids: str, **fields: object) -> Said:
    return await call("POST", f"{base}/Emit", [event(each, **fields) for each in msg_ids])


async def deliveries(base: str, state: str, count: int) -> list[dict[str, Any]]:
    """The deliveries in `state`, once there are `count` of them."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found: list[dict[str, Any]] = (
                await call("GET", f"{base}/Deliveries?status={state}")
            ).data
            if len(found) >= count:
                return found


def ids(hook: Endpoint) -> list[str]:
    return [got.msg_id for got in hook.got]


class VirtualClock(Clock):
    """A clock that stands still until it is turned."""

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
        """Let `seconds` pass; whoever sleeps wakes at its time, and comes to rest before the next."""
        until = self._now + seconds
        await self._rest()
        while self._sleepers and self._sleepers[0][0] <= until:
            at, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self._now = max(self._now, at)
                woken.set_result(None)
                await self._rest()
        self._now = until

    async def _rest(self) -> None:
        for _ in range(40):
            await asyncio.sleep(0)
