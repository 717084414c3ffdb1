"""A connection of the mock receiver that keeps the bytes of a request which aiohttp cannot parse.

aiohttp answers such a request 400 by itself, before any handler sees it. Knows nothing of endpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

LIMIT = 64 * 1024
"""The most bytes that are kept: well above what aiohttp reads of a request line or a header."""


class Connection(web.RequestHandler):
    """Keeps what has been received since `forget`. `on_malformed` is called when that is no request."""

    __slots__ = ("_on_malformed", "place", "received")

    def __init__(
        self,
        server: web.Server,
        on_malformed: Callable[[Connection, web.StreamResponse, str], None],
        **settings: Any,
    ) -> None:
        super().__init__(server, **settings)
        self._on_malformed = on_malformed
        self.received = bytearray()
        self.place: str | None = None
        """The path of the request before, whose body may have been longer than its Content-Length."""

    def forget(self, path: str) -> None:
        """The request at `path` was whole: what follows is another one."""
        self.received.clear()
        self.place = path

    def data_received(self, data: bytes) -> None:
        self.received += data[: LIMIT - len(self.received)]
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        response = super().handle_error(request, status, exc, message)
        if isinstance(exc, HttpProcessingError):
            self._on_malformed(self, response, exc.message)
        return response
