"""What a run needs of the wire: one callable, so that a run needs no sockets where a test has none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from conformance.model.exchange import Request
from conformance.wire.raw import Connection, Gate
from conformance.wire.reply import Reply


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How to send a request, besides what the request itself says.

    With `pooled`, well-formed requests go through a pool; without it, over plain streams, whose parser reads
    one answer and ignores the bytes after it, while the pool's refuses an answer that is longer than its
    Content-Length. `reused` says whether requests of the pool may share connections, `trusting` whether any
    certificate is accepted. Connections of an earlier `generation` are closed.

    Requests that share a `gate` go out at once, past the limit on requests in flight. `kept` holds the
    connection that the keep-alive requests of one case share; the caller closes it.
    """

    pooled: bool = True
    reused: bool = True
    trusting: bool = False
    generation: int = 0
    gate: Gate | None = None
    kept: list[Connection] | None = None

    def renewed(self) -> SendOptions:
        """The same with new connections: the target may have closed its end of idle ones."""
        return replace(self, generation=self.generation + 1)


ORDINARY = SendOptions()

SendRequest = Callable[[Request, SendOptions], Awaitable[Reply]]
"""Sends one request. Always ends, with an answer or a fault."""
