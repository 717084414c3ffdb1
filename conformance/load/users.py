"""The users: what is said and sent in which order, as a webhook's sender would.

Each is one of Locust's FastHttpUsers, so that its weights, its web form and its workers are Locust's.
They share a `Part`, which judges every answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from random import Random
from time import perf_counter, time
from typing import ClassVar, NamedTuple, TypeVar

import gevent
from gevent.pool import Group
from locust import FastHttpUser, task
from locust.exception import CatchResponseError
from locust.user.task import LOCUST_STATE_STOPPING

from conformance.load.connection_pool import Line
from conformance.load.ledger import FORGED, REPEATED, VALID, Came, Kind
from conformance.load.traffic import Template
from conformance.load.worker import PATIENCE, Part, now
from conformance.protocol.delivery import Backoff
from conformance.protocol.dialect import sign

RETRIES = 8
"""How often a message that was not answered 200 in time is sent again."""
BACKOFF = Backoff(base=0.25, cap=4.0)

COPIES = 5
"""Of a message, at once."""
MEMORY = 64
"""Messages that a user can repeat later."""
PILE = 20
"""Messages that have piled up when a sender comes back."""
FORGERIES = 8
"""Forgeries between two messages in order."""


T = TypeVar("T")


class Sent(NamedTuple):
    """A message that was sent, and can be again: its body was pushed at `pushed` (Unix seconds)."""

    template: Template
    number: int
    pushed: int


class Sender(FastHttpUser):
    """What all users have in common. `part` is set when a run begins."""

    abstract = True
    name: ClassVar[str]
    part: ClassVar[Part]

    def on_start(self) -> None:
        """Take a place in the run: what this user says, and when."""
        settings = self.part.settings
        self.line = Line(settings.host, settings.deadline * PATIENCE, settings.ca)
        number = next(self.part.numbers)
        self.part.figures.users += 1
        self.random = Random(f"{settings.seed}-{self.part.ledger.worker}-{number}")  # noqa: S311
        self._at = number * 37
        self._owed: list[tuple[Sent, int]] = []
        self._outage = 0
        self._interval = 1 / settings.user_rate if settings.user_rate else 0.0
        self._due = perf_counter() + self._interval * self.random.random()
        self._held = False
        if self._interval:
            gevent.sleep(max(0.0, self._due - perf_counter()))

    def on_stop(self) -> None:
        """Note what was due and is not sent any more."""
        if self._interval:
            self.part.owe(self._due, self._interval)
        self.line.close()

    def wait_time(self) -> float:
        """Seconds until the next requests are due; none without a pace."""
        if not self._interval:
            return 0.0
        wait = self._due - perf_counter()
        self._held = wait < 0
        return max(0.0, wait)

    def begin(self, requests: int) -> None:
        """Begin so many requests, which are due together."""
        if not self._interval:
            self.part.offer(requests, None)
            return
        self.part.offer(requests, self._due, held=self._held)
        self._due += self._interval * requests

    def utterance(self) -> tuple[Template, ...]:
        """What is said next."""
        utterances = self.part.utterances
        self._at += 1
        return utterances[self._at % len(utterances)]

    def deliver(self, template: Template) -> Sent:
        """Send a new message, and again should it fail."""
        sent = Sent(template, self.part.ledger.fresh(VALID), now())
        if not self._attempt(Kind.MESSAGE, sent):
            self._owed.append((sent, 1))
        return sent

    def repeat(self, sent: Sent, *, afresh: bool = False, kind: Kind = Kind.REPEAT) -> bool:
        """Send a message again, signed now; `afresh`: pushed now as well."""
        self.part.ledger.states[sent.number] |= REPEATED
        return self._attempt(kind, sent._replace(pushed=now()) if afresh else sent)

    def at_once(self, calls: Iterable[Callable[[], T]]) -> list[T]:
        """Run all `calls` at the same time; what they gave."""
        group = Group()
        try:
            running = [group.spawn(call) for call in calls]
            group.join()
        finally:
            group.kill(block=False)
        return [each.get() for each in running]

    def catch_up(self) -> None:
        """Send again what has failed, all at once after a wait, until nothing is owed: what a sender
        does when an outage is over."""
        while self._owed and self._state != LOCUST_STATE_STOPPING:
            self._outage += 1
            gevent.sleep(BACKOFF.wait(self._outage, self.random.random()))
            owed, self._owed = self._owed, []
            self.part.offer(len(owed), None)
            self.at_once([partial(self._retry, *each) for each in owed])
        self._outage = 0

    def fresh_enough(self, sent: Sent) -> bool:
        """Whether a receiver is bound to know the message still."""
        return len(self.part.ledger.states) - sent.number <= self.part.within

    def post(self, kind: Kind, request: bytes) -> Came:
        """Send the bytes of a request, judge what came, and tell Locust."""
        part = self.part
        begun = part.begin()
        reply = self.line.exchange(request)
        came, elapsed = part.judge(kind, reply, begun)
        fault = None
        if came is not Came.RIGHT:
            fault = CatchResponseError(reply.fault or f"{came}: {reply.status}")
        self.environment.events.request.fire(
            request_type="POST",
            name=kind.value,
            response_time=elapsed * 1000,
            response_length=len(reply.body),
            response=reply,
            context={},
            exception=fault,
            start_time=time() - elapsed,
            url=part.settings.path,
        )
        return came

    def _retry(self, sent: Sent, attempts: int) -> None:
        if not self.repeat(sent, kind=Kind.RETRY) and attempts < RETRIES:
            self._owed.append((sent, attempts + 1))

    def _attempt(self, kind: Kind, sent: Sent) -> bool:
        """Sign and send a message; whether it was answered 200 in time."""
        part = self.part
        signer = part.settings.signer
        body = sent.template.body(part.ledger.msg_id(sent.number), sent.pushed)
        stamp = signer.dialect.timestamp(time())
        signature = sign(signer.dialect, signer.secret, stamp, body)
        came = self.post(kind, part.request(stamp, (signature,), body))
        if came in (Came.RIGHT, Came.LATE):
            part.acknowledge(sent.number)
        return came is Came.RIGHT


class Ordinary(Sender):
    """A group that talks in bursts, or a friend."""

    name = "ordinary"

    @task
    def talk(self) -> None:
        """Say one thing, or several at once."""
        burst = self.utterance()
        self.begin(len(burst))
        if len(burst) == 1:
            self.deliver(burst[0])
        else:
            self.at_once([partial(self.deliver, each) for each in burst])
        self.catch_up()


class Repeats(Sender):
    """A sender that sends what it has sent before: at once, together, and later."""

    name = "repeats"

    def on_start(self) -> None:
        """Nothing has been sent yet."""
        super().on_start()
        self._earlier: deque[Sent] = deque(maxlen=MEMORY)

    @task(4)
    def in_turn(self) -> None:
        """A message, then the same message; every other time with a fresh time of its push."""
        self.begin(2)
        sent = self.deliver(self.utterance()[0])
        self.repeat(sent, afresh=sent.number % 2 == 0)
        self._earlier.append(sent)
        self.catch_up()

    @task(2)
    def together(self) -> None:
        """Copies of a message that nobody has seen, at once."""
        self.begin(COPIES)
        sent = Sent(self.utterance()[0], self.part.ledger.fresh(VALID), now())
        self.at_once([partial(self.repeat, sent)] * COPIES)
        self._earlier.append(sent)

    @task(4)
    def later(self) -> None:
        """The oldest message that the receiver is bound to know still."""
        while self._earlier and not self.fresh_enough(self._earlier[0]):
            self._earlier.popleft()
        if not self._earlier:
            return self.in_turn()
        self.begin(1)
        self.repeat(self._earlier.popleft())
        return None


class Forgeries(Sender):
    """Somebody who does not know the secret, between messages in order that show it is heard."""

    name = "forgeries"

    def on_start(self) -> None:
        """Nothing is known yet."""
        super().on_start()
        self._known: Sent | None = None
        self._turn = self.random.randrange(len(self.part.forgeries))

    @task
    def forge(self) -> None:
        """A message in order, then forgeries of every kind in turn: the first with its id."""
        self.begin(1 + FORGERIES)
        known = self.deliver(self.utterance()[0])
        self._forge(known.template, known.number)
        for _ in range(FORGERIES - 1):
            self._forge(self.utterance()[0], self.part.ledger.fresh(FORGED))
        self.catch_up()

    def _forge(self, template: Template, number: int) -> None:
        part = self.part
        signer = part.settings.signer
        stamp = signer.dialect.timestamp(time())
        signed = signer.sign(stamp, template.body(part.ledger.msg_id(number), now()))
        self._turn += 1
        damage = part.forgeries[self._turn % len(part.forgeries)]
        forged = damage(signed, signer)
        self.post(Kind.FORGERY, part.request(forged.timestamp, forged.signatures, forged.body))


class Storms(Sender):
    """A sender that was down and no longer knows which of its messages were answered."""

    name = "storms"

    @task
    def come_back(self) -> None:
        """Every other message of a pile is delivered; then, signed anew, the whole pile at once."""
        self.begin(PILE + PILE // 2)
        pile = [self.utterance()[0] for _ in range(PILE)]
        delivered = self.at_once([partial(self.deliver, each) for each in pile[::2]])
        known = [each for each in delivered if self.fresh_enough(each)]
        calls: list[Callable[[], object]] = [
            *(partial(self.repeat, each, kind=Kind.RETRY) for each in known),
            *(partial(self.deliver, each) for each in pile[1::2]),
        ]
        self.at_once(calls)
        self.catch_up()


USERS: tuple[type[Sender], ...] = (Ordinary, Repeats, Forgeries, Storms)
"""The kinds of users, each by its `name` in --mix."""
