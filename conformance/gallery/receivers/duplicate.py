"""Receivers that process a repeat, or lose a message for one. Rules: receiver.duplicate.*

receiver.duplicate.answered-200 has no peer of its own, by nature: copies sent at once and the repeat
after a time-out are repeats as well.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from functools import partial

from conformance.gallery.peer import Faulty
from conformance.model.exchange import Headers
from conformance.protocol.tampering import Signer
from conformance.receiver import behaviour as behaviour
from conformance.receiver.behaviour import Arrival, Message, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox

_MSG_ID = re.compile(rb'"msgId"\s*:\s*"([^"]*)"')

_ROUND_TRIP = 0.005  # seconds to a database and back
_PLACES = 128
_QUIET = (
    4  # looks, a round trip apart, at which nothing new must have come before a batch is written
)


def _repeat_answered(arrival: Arrival, new: bool, *, answer: Response) -> Response:
    return behaviour.acknowledge(arrival, new) if new else answer


def _body_digest(arrival: Arrival) -> str:
    return hashlib.sha256(arrival.delivery.body).hexdigest()


async def _looked_up_first(inbox: Inbox, arrival: Arrival, key: str | None) -> bool:
    """SELECT, then INSERT: copies that look before the first has been committed find nothing."""
    known = inbox.count(arrival.delivery.msg_id)
    await asyncio.sleep(_ROUND_TRIP)
    return not known and await inbox.add(arrival.delivery, None)


def _locked(answer: Response) -> ReceiverBehaviour:
    """A lock for each msgId, as Redis' SET NX; a copy that meets it gets `answer`."""
    held: set[str] = set()

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        msg_id = arrival.delivery.msg_id
        if msg_id in held:
            return answer
        held.add(msg_id)
        try:
            await asyncio.sleep(_ROUND_TRIP)
            return await inbox.add(arrival.delivery, key)
        finally:
            held.discard(msg_id)

    return ReceiverBehaviour(store=store)


def first_in_first_out(size: int) -> ReceiverBehaviour:
    """A dict in memory from which the oldest id is dropped."""
    known: dict[str, None] = {}

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool:
        msg_id = arrival.delivery.msg_id
        if msg_id in known:
            return False
        known[msg_id] = None
        if len(known) > size:
            del known[next(iter(known))]
        return await inbox.add(arrival.delivery, None)

    return ReceiverBehaviour(store=store)


def _any_out(size: int) -> ReceiverBehaviour:
    """The guide's sample (訊息去重): set.pop() takes whichever member comes first in memory."""
    known: set[str] = set()

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool:
        msg_id = arrival.delivery.msg_id
        if msg_id in known:
            return False
        known.add(msg_id)
        if len(known) > size:
            known.pop()
        return await inbox.add(arrival.delivery, None)

    return ReceiverBehaviour(store=store)


def _left_alone(*, stored: bool, seconds: float) -> ReceiverBehaviour:
    """Does what it has to do before the answer in `seconds`, and looks then whether the sender still
    waits. Where not, and it has `stored` the message at once, it takes the id back; else it drops
    the message and keeps the id."""
    known: set[str] = set()

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        msg_id = arrival.delivery.msg_id
        if msg_id in known:
            return False
        known.add(msg_id)
        if stored:
            await inbox.add(arrival.delivery, None)
        await asyncio.sleep(seconds)
        if arrival.connected():
            return stored or await inbox.add(arrival.delivery, None)
        if stored:
            known.discard(msg_id)
        return Response(500, "nobody waits for this")

    return ReceiverBehaviour(store=store)


def marked_before_check() -> ReceiverBehaviour:
    """Notes the id of every request in front of the check, to be quick with repeats."""
    known: set[bytes] = set()

    def check(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
        found = _MSG_ID.search(body)
        repeat = found is not None and found[1] in known
        known.update([found[1]] if found else [])
        refusal = behaviour.authenticate(headers, body, signer, now)
        return refusal or (Response(200, "duplicate") if repeat else None)

    return ReceiverBehaviour(authenticate=check)


def _marked_before_parsing() -> ReceiverBehaviour:
    """Finds the id without the parser, to be quick with repeats."""
    known: set[bytes] = set()

    def read(body: bytes) -> Message | Response:
        found = _MSG_ID.search(body)
        repeat = found is not None and found[1] in known
        known.update([found[1]] if found else [])
        message = behaviour.read(body)
        return Response(200, "duplicate") if repeat and isinstance(message, dict) else message

    return ReceiverBehaviour(read=read)


def _marked_before_queued(full: Callable[[], Response]) -> ReceiverBehaviour:
    """A bounded queue before a writer of batches, as in the guide's sample (示例代碼): the id is marked,
    and then there is no place for the message."""
    known: set[str] = set()
    waiting = 0

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        nonlocal waiting
        msg_id = arrival.delivery.msg_id
        if msg_id in known:
            return False
        known.add(msg_id)
        if waiting >= _PLACES:
            return full()
        waiting += 1
        quiet = 0
        while quiet < _QUIET:
            seen = len(known)
            await asyncio.sleep(_ROUND_TRIP)
            quiet = quiet + 1 if len(known) == seen else 0
        waiting -= 1
        return await inbox.add(arrival.delivery, None)

    return ReceiverBehaviour(store=store)


def _pool_exhausted() -> Response:
    raise TimeoutError("QueuePool limit reached")


def _rule(*names: str) -> tuple[str, ...]:
    return tuple(f"receiver.duplicate.{name}" for name in names)


DUPLICATE = (
    Faulty(
        "repeats-answered-409",
        "answers 409 Conflict to a msgId that it knows",
        _rule("answered-200", "concurrent", "after-timeout"),
        ReceiverBehaviour(acknowledge=partial(_repeat_answered, answer=Response(409, "duplicate"))),
    ),
    Faulty(
        "repeats-answered-500",
        "lets the database's error for a second row of the same msgId become a 500",
        _rule("answered-200", "concurrent", "after-timeout"),
        ReceiverBehaviour(
            acknowledge=partial(_repeat_answered, answer=Response(500, "internal error"))
        ),
    ),
    Faulty(
        "repeats-answered-208",
        "answers 208 Already Reported to a msgId that it knows",
        _rule("answered-200", "concurrent", "after-timeout"),
        ReceiverBehaviour(acknowledge=partial(_repeat_answered, answer=Response(208, "duplicate"))),
    ),
    Faulty(
        "no-dedup",
        "processes every delivery, repeat or not",
        _rule("processed-once", "concurrent", "window", "after-timeout", "other-content"),
        ReceiverBehaviour(key=lambda arrival: None),
    ),
    Faulty(
        "dedup-by-body",
        "knows a repeat by the digest of its body, which holds the time of the push",
        _rule("processed-once", "other-content"),
        ReceiverBehaviour(key=_body_digest),
    ),
    Faulty(
        "dedup-by-push",
        "knows a repeat by msgId and the body's timestamp together",
        _rule("processed-once"),
        ReceiverBehaviour(
            key=lambda arrival: f"{arrival.delivery.msg_id} {arrival.message.get('timestamp')}"
        ),
    ),
    Faulty(
        "looked-up-then-inserted",
        "looks the msgId up, and inserts it in a second step",
        _rule("concurrent"),
        ReceiverBehaviour(store=_looked_up_first),
    ),
    Faulty(
        "copies-in-progress-refused",
        "answers 409 to a copy of a message that it is still working on",
        _rule("concurrent"),
        partial(_locked, Response(409, "in progress")),
    ),
    Faulty(
        "copies-in-progress-500",
        "answers 500 to a copy when it does not get the lock",
        _rule("concurrent"),
        partial(_locked, Response(500, "internal error")),
    ),
    Faulty(
        "last-300-ids",
        "remembers the last 300 ids",
        _rule("window"),
        partial(first_in_first_out, 300),
    ),
    Faulty(
        "set-of-1000-ids",
        "drops an arbitrary id from a set of 1,000, as the guide's sample does",
        _rule("window"),
        partial(_any_out, 1000),
    ),
    Faulty(
        "id-taken-back",
        "takes the id back, and not the effect, when the sender has left before the answer",
        _rule("after-timeout"),
        partial(_left_alone, stored=True, seconds=0.05),
    ),
    Faulty(
        "work-dropped-with-sender",
        "drops a message whose sender has left before the answer, and keeps its id",
        _rule("after-timeout"),
        partial(_left_alone, stored=False, seconds=0.05),
    ),
    Faulty(
        "id-marked-before-check",
        "marks the id as seen before it checks the signature",
        _rule("not-poisoned"),
        marked_before_check,
    ),
    Faulty(
        "id-marked-before-parsing",
        "marks the id as seen before it parses the body",
        _rule("not-poisoned"),
        _marked_before_parsing,
    ),
    Faulty(
        "id-marked-before-queued",
        "marks the id as seen, and answers 503 when the queue is full",
        _rule("failed-then-retried"),
        partial(_marked_before_queued, partial(Response, 503, "busy")),
    ),
    Faulty(
        "id-marked-before-stored",
        "marks the id as seen, and answers 500 when the database has no connection left",
        _rule("failed-then-retried"),
        partial(_marked_before_queued, _pool_exhausted),
    ),
)
