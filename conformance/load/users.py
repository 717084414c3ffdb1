"""The users: which messages they send, and in which order, as a webhook sender would.

Each is a FastHttpUser of Locust's, so weights, the web form and worker processes are left to Locust.
The users of a process share a `Worker`, which judges every answer.
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

from conformance.load.connection_pool import ConnectionPool
from conformance.load.ledger import FORGED, REPEATED, VALID
from conformance.load.traffic import Burst, Template
from conformance.load.worker import TIMEOUT_DEADLINES, Post, Worker, unix_time
from conformance.model.load import Kind, ResponseClass
from conformance.protocol.delivery import Backoff
from conformance.protocol.dialect import sign

RETRIES = 8
"""How often a message that was not answered 200 in time is retried."""
BACKOFF = Backoff(base=0.25, cap=4.0)

COPIES = 5
"""Copies of a message that are sent at once."""
MEMORY = 64
"""Messages that a user remembers, to repeat them later."""
BACKLOG = 20
"""Messages that are waiting when a sender comes back."""
FORGERIES = 8
"""Forgeries between two valid messages."""

T = TypeVar("T")


class SentMessage(NamedTuple):
    """A message that was sent and can be sent again. `pushed` is its body's timestamp in Unix seconds."""

    template: Template
    number: int
    pushed: int


class Sender(FastHttpUser):
    """What all users have in common. `worker` is set when a run begins."""

    abstract = True
    name: ClassVar[str]
    worker: ClassVar[Worker]

    def on_start(self) -> None:
        """Join the run: choose this user's place among the bursts and on the timetable."""
        settings = self.worker.settings
        timeout = settings.deadline * TIMEOUT_DEADLINES
        self.connections = ConnectionPool(settings.host, timeout, settings.ca)
        number = next(self.worker.user_numbers)
        self.worker.figures.users += 1
        self.random = Random(f"{settings.seed}-{self.worker.ledger.worker}-{number}")  # noqa: S311
        self._burst_number = number * 37
        self._retries: list[tuple[SentMessage, int]] = []
        self._failed_rounds = 0
        self._interval = 1 / settings.user_rate if settings.user_rate else 0.0
        self._due = perf_counter() + self._interval * self.random.random()
        self._held_up = False
        if self._interval:
            gevent.sleep(max(0.0, self._due - perf_counter()))

    def on_stop(self) -> None:
        """Record the requests that were due and will not be sent."""
        if self._interval:
            self.worker.note_unsent(self._due, self._interval)
        self.connections.close()

    def wait_time(self) -> float:
        """Seconds until the next requests are due; 0 without a pace."""
        if not self._interval:
            return 0.0
        wait = self._due - perf_counter()
        self._held_up = wait < 0
        return max(0.0, wait)

    def note_start(self, requests: int) -> None:
        """Record the start of this many requests, which are due together."""
        if not self._interval:
            self.worker.note_start(requests)
            return
        self.worker.note_start(requests, self._due, held_up=self._held_up)
        self._due += self._interval * requests

    def next_burst(self) -> Burst:
        """The messages to send next."""
        bursts = self.worker.bursts
        self._burst_number += 1
        return bursts[self._burst_number % len(bursts)]

    def deliver(self, template: Template) -> SentMessage:
        """Send a new message; if that fails, `catch_up` will retry it."""
        message = SentMessage(template, self.worker.ledger.add_message(VALID), unix_time())
        if not self._attempt(Kind.MESSAGE, message):
            self._retries.append((message, 1))
        return message

    def repeat(
        self, message: SentMessage, *, new_timestamp: bool = False, kind: Kind = Kind.REPEAT
    ) -> bool:
        """Send a message again, signed now; with a `new_timestamp` in its body, if asked for.

        Returns whether it was answered 200 in time.
        """
        self.worker.ledger.states[message.number] |= REPEATED
        if new_timestamp:
            message = message._replace(pushed=unix_time())
        return self._attempt(kind, message)

    def run_concurrently(self, calls: Iterable[Callable[[], T]]) -> list[T]:
        """Run all `calls` at the same time; returns their results in order."""
        group = Group()
        try:
            greenlets = [group.spawn(call) for call in calls]
            group.join()
        finally:
            group.kill(block=False)
        return [greenlet.get() for greenlet in greenlets]

    def catch_up(self) -> None:
        """Retry all failed deliveries at once after a wait, until none is left: what a sender does when
        an outage is over."""
        while self._retries and self._state != LOCUST_STATE_STOPPING:
            self._failed_rounds += 1
            gevent.sleep(BACKOFF.wait(self._failed_rounds, self.random.random()))
            retries, self._retries = self._retries, []
            self.worker.note_start(len(retries))
            self.run_concurrently([partial(self._retry, *retry) for retry in retries])
        self._failed_rounds = 0

    def is_repeatable(self, message: SentMessage) -> bool:
        """Whether the message is recent enough that the receiver must still recognize a repeat."""
        return len(self.worker.ledger.states) - message.number <= self.worker.repeat_window

    def post(self, post: Post) -> ResponseClass:
        """Send a request, judge the reply, and report it to Locust."""
        worker = self.worker
        start = worker.begin_request()
        reply = self.connections.exchange(post.request)
        response_class, elapsed = worker.judge(post, reply, start)
        fault = None
        if response_class is not ResponseClass.RIGHT:
            fault = CatchResponseError(f"{response_class}: {reply.status or reply.fault}")
        self.environment.events.request.fire(
            request_type="POST",
            name=post.kind.value,
            response_time=elapsed * 1000,
            response_length=len(reply.answer.body) if reply.answer is not None else 0,
            response=reply,
            context={},
            exception=fault,
            start_time=time() - elapsed,
            url=worker.settings.path,
        )
        return response_class

    def _retry(self, message: SentMessage, attempts: int) -> None:
        if not self.repeat(message, kind=Kind.RETRY) and attempts < RETRIES:
            self._retries.append((message, attempts + 1))

    def _attempt(self, kind: Kind, message: SentMessage) -> bool:
        """Sign and send a message; returns whether it was answered 200 in time."""
        worker = self.worker
        signer = worker.settings.signer
        body = message.template.body(worker.ledger.msg_id(message.number), message.pushed)
        stamp = signer.dialect.timestamp(time())
        signature = sign(signer.dialect, signer.secret, stamp, body)
        response_class = self.post(
            Post(kind, worker.request(stamp, (signature,), body), message.number)
        )
        if response_class in (ResponseClass.RIGHT, ResponseClass.LATE):
            worker.acknowledge(message.number)
        return response_class is ResponseClass.RIGHT


class Ordinary(Sender):
    """A group that talks in bursts, or a friend."""

    name = "ordinary"

    @task
    def talk(self) -> None:
        """Send one message, or several at once."""
        burst = self.next_burst()
        self.note_start(len(burst))
        if len(burst) == 1:
            self.deliver(burst[0])
        else:
            self.run_concurrently([partial(self.deliver, template) for template in burst])
        self.catch_up()


class Repeats(Sender):
    """A sender that repeats its messages: right away, as copies at once, and later."""

    name = "repeats"

    def on_start(self) -> None:
        """Start with no messages to repeat."""
        super().on_start()
        self._earlier: deque[SentMessage] = deque(maxlen=MEMORY)

    @task(4)
    def repeat_now(self) -> None:
        """Send a message and repeat it; every second time with a new timestamp in its body."""
        self.note_start(2)
        message = self.deliver(self.next_burst()[0])
        self.repeat(message, new_timestamp=message.number % 2 == 0)
        self._earlier.append(message)
        self.catch_up()

    @task(2)
    def send_copies(self) -> None:
        """Send several copies of a new message at once."""
        self.note_start(COPIES)
        number = self.worker.ledger.add_message(VALID)
        message = SentMessage(self.next_burst()[0], number, unix_time())
        self.run_concurrently([partial(self.repeat, message)] * COPIES)
        self._earlier.append(message)

    @task(4)
    def repeat_later(self) -> None:
        """Repeat the oldest message that the receiver must still recognize."""
        while self._earlier and not self.is_repeatable(self._earlier[0]):
            self._earlier.popleft()
        if not self._earlier:
            return self.repeat_now()
        self.note_start(1)
        self.repeat(self._earlier.popleft())
        return None


class Forgeries(Sender):
    """An attacker without the secret. Valid messages in between show that the receiver still answers."""

    name = "forgeries"

    def on_start(self) -> None:
        """Start at a random kind of forgery."""
        super().on_start()
        self._turn = self.random.randrange(len(self.worker.forgeries))

    @task
    def forge(self) -> None:
        """Send a valid message, then forgeries of each kind in turn: the first with that message's id."""
        self.note_start(1 + FORGERIES)
        message = self.deliver(self.next_burst()[0])
        self._forge(message.template, message.number)
        for _ in range(FORGERIES - 1):
            self._forge(self.next_burst()[0], self.worker.ledger.add_message(FORGED))
        self.catch_up()

    def _forge(self, template: Template, number: int) -> None:
        worker = self.worker
        signer = worker.settings.signer
        stamp = signer.dialect.timestamp(time())
        valid = signer.sign(stamp, template.body(worker.ledger.msg_id(number), unix_time()))
        self._turn += 1
        tamper = worker.forgeries[self._turn % len(worker.forgeries)]
        forgery = tamper(valid, signer)
        request = worker.request(forgery.timestamp, forgery.signatures, forgery.body)
        self.post(Post(Kind.FORGERY, request, number))


class Storms(Sender):
    """A sender that was down and no longer knows which of its messages were acknowledged."""

    name = "storms"

    @task
    def come_back(self) -> None:
        """Deliver every second message of a backlog, then the whole backlog at once, signed anew."""
        self.note_start(BACKLOG + BACKLOG // 2)
        backlog = [self.next_burst()[0] for _ in range(BACKLOG)]
        delivered = self.run_concurrently(
            [partial(self.deliver, template) for template in backlog[::2]]
        )
        repeatable = [message for message in delivered if self.is_repeatable(message)]
        calls: list[Callable[[], object]] = [
            *(partial(self.repeat, message, kind=Kind.RETRY) for message in repeatable),
            *(partial(self.deliver, template) for template in backlog[1::2]),
        ]
        self.run_concurrently(calls)
        self.catch_up()


USERS: tuple[type[Sender], ...] = (Ordinary, Repeats, Forgeries, Storms)
"""The kinds of users; --mix refers to each by its `name`."""
