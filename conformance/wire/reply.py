"""The result of sending one request, and the bounds within which an answer is read."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.model.exchange import Answer, Fault, Headers

BODY_BYTES = 64 * 1024
"""How many bytes of an answer's body are recorded."""

ENDLESS_BYTES = 1024 * 1024
"""How many bytes of an answer's body are read before it counts as endless."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer or a fault, with the times that an exchange records (seconds, monotonic).

    `peer` is the IP address that answered, if there was a connection. An answer that broke off has
    both an answer and a fault."""

    answer: Answer | None
    fault: Fault | None
    detail: str
    started: float
    sent: float
    ended: float
    peer: str | None = None


def without(headers: Headers, overrides: Headers) -> Headers:
    """`headers` except those that `overrides` also holds: the user's headers take precedence."""
    names = {name.lower() for name, _ in overrides}
    return tuple((name, value) for name, value in headers if name.lower() not in names)


class EndlessError(Exception):
    """The answer's body exceeds the limit of a BodyCollector."""


class BodyCollector:
    """Collects an answer's body. It keeps BODY_BYTES, and raises EndlessError beyond ENDLESS_BYTES plus
    the size of the request, since a target may echo that."""

    def __init__(self, request_size: int) -> None:
        self._limit = ENDLESS_BYTES + request_size
        self._body = bytearray()
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._size += len(chunk)
        self._body += chunk[: max(0, BODY_BYTES - len(self._body))]
        if self._size > self._limit:
            raise EndlessError

    def answer(self, status: int, headers: Headers) -> Answer:
        """The answer with the body collected so far."""
        return Answer(status, headers, bytes(self._body), self._size > len(self._body))
