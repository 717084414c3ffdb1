"""Whole runs against a receiver that is a function: no sockets, and a clock that is turned."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from conformance.engine.events import Event
from conformance.engine.receiver.side import ReceiverSide
from conformance.engine.runner import Runner
from conformance.model.clock import Clock
from conformance.model.exchange import Answer, Fault, Request, Transport
from conformance.model.report import Report
from conformance.options.receiver import Options
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.receiver.behaviour import ReceiverBehaviour, Response
from conformance.receiver.inbox import Delivery
from conformance.scenario import dialects
from conformance.wire.reply import Reply
from conformance.wire.transport import SendOptions
from tests.turned_loop import run_turned

KEY = Secret(b"5ecret-in-memory")
NOW = 1_760_000_000
URL = "http://receiver.invalid/hook"
OBSERVER = "http://receiver.invalid/processed?msgId={msgId}"
BROKEN_OFF = (Transport.CUT, Transport.OVERLONG, Transport.GIVE_UP, Transport.RESET)

Step = Callable[[Request, int], Awaitable[int | Fault | None]]
"""What a receiver does with a request and its number, before anything else: answers it with a status, does
not answer it, or lets it be judged (None)."""


class LoopClock(Clock):
    """The time of the loop, which is turned."""

    def now(self) -> float:
        return NOW + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


async def take(request: Request, number: int) -> None:
    """Let every request be judged."""


@dataclass
class Receiver:
    """The reference receiver without HTTP, after `first`. It is its own inbox."""

    first: Step = take
    behaviour: ReceiverBehaviour = field(default_factory=ReceiverBehaviour)
    clock: Clock = field(default_factory=LoopClock)
    effects: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)

    async def send(self, request: Request, options: SendOptions) -> Reply:
        """A transport that leads here."""
        time = self.clock.monotonic
        started = time()
        if request.method == "GET":
            (msg_id,) = parse_qs(urlsplit(request.url).query)["msgId"]
            body = json.dumps({"count": self.count(msg_id)}).encode()
            return Reply(Answer(200, (), body), None, "", started, started, started)
        self.requests.append(request)
        status = await self.first(request, len(self.requests))
        if isinstance(status, Fault):
            return Reply(None, status, "", started, started, time())
        if request.transport in BROKEN_OFF:
            return Reply(None, Fault.GIVEN_UP, "", started, started, time())
        answer = Response(status) if status is not None else await self._take(request)
        return Reply(Answer(answer.status, (), answer.body), None, "", started, started, time())

    async def _take(self, request: Request) -> Response:
        behaviour, signer = self.behaviour, Signer(dialects.load("guide"), KEY)
        try:
            arrival = behaviour.examine(
                request.headers, request.body, signer, self.clock.now(), connected=lambda: True
            )
            if isinstance(arrival, Response):
                return arrival
            stored = await behaviour.store(self, arrival, behaviour.key(arrival))  # type: ignore[arg-type]
        except Exception:
            return Response(500)
        return stored if isinstance(stored, Response) else behaviour.acknowledge(arrival, stored)

    async def add(self, delivery: Delivery, key: str | None) -> bool:
        """As an inbox does."""
        new = key is None or key not in self.keys
        self.keys |= {key or ""}
        self.effects[delivery.msg_id] += new
        return new

    def count(self, msg_id: str) -> int:
        """As an inbox does."""
        return self.effects[msg_id]


@dataclass
class Run:
    """A run that is over: its report, its events, and how many seconds it took by its own clock."""

    report: Report
    events: list[Event]
    runner: Runner
    seconds: float


def judge(receiver: Receiver, *rules: str, **options: object) -> Run:
    """A whole run against a receiver in memory."""
    settings = Options(
        url=URL,
        secret=KEY,
        dialect=dialects.load("guide"),
        rules=rules,
        **{"observer_url": OBSERVER, "fuzz": 0, **options},
    )
    events: list[Event] = []
    runner = Runner(ReceiverSide(settings, receiver.send), events.append, receiver.clock)

    async def judged() -> tuple[Report, float]:
        return await runner.report(), asyncio.get_running_loop().time()

    report, seconds = run_turned(judged())
    return Run(report, events, runner, seconds)
