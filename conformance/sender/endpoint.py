"""One attempt: sign a body, post it to a configuration's URL, and say in words what came of it.

An attempt always ends, within the deadline for the whole answer, and never with an exception.
Knows nothing of retries. Guide: 請求頭, 驗證簽名, 接收流程, 伺服器要求 3.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType

import aiohttp
from yarl import URL

from conformance import __version__
from conformance.clock import Clock
from conformance.config import Configuration
from conformance.delivery import deadline
from conformance.dialect import Dialect, sign
from conformance.sender.addresses import public_socket
from conformance.sender.deadlines import Deadlines
from conformance.sender.words import of_fault, of_status

READ = 64 * 1024
"""Bytes of an answer that are read. Its status alone decides, so that the rest may stay unread."""

IDLE = 1.0
"""Seconds that an idle connection is kept: shorter than any server keeps one, since a request that
meets the moment in which the server closes it is lost."""

_LOG = logging.getLogger("hookproof.sender")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of an attempt. `status` is None when no whole answer came in time; `problem` says
    in words what is wrong, None for 200. `elapsed` and `retry_after` are seconds."""

    status: int | None
    problem: str | None
    elapsed: float
    retry_after: float | None = None


Post = Callable[[Configuration, bytes, float], Awaitable[Reply]]
"""Sends a body, stamped with a time (Unix seconds), as a configuration says."""


class Endpoints:
    """Whatever configurations point to. Use as an async context manager.

    `deny_private` refuses to connect to any address that is not a public one, whatever name led to
    it; `tls` says which certificates are trusted, the system's by default.
    """

    def __init__(
        self,
        dialect: Dialect,
        clock: Clock,
        *,
        deny_private: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._dialect = dialect
        self._clock = clock
        self._deny_private = deny_private
        self._tls = tls
        self._deadlines = Deadlines()

    async def __aenter__(self) -> Endpoints:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # the workers have bounds of their own
                ssl=self._tls or ssl.create_default_context(),
                keepalive_timeout=IDLE,
                socket_factory=public_socket if self._deny_private else None,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            skip_auto_headers=("Accept", "Accept-Encoding"),
            headers={
                "Content-Type": "application/json",
                "User-Agent": f"Hookproof/{__version__}",
            },
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def post(self, configuration: Configuration, body: bytes, now: float) -> Reply:
        """Post `body`, stamped `now` and signed with the configuration's secret. A `Post`."""
        headers = self._signed(configuration, body, now)
        # What the user wrote is what is asked for: nothing is quoted again.
        url = URL(configuration.url, encoded=configuration.url.isascii())
        seconds = deadline(configuration.timeout)
        started = self._clock.monotonic()
        status, problem, retry_after = None, None, None
        try:
            async with (
                # From the name's look-up to the end of the answer.
                self._deadlines.within(seconds),
                self._session.post(
                    url, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                await _read(answer)
                status = answer.status
                if status != 200:
                    problem = of_status(status, answer.headers.get("Location"))
                    retry_after = _seconds(answer.headers.get("Retry-After"), self._clock.now())
        except Exception as fault:
            status, problem = None, of_fault(fault, url.host or "", url.port or 0, seconds)
            if problem is None:
                _LOG.exception("an attempt failed in a way that is not known")
                problem = "the attempt failed inside the sender: see its log"
        return Reply(status, problem, self._clock.monotonic() - started, retry_after)

    def _signed(self, configuration: Configuration, body: bytes, now: float) -> dict[str, str]:
        dialect = self._dialect
        timestamp = dialect.timestamp(now)
        signature = sign(dialect, configuration.secret, timestamp, body)
        return {
            dialect.timestamp_header: timestamp.decode(),
            dialect.signature_header: signature.decode(),
        }


async def _read(answer: aiohttp.ClientResponse) -> None:
    """Read the answer to its end, or READ bytes of it: then the connection is of no more use."""
    size = 0
    while piece := await answer.content.readany():
        size += len(piece)
        if size > READ:
            answer.close()
            return


def _seconds(header: str | None, now: float) -> float | None:
    """The wait that a Retry-After header asks for: a number of seconds or a date (RFC 9110, 10.2.3);
    None when it asks for none, or for nothing that can be understood."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    # Without a zone it is UTC, as every date of HTTP is.
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
