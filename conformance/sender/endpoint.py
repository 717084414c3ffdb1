"""One attempt: sign a body, post it to a configuration's URL, and describe the outcome.

An attempt always ends within the deadline for the whole answer, and never raises. Knows nothing of
retries. Guide: 請求頭, 驗證簽名, 接收流程, 伺服器要求 3.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType

import aiohttp

from conformance import __version__
from conformance.model.clock import Clock
from conformance.protocol.configuration import Configuration
from conformance.protocol.dialect import Dialect
from conformance.sender.addresses import public_socket
from conformance.sender.attempt import Answer, AttemptReply
from conformance.sender.behaviour import CORRECT, SenderBehaviour
from conformance.sender.deadlines import Deadlines
from conformance.sender.wording import of_fault, of_status

IDLE = 1.0
"""Seconds that an idle connection stays open: shorter than any server's limit, since a request sent
just as the server closes the connection is lost."""

_LOG = logging.getLogger("hookproof.sender")


Post = Callable[[Configuration, bytes, float], Awaitable[AttemptReply]]
"""Makes one attempt: sends a body, stamped with a time (Unix seconds), to a configuration's URL."""


class Endpoints:
    """The HTTP client for the URLs of all configurations. Use as an async context manager.

    `deny_private` refuses to connect to an address that is not public, whatever name resolved to it.
    `tls` says which certificates are trusted, the system's by default.
    """

    def __init__(
        self,
        dialect: Dialect,
        clock: Clock,
        *,
        deny_private: bool = False,
        tls: ssl.SSLContext | None = None,
        behaviour: SenderBehaviour = CORRECT,
    ) -> None:
        self._dialect = dialect
        self._clock = clock
        self._deny_private = deny_private
        self._tls = tls
        self._behaviour = behaviour
        self._deadlines = Deadlines()

    async def __aenter__(self) -> Endpoints:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # the workers limit themselves
                ssl=self._tls or ssl.create_default_context(),
                keepalive_timeout=IDLE,
                socket_factory=public_socket if self._deny_private else None,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            skip_auto_headers=("Accept", "Accept-Encoding"),
            headers={"User-Agent": f"Hookproof/{__version__}"},
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

    async def post(self, configuration: Configuration, body: bytes, now: float) -> AttemptReply:
        """Post `body`, stamped `now` and signed with the configuration's secret. A `Post`."""
        request = self._behaviour.compose(self._dialect, configuration, body, now)
        seconds = self._behaviour.deadline(configuration.timeout)
        started = self._clock.monotonic()
        try:
            # From the DNS look-up to the end of the answer.
            async with self._deadlines.within(seconds):
                answer = await self._behaviour.exchange(self._session, request)
            return self._reply(answer, started)
        except Exception as fault:
            problem = of_fault(fault, request.url.host or "", request.url.port or 0, seconds)
            if problem is None:
                _LOG.exception("an attempt failed in an unexpected way")
                problem = "the attempt failed inside the sender: see its log"
        return AttemptReply(None, problem, self._clock.monotonic() - started)

    def _reply(self, answer: Answer, started: float) -> AttemptReply:
        elapsed = self._clock.monotonic() - started
        problem = None if answer.status == 200 else of_status(answer.status, answer.location)
        return AttemptReply(
            answer.status, problem, elapsed, _seconds(answer.retry_after, self._clock.now())
        )


def _seconds(header: str | None, now: float) -> float | None:
    """The wait that a Retry-After header asks for, in seconds: it is a number or a date (RFC 9110,
    10.2.3). None without a header, or for one that cannot be parsed."""
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
