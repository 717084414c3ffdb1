"""Keep-alive connections to one host, as a webhook's sender holds them.

Locust's own HTTP sessions follow redirects, keep cookies and take up a connection however long it has
been idle, of which a sender does nothing (接收流程 2). Requests are written as the bytes that were
signed; answers are read by geventhttpclient's parser.
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

IDLE = 1.0
"""Seconds that an idle connection is kept: shorter than any server keeps one, since a request that
meets the moment in which the server closes it is lost."""

KEPT = 64 * 1024
"""Bytes of an answer that are read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, or None for its status and in words what came instead of one."""

    status: int | None
    body: bytes = b""
    fault: str = ""


class Line:
    """Connections to the host of `url`. An exchange is given up after `patience` seconds; `ca` holds
    certificates to trust beside the system's."""

    def __init__(self, url: str, patience: float, ca: Path | None = None) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self._address = (parts.hostname or "", parts.port or (443 if secure else 80))
        self._tls = _trust(ca) if secure else None
        self._patience = patience
        self._idle: deque[tuple[Any, float]] = deque()

    def exchange(self, request: bytes, method: str = "POST") -> Reply:
        """Send the bytes of a request and read the answer. Never raises for what the host does."""
        sock = None
        try:
            with gevent.Timeout(self._patience):
                sock = self._take()
                sock.sendall(request)
                answer = HTTPSocketResponse(sock, method=method)
                body = answer.read(KEPT)
        except gevent.Timeout as timeout:
            _close(sock)
            return Reply(None, fault=f"none within {timeout.seconds:g} s")
        except (OSError, HTTPParseError, ValueError) as fault:
            _close(sock)
            return Reply(None, fault=_said(fault))
        except BaseException:  # this user is stopped
            _close(sock)
            raise
        if answer.should_close():
            _close(sock)
        else:
            self._idle.append((sock, perf_counter() + IDLE))
        return Reply(answer.get_code(), body)

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            _close(self._idle.pop()[0])

    def _take(self) -> Any:
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


def _trust(ca: Path | None) -> Any:
    context = gevent.ssl.create_default_context()
    if ca is not None:
        context.load_verify_locations(ca)
    return context


def _close(sock: Any) -> None:
    if sock is not None:
        sock.close()


def _said(fault: Exception) -> str:
    """What went wrong, without what differs from one time to the next."""
    if isinstance(fault, OSError):
        return (fault.strerror or type(fault).__name__).lower()
    return str(fault.args[0] if fault.args else type(fault).__name__).rstrip(".").lower()
