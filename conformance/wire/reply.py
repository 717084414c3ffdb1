"""What came of putting one request on the wire, and the bounds within which an answer is read."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.model.exchange import Answer, Fault, Headers

KEPT = 64 * 1024
"""Bytes of an answer's body that are kept."""

READ = 1024 * 1024
"""Bytes of an answer's body that are read before it counts as endless."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer or a fault, with the times (seconds, monotonic) that an exchange records."""

    answer: Answer | None
    fault: Fault | None
    detail: str
    started: float
    sent: float
    ended: float
    peer: str | None = None


def without(headers: Headers, names: Headers) -> Headers:
    """`headers` but for those that stand in `names` too: what the user gives goes first."""
    given = {name.lower() for name, _ in names}
    return tuple(each for each in headers if each[0].lower() not in given)


class EndlessError(Exception):
    """An answer's body that is longer than READ."""


class Body:
    """Collects an answer's body: keeps KEPT bytes, and raises EndlessError past READ and the size
    of the request, since a target may send that back."""

    def __init__(self, sent: int) -> None:
        self._most = READ + sent
        self._kept = bytearray()
        self._seen = 0

    def add(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._seen += len(chunk)
        self._kept += chunk[: max(0, KEPT - len(self._kept))]
        if self._seen > self._most:
            raise EndlessError

    def answer(self, status: int, headers: tuple[tuple[bytes, bytes], ...]) -> Answer:
        """The answer with what was collected."""
        return Answer(status, headers, bytes(self._kept), self._seen > len(self._kept))
