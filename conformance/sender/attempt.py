"""The two steps of one attempt: compose a signed request, and exchange it for an answer.

Knows nothing of deadlines and faults, which `endpoint` handles, nor of what an answer means.
Guide: 請求頭, 驗證簽名, 接收流程 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
from yarl import URL

from conformance.protocol.configuration import Configuration
from conformance.protocol.dialect import Dialect, sign

READ = 64 * 1024
"""How many bytes of an answer are read. Only its status matters, so the rest may stay unread."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request, ready to send."""

    method: str
    url: URL
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The relevant part of an answer: its status, and the headers that say what to do next."""

    status: int
    location: str | None = None
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptReply:
    """The outcome of an attempt. `status` is None when no whole answer arrived in time. `problem` is
    a sentence about what is wrong, None for 200. `elapsed` and `retry_after` are in seconds."""

    status: int | None
    problem: str | None
    elapsed: float
    retry_after: float | None = None


def compose(dialect: Dialect, configuration: Configuration, body: bytes, now: float) -> Outgoing:
    """The request that delivers `body` to a configuration's URL, stamped `now` (Unix seconds) and
    signed with the configuration's secret."""
    timestamp = dialect.timestamp(now)
    signature = sign(dialect, configuration.secret, timestamp, body)
    headers = {
        "Content-Type": "application/json",
        dialect.timestamp_header: timestamp.decode(),
        dialect.signature_header: signature.decode(),
    }
    # Request the URL exactly as the user wrote it, without requoting.
    url = URL(configuration.url, encoded=configuration.url.isascii())
    return Outgoing("POST", url, headers, body)


async def exchange(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
    """Send a request and read the whole answer. Redirects are not followed: they lead to URLs that
    nobody configured."""
    async with session.request(
        request.method,
        request.url,
        data=request.body,
        headers=request.headers,
        allow_redirects=False,
    ) as answer:
        await _read(answer)
        headers = answer.headers
        return Answer(answer.status, headers.get("Location"), headers.get("Retry-After"))


async def _read(answer: aiohttp.ClientResponse) -> None:
    """Read the answer to its end. Past READ bytes, close its connection instead."""
    size = 0
    while piece := await answer.content.readany():
        size += len(piece)
        if size > READ:
            answer.close()
            return
