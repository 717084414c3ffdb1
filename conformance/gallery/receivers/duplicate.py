"""Receivers that process a repeat, or take a new message for one. Rules: receiver.duplicate.*

No peer can break receiver.duplicate.answered-200 alone: concurrent copies and the repeat after a
timeout are repeats too.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from functools import partial

from conformance.gallery.peer import Faulty
from conformance.model.exchange import Headers
from conformance.protocol.signing import Signer
from conformance.receiver import behaviour
from conformance.receiver.behaviour import Arrival, Message, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox

_MSG_ID = re.compile(rb'"msgId"\s*:\s*"([^"]*)"')

_ROUND_TRIP = 0.005  # seconds to a database and back
_QUEUE_SIZE = 128
_QUIET_ROUNDS = 4  # round trips without a new message before a batch is written


def _answer_repeat(
    arrival: Arrival,
    new: bool,  # noqa: FBT001 - the signature of ReceiverBehaviour.acknowledge
    *,
    answer: Response,
) -> Response:
    return behaviour.acknowledge(arrival, new) if new else answer


def _body_digest(arrival: Arrival) -> str:
    return hashlib.sha256(arrival.delivery.body).hexdigest()


async def _look_up_first(inbox: Inbox, arrival: Arrival, key: str | None) -> bool:
    """SELECT, then INSERT: a copy that looks before the first is committed finds nothing."""
    count = inbox.count(arrival.delivery.msg_id)
    await asyncio.sleep(_ROUND_TRIP)
    return not count and await inbox.add(arrival.delivery, None)


def _lock_each_id(answer: Response) -> ReceiverBehaviour:
    """A lock for each msgId, as with Redis' SET NX. A copy that finds it taken gets `answer`."""
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


def drop_oldest(size: int) -> ReceiverBehaviour:
    """Remembers `size` ids in memory and drops the oldest."""
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


def _drop_any(size: int) -> ReceiverBehaviour:
    """The guide's sample (訊息去重): set.pop() removes an arbitrary member."""
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


def _check_sender(*, store_first: bool, seconds: float) -> ReceiverBehaviour:
    """Works for `seconds` before it answers, then checks whether the sender is still connected. If
    not: with `store_first` it has stored the message already and forgets the id; otherwise it drops
    the message and remembers the id."""
    known: set[str] = set()

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        msg_id = arrival.delivery.msg_id
        if msg_id in known:
            return False
        known.add(msg_id)
        if store_first:
            await inbox.add(arrival.delivery, None)
        await asyncio.sleep(seconds)
        if arrival.connected():
            return store_first or await inbox.add(arrival.delivery, None)
        if store_first:
            known.discard(msg_id)
        return Response(500, "the sender has gone")

    return ReceiverBehaviour(store=store)


def mark_before_check() -> ReceiverBehaviour:
    """Notes the id of every request before the signature check, to answer repeats quickly."""
    known: set[bytes] = set()

    def check(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
        match = _MSG_ID.search(body)
        repeat = match is not None and match[1] in known
        known.update([match[1]] if match else [])
        refusal = behaviour.authenticate(headers, body, signer, now)
        return refusal or (Response(200, "duplicate") if repeat else None)

    return ReceiverBehaviour(authenticate=check)


def _mark_before_parsing() -> ReceiverBehaviour:
    """Notes the id before the body is parsed, to answer repeats quickly."""
    known: set[bytes] = set()

    def read(body: bytes) -> Message | Response:
        match = _MSG_ID.search(body)
        repeat = match is not None and match[1] in known
        known.update([match[1]] if match else [])
        message = behaviour.read(body)
        return Response(200, "duplicate") if repeat and isinstance(message, dict) else message

    return ReceiverBehaviour(read=read)


def _mark_before_queue(full: Callable[[], Response]) -> ReceiverBehaviour:
    """A bounded queue in front of a batch writer, as in the guide's sample (示例代碼). The id is marked
    before the queue turns out to be `full`."""
    known: set[str] = set()
    waiting = 0

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        nonlocal waiting
        msg_id = arrival.delivery.msg_id
        if msg_id in known:
            return False
        known.add(msg_id)
        if waiting >= _QUEUE_SIZE:
            return full()
        waiting += 1
        quiet = 0
        while quiet < _QUIET_ROUNDS:
            before = len(known)
            await asyncio.sleep(_ROUND_TRIP)
            quiet = quiet + 1 if len(known) == before else 0
        waiting -= 1
        return await inbox.add(arrival.delivery, None)

    return ReceiverBehaviour(store=store)


def _exhaust_pool() -> Response:
    raise TimeoutError("QueuePool limit reached")


def _rule(*names: str) -> tuple[str, ...]:
    return tuple(f"receiver.duplicate.{name}" for name in names)


DUPLICATE = (
    Faulty(
        "repeats-answered-409",
        "answers 409 Conflict to a repeat",
        _rule("answered-200", "concurrent", "after-timeout"),
        ReceiverBehaviour(acknowledge=partial(_answer_repeat, answer=Response(409, "duplicate"))),
    ),
    Faulty(
        "repeats-answered-500",
        "answers 500 to a repeat, because its database refuses a second row with the same msgId",
        _rule("answered-200", "concurrent", "after-timeout"),
        ReceiverBehaviour(
            acknowledge=partial(_answer_repeat, answer=Response(500, "internal error"))
        ),
    ),
    Faulty(
        "repeats-answered-208",
        "answers 208 Already Reported to a repeat",
        _rule("answered-200", "concurrent", "after-timeout"),
        ReceiverBehaviour(acknowledge=partial(_answer_repeat, answer=Response(208, "duplicate"))),
    ),
    Faulty(
        "no-dedup",
        "processes every delivery, even a repeat",
        _rule("processed-once", "concurrent", "window", "after-timeout", "other-content"),
        ReceiverBehaviour(key=lambda arrival: None),
    ),
    Faulty(
        "dedup-by-body",
        "recognises repeats by the digest of the body, which contains the time of the push",
        _rule("processed-once", "other-content"),
        ReceiverBehaviour(key=_body_digest),
    ),
    Faulty(
        "dedup-by-push",
        "recognises repeats by msgId and the body's timestamp together",
        _rule("processed-once"),
        ReceiverBehaviour(
            key=lambda arrival: f"{arrival.delivery.msg_id} {arrival.message.get('timestamp')}"
        ),
    ),
    Faulty(
        "looked-up-then-inserted",
        "looks the msgId up and inserts it in a separate step",
        _rule("concurrent"),
        ReceiverBehaviour(store=_look_up_first),
    ),
    Faulty(
        "copies-in-progress-refused",
        "answers 409 to a copy of a message that it is still processing",
        _rule("concurrent"),
        partial(_lock_each_id, Response(409, "in progress")),
    ),
    Faulty(
        "copies-in-progress-500",
        "answers 500 to a copy when it cannot take the lock",
        _rule("concurrent"),
        partial(_lock_each_id, Response(500, "internal error")),
    ),
    Faulty(
        "last-300-ids",
        "remembers only the last 300 ids",
        _rule("window"),
        partial(drop_oldest, 300),
    ),
    Faulty(
        "set-of-1000-ids",
        "drops an arbitrary id from a set of 1,000, like the guide's sample",
        _rule("window"),
        partial(_drop_any, 1000),
    ),
    Faulty(
        "id-taken-back",
        "forgets the id of a message it has processed if the sender hangs up before the answer",
        _rule("after-timeout"),
        partial(_check_sender, store_first=True, seconds=0.05),
    ),
    Faulty(
        "work-dropped-with-sender",
        "drops a message but remembers its id if the sender hangs up before the answer",
        _rule("after-timeout"),
        partial(_check_sender, store_first=False, seconds=0.05),
    ),
    Faulty(
        "id-marked-before-check",
        "marks an id as seen before it checks the signature",
        _rule("not-poisoned"),
        mark_before_check,
    ),
    Faulty(
        "id-marked-before-parsing",
        "marks an id as seen before it parses the body",
        _rule("not-poisoned"),
        _mark_before_parsing,
    ),
    Faulty(
        "id-marked-before-queued",
        "marks an id as seen, then answers 503 because its queue is full",
        _rule("failed-then-retried"),
        partial(_mark_before_queue, partial(Response, 503, "busy")),
    ),
    Faulty(
        "id-marked-before-stored",
        "marks an id as seen, then answers 500 because its database has no free connection",
        _rule("failed-then-retried"),
        partial(_mark_before_queue, _exhaust_pool),
    ),
)
