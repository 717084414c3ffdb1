"""The interface between a receiver and its follower, such as the live page.

The follower learns of every delivery, and may choose the next answer. Knows nothing of pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from conformance.model.exchange import Headers
from conformance.receiver.behaviour import Response
from conformance.receiver.script import Scripted


class NextAnswer(Protocol):
    """An answer that the follower requests. Without a `status` the delivery is judged and takes
    effect as usual, and only its answer is late or broken; with one, nothing takes effect. `broken`
    is the fault that keeps the sender from getting a whole answer."""

    @property
    def status(self) -> int | None: ...

    @property
    def broken(self) -> str | None: ...

    def scripted(self, answer: Response) -> Scripted:
        """The script for a request whose usual answer is `answer`."""


@dataclass(frozen=True, slots=True)
class DeliveryNotice:
    """A delivery at the time `received` (Unix seconds), and the behaviour's answer to it. `next` is
    the answer that replaced it, if the follower requested one."""

    received: float
    method: str
    path: str
    headers: Headers
    body: bytes
    answer: Response
    next: NextAnswer | None


class Follower(Protocol):
    """Observes a receiver, and serves routes beside it."""

    def add_to(self, app: web.Application) -> None:
        """Add routes of its own."""

    def next_answer(self) -> NextAnswer | None:
        """The answer to the delivery that has just arrived; None for the usual one."""

    def on_delivery(self, notice: DeliveryNotice) -> None:
        """Learn of a delivery, before it is answered."""
