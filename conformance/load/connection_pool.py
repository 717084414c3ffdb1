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
from typing import Any
from urllib.parse import urlsplit

import gevent
import gevent.socket
import gevent.ssl
from geventhttpclient.response import HTTPParseError, HTTPSocketResponse

from conformance import __version__

USER_AGENT = f"Hookproof/{__version__}"

IDLE_LIMIT = 1.0
"""Seconds that an idle connection is kept. Shorter than any server's own limit, because a request
that is sent just as the server closes the connection is lost."""

BODY_LIMIT = 64 * 1024
"""Bytes of an answer's body that are read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or `status` None and the reason for its absence in `fault`."""

    status: int | None
    body: bytes = b""
    fault: str = ""


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

    def exchange(self, request: bytes, method: str = "POST") -> Reply:
        """Send the bytes of a request and read the answer. Never raises for what the host does."""
        sock = None
        try:
            with gevent.Timeout(self._timeout):
                sock = self._acquire()
                sock.sendall(request)
                answer = HTTPSocketResponse(sock, method=method)
                body = answer.read(BODY_LIMIT)
        except gevent.Timeout as timeout:
            _close(sock)
            return Reply(None, fault=f"none within {timeout.seconds:g} s")
        except (OSError, HTTPParseError, ValueError) as fault:
            _close(sock)
            return Reply(None, fault=_describe(fault))
        except BaseException:  # Locust stops this user
            _close(sock)
            raise
        if answer.should_close():
            _close(sock)
        else:
            self._idle.append((sock, perf_counter() + IDLE_LIMIT))
        return Reply(answer.get_code(), body)

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


def _describe(fault: Exception) -> str:
    """The kind of fault, without details such as addresses, so that equal faults are counted together."""
    if isinstance(fault, OSError):
        return (fault.strerror or type(fault).__name__).lower()
    return str(fault.args[0] if fault.args else type(fault).__name__).rstrip(".").lower()
