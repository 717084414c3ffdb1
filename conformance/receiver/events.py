"""What a receiver tells somebody who follows it, and how that one may ask for the next answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from conformance.model.exchange import Headers
from conformance.receiver.behaviour import Response
from conformance.receiver.script import Scripted


class NextAnswer(Protocol):
    """An answer that somebody asked for. Without a `status` the delivery is judged and takes effect as
    usual, and only its answer is late or broken; with one, nothing takes effect. `broken` is the
    fault by which the sender gets no whole answer."""

    @property
    def status(self) -> int | None: ...

    @property
    def broken(self) -> str | None: ...

    def scripted(self, answer: Response) -> Scripted:
        """What is done to a request that would be answered with `answer`."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery and the policy's answer to it, at the time `received` (Unix seconds). `next` is what
    the answer was turned into, if somebody asked for that."""

    received: float
    method: str
    path: str
    headers: Headers
    body: bytes
    answer: Response
    next: NextAnswer | None


class Follower(Protocol):
    """Somebody who follows a receiver, and serves beside it."""

    def add_to(self, app: web.Application) -> None:
        """Add routes of its own."""

    def next_answer(self) -> NextAnswer | None:
        """What to answer to the delivery that came now; None for the usual answer."""

    def delivered(self, delivered: Delivered) -> None:
        """Learn of a delivery, before it is answered."""
