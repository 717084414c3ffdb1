"""Keep-alive connections to one host, as a webhook sender holds them.

Locust's own HTTP sessions follow redirects, keep cookies and reuse a connection however long it has
been idle. A sender does none of that (接收流程 2). Requests are written as the bytes that were
signed; geventhttpclient's parser reads the answers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit

import gevent
import gevent.socket
import gevent.ssl
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError, HTTPSocketResponse

from conformance import __version__
from conformance.model.exchange import Answer, Fault, Headers

USER_AGENT = f"Hookproof/{__version__}"

IDLE_LIMIT = 1.0
"""Seconds that an idle connection is kept. Shorter than any server's own limit, because a request
that is sent just as the server closes the connection is lost."""

BODY_LIMIT = 64 * 1024
"""Bytes of an answer's body that are read."""
ANSWER_LIMIT = 2 * BODY_LIMIT
"""Bytes of a whole answer, and of all 1xx answers before it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or the fault in its place."""

    answer: Answer | None
    fault: Fault | None = None
    detail: str = ""

    @property
    def status(self) -> int | None:
        """The answer's status; None without an answer."""
        return self.answer.status if self.answer is not None else None


class EndlessAnswerError(Exception):
    """The answer is longer than ANSWER_LIMIT."""


@dataclass(slots=True)
class _BoundedSocket:
    """What the parser reads from. A peer that never stops sending must not hold this process: while bytes
    keep coming, gevent's timeout does not fire."""

    sock: Any
    left: int = ANSWER_LIMIT

    def recv(self, size: int) -> bytes:
        data: bytes = self.sock.recv(size)
        self.left -= len(data)
        if self.left < 0:
            raise EndlessAnswerError
        return data

    def close(self) -> None:
        self.sock.close()


def _bounded(sock: Any) -> Any:  # the parser calls no other method of a socket
    return _BoundedSocket(sock)


class ConnectionPool:
    """Connections to the host of `url`.

    An exchange is abandoned after `timeout` seconds. `ca` is a file of certificates to trust in
    addition to the system's.
    """

    def __init__(self, url: str, timeout: float, ca: Path | None = None) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self._address = (parts.hostname or "", parts.port or (443 if secure else 80))
        self._tls = _tls_context(ca) if secure else None
        self._timeout = timeout
        self._idle: deque[tuple[Any, float]] = deque()

    def exchange(self, request: bytes) -> Reply:
        """Send the bytes of a request and read the answer. Never raises for what the host does."""
        sock = None
        try:
            with gevent.Timeout(self._timeout):
                sock = self._acquire()
                sock.sendall(request)
                answer = HTTPSocketResponse(_bounded(sock), method="POST")
                body = answer.read(BODY_LIMIT)
        except _FAULTS as problem:
            _close(sock)
            return Reply(None, _fault(problem), _describe(problem))
        except BaseException:  # Locust stops this user
            _close(sock)
            raise
        if answer.should_close():
            _close(sock)
        else:
            self._idle.append((sock, perf_counter() + IDLE_LIMIT))
        return Reply(Answer(answer.get_code(), _headers(answer), body, cut=len(body) == BODY_LIMIT))

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            _close(self._idle.pop()[0])

    def _acquire(self) -> Any:
        now = perf_counter()
        while self._idle and self._idle[0][1] < now:
            _close(self._idle.popleft()[0])
        return self._idle.pop()[0] if self._idle else self._connect()

    def _connect(self) -> Any:
        sock = gevent.socket.create_connection(self._address)
        sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        if self._tls is not None:
            return self._tls.wrap_socket(sock, server_hostname=self._address[0])
        return sock


def _tls_context(ca: Path | None) -> Any:
    context = gevent.ssl.create_default_context()
    if ca is not None:
        context.load_verify_locations(ca)
    return context


def _close(sock: Any) -> None:
    if sock is not None:
        sock.close()


def _headers(answer: HTTPSocketResponse) -> Headers:
    return tuple(
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.items()
    )


_FAULTS: Final = (gevent.Timeout, EndlessAnswerError, OSError, HTTPParseError, ValueError)


def _fault(problem: BaseException) -> Fault:
    match problem:
        case gevent.Timeout() | TimeoutError():
            return Fault.TIMEOUT
        case EndlessAnswerError():
            return Fault.ENDLESS
        case gevent.socket.gaierror():
            return Fault.DNS
        case gevent.ssl.SSLError():
            return Fault.TLS
        case ConnectionRefusedError():
            return Fault.REFUSED
        case OSError() | HTTPConnectionClosed():
            return Fault.CLOSED
        case _:
            broken_off = any(words in str(problem) for words in ("EOF", "Incomplete"))  # llhttp's
            return Fault.CLOSED if broken_off else Fault.GARBAGE


def _describe(problem: BaseException) -> str:
    """The problem without details such as addresses, and never in the words of the answer."""
    return (problem.strerror or "").lower() if isinstance(problem, OSError) else ""
