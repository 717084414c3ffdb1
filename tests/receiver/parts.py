"""A reference receiver in this process, and clients that share no code with it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.client
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from conformance.live.page import LivePage
from conformance.model.clock import Clock
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.receiver.app import ENDPOINT, Settings, serving
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.receiver.inbox import Inbox
from conformance.scenario.dialects import load
from conformance.storage.database import MEMORY
from tests.patience import PATIENCE

SECRET = "a lighthouse, 燈塔"
NOW = 1769845800


class StoppedClock(Clock):
    """A clock that shows NOW."""

    def now(self) -> float:
        return NOW


@dataclass(frozen=True)
class ClientResponse:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@asynccontextmanager
async def receiver(behaviour: ReceiverBehaviour | None = None) -> AsyncIterator[str]:
    """A receiver in memory whose clock shows NOW; yields its base URL."""
    signer = Signer(load("guide"), Secret(SECRET.encode()))
    settings = Settings(follower=LivePage(signer, "127.0.0.1"))
    async with (
        Inbox(MEMORY) as inbox,
        serving(
            behaviour or ReceiverBehaviour(), inbox, signer, settings, clock=StoppedClock()
        ) as base,
    ):
        yield base


def body(msg_id: str = "1", **fields: object) -> bytes:
    message = {
        "key": "wxid_lighthouse", "msgId": msg_id, "timestamp": NOW, "fromUser": "wxid_keeper",
        "toUser": "wxid_lighthouse", "msgType": 1, "content": "燈亮了", "isSelfMsg": False,
        "createTime": NOW - 1, "isHistory": False,
    }  # fmt: skip
    return json.dumps({**message, **fields}, ensure_ascii=False).encode()


def signature(content: bytes, timestamp: bytes = b"%d" % NOW, secret: str = SECRET) -> bytes:
    mac = hmac.new(secret.encode(), timestamp + b":" + content, hashlib.sha256)
    return mac.hexdigest().encode()


Lines = list[tuple[str, bytes]]


def signed(content: bytes, timestamp: bytes = b"%d" % NOW) -> Lines:
    return [
        ("Content-Type", b"application/json"),
        ("X-Webhook-Timestamp", timestamp),
        ("X-Webhook-Signature", signature(content, timestamp)),
    ]


def ask(base: str, method: str, target: str, content: bytes | None, lines: Lines) -> ClientResponse:
    """One request by http.client, on its own connection."""
    with closing(http.client.HTTPConnection(urlsplit(base).netloc, timeout=PATIENCE)) as connection:
        connection.putrequest(method, target)
        for name, value in lines:
            connection.putheader(name, value)
        if content is not None:
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content)
        answer = connection.getresponse()
        return ClientResponse(answer.status, dict(answer.getheaders()), answer.read())


async def post(
    base: str, content: bytes, lines: Lines | None = None, method: str = "POST"
) -> ClientResponse:
    lines = signed(content) if lines is None else lines
    return await asyncio.to_thread(ask, base, method, ENDPOINT, content, lines)


async def get(base: str, target: str) -> ClientResponse:
    return await asyncio.to_thread(ask, base, "GET", target, None, [])


async def count(base: str, msg_id: str = "1") -> int:
    response = await get(base, f"/processed?msgId={quote(msg_id, safe='')}")
    assert set(response.json) == {"count"}
    return int(response.json["count"])


def head(*lines: tuple[str, bytes]) -> bytes:
    """The head of a request, for a raw socket."""
    whole = [("Host", b"localhost"), ("Connection", b"close"), *signed(body()), *lines]
    fields = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in whole)
    return b"POST " + ENDPOINT.encode() + b" HTTP/1.1\r\n" + fields + b"\r\n"
