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

from conformance.gallery.peer import Faults, row
from conformance.gallery.receivers.serve import ON_REQUEST, RECEIVER
from conformance.model.exchange import Headers
from conformance.protocol.signing import Signer
from conformance.receiver import behaviour
from conformance.receiver.behaviour import Arrival, Message, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox

_MSG_ID = re.compile(rb'"msgId"\s*:\s*"([^"]*)"')

_ROUND_TRIP = 0.005  # seconds to a database and back
_QUEUE_SIZE = 128
_QUIET_ROUNDS = 4  # round trips without a new message before a batch is written
_WORK = 0.05  # seconds of work before an answer

faulty = Faults("receiver.duplicate", RECEIVER)
long = Faults("receiver.duplicate", ON_REQUEST)
"""Faults that only thousands of messages show."""


@faulty(
    *("answered-200", "concurrent", "after-timeout"),
    step="acknowledge",
    rows=(
        row("repeats-answered-409", "409 Conflict to a repeat", status=409),
        row(
            "repeats-answered-500",
            "500 to a repeat, because its database refuses a second row with the same msgId",
            status=500,
        ),
        row("repeats-answered-208", "208 Already Reported to a repeat", status=208),
    ),
)
def _answer_repeat(
    arrival: Arrival,
    new: bool,  # noqa: FBT001 - the signature of ReceiverBehaviour.acknowledge
    *,
    status: int,
) -> Response:
    """Answers {}."""
    return behaviour.acknowledge(arrival, new) if new else Response(status, "duplicate")


@faulty(*("processed-once", "concurrent", "window", "after-timeout", "other-content"), step="key")
def no_dedup(arrival: Arrival) -> None:
    """Processes every delivery, even a repeat."""


@faulty("processed-once", "other-content", step="key")
def dedup_by_body(arrival: Arrival) -> str:
    """Recognises repeats by the digest of the body, which contains the time of the push."""
    return hashlib.sha256(arrival.delivery.body).hexdigest()


@faulty("processed-once", step="key")
def dedup_by_push(arrival: Arrival) -> str:
    """Recognises repeats by msgId and the body's timestamp together."""
    return f"{arrival.delivery.msg_id} {arrival.message.get('timestamp')}"


@faulty("concurrent", step="store")
async def looked_up_then_inserted(inbox: Inbox, arrival: Arrival, key: str | None) -> bool:
    """Looks the msgId up and inserts it in a separate step.

    SELECT, then INSERT: a copy that looks before the first is committed finds nothing.
    """
    count = inbox.count(arrival.delivery.msg_id)
    await asyncio.sleep(_ROUND_TRIP)
    return not count and await inbox.add(arrival.delivery, None)


@faulty(
    "concurrent",
    step="store",
    state=set,
    rows=(
        row(
            "copies-in-progress-refused",
            "409 to a copy of a message that it is still processing",
            answer=Response(409, "in progress"),
        ),
        row(
            "copies-in-progress-500",
            "500 to a copy when it cannot take the lock",
            answer=Response(500, "internal error"),
        ),
    ),
)
async def _lock_each_id(
    held: set[str], inbox: Inbox, arrival: Arrival, key: str | None, *, answer: Response
) -> bool | Response:
    """Answers {}.

    A lock for each msgId, as with Redis' SET NX.
    """
    msg_id = arrival.delivery.msg_id
    if msg_id in held:
        return answer
    held.add(msg_id)
    try:
        await asyncio.sleep(_ROUND_TRIP)
        return await inbox.add(arrival.delivery, key)
    finally:
        held.discard(msg_id)


@faulty("window", step="store", state=dict, rows=(row("last-300-ids", "300", size=300),))
async def drop_oldest(
    known: dict[str, None], inbox: Inbox, arrival: Arrival, key: str | None, *, size: int
) -> bool:
    """Remembers only the last {} ids."""
    msg_id = arrival.delivery.msg_id
    if msg_id in known:
        return False
    known[msg_id] = None
    if len(known) > size:
        del known[next(iter(known))]
    return await inbox.add(arrival.delivery, None)


@faulty("window", step="store", state=set)
async def set_of_1000_ids(known: set[str], inbox: Inbox, arrival: Arrival, key: str | None) -> bool:
    """Drops an arbitrary id from a set of 1,000, like the guide's sample.

    訊息去重: set.pop() removes an arbitrary member.
    """
    msg_id = arrival.delivery.msg_id
    if msg_id in known:
        return False
    known.add(msg_id)
    if len(known) > 1000:
        known.pop()
    return await inbox.add(arrival.delivery, None)


@long("window-long", step="store", state=set)
async def full_set_cleared(
    known: set[str], inbox: Inbox, arrival: Arrival, key: str | None
) -> bool:
    """Clears its set of ids once it holds 10,000."""
    msg_id = arrival.delivery.msg_id
    if msg_id in known:
        return False
    if len(known) == 10_000:
        known.clear()
    known.add(msg_id)
    return await inbox.add(arrival.delivery, None)


@faulty("after-timeout", step="store", state=set)
async def id_taken_back(
    known: set[str], inbox: Inbox, arrival: Arrival, key: str | None
) -> bool | Response:
    """Forgets the id of a message it has processed if the sender hangs up before the answer."""
    msg_id = arrival.delivery.msg_id
    if msg_id in known:
        return False
    known.add(msg_id)
    await inbox.add(arrival.delivery, None)
    await asyncio.sleep(_WORK)
    if arrival.connected():
        return True
    known.discard(msg_id)
    return Response(500, "the sender has gone")


@faulty("after-timeout", step="store", state=set)
async def work_dropped_with_sender(
    known: set[str], inbox: Inbox, arrival: Arrival, key: str | None
) -> bool | Response:
    """Drops a message but remembers its id if the sender hangs up before the answer."""
    msg_id = arrival.delivery.msg_id
    if msg_id in known:
        return False
    known.add(msg_id)
    await asyncio.sleep(_WORK)
    if arrival.connected():
        return await inbox.add(arrival.delivery, None)
    return Response(500, "the sender has gone")


def _noted_before(known: set[bytes], body: bytes) -> bool:
    """Whether the body's id is known; it is from now on."""
    match = _MSG_ID.search(body)
    repeat = match is not None and match[1] in known
    known.update([match[1]] if match else [])
    return repeat


@faulty("not-poisoned", step="authenticate", state=set)
def id_marked_before_check(
    known: set[bytes], headers: Headers, body: bytes, signer: Signer, now: float
) -> Response | None:
    """Marks an id as seen before it checks the signature.

    To answer repeats quickly.
    """
    repeat = _noted_before(known, body)
    refusal = behaviour.authenticate(headers, body, signer, now)
    return refusal or (Response(200, "duplicate") if repeat else None)


@faulty("not-poisoned", step="read", state=set)
def id_marked_before_parsing(known: set[bytes], body: bytes) -> Message | Response:
    """Marks an id as seen before it parses the body.

    To answer repeats quickly.
    """
    repeat = _noted_before(known, body)
    message = behaviour.read(body)
    return Response(200, "duplicate") if repeat and isinstance(message, dict) else message


def _exhaust_pool() -> Response:
    raise TimeoutError("QueuePool limit reached")


@faulty(
    "failed-then-retried",
    rows=(
        row(
            "id-marked-before-queued",
            "503 because its queue is full",
            full=partial(Response, 503, "busy"),
        ),
        row(
            "id-marked-before-stored",
            "500 because its database has no free connection",
            full=_exhaust_pool,
        ),
    ),
)
def _mark_before_queue(full: Callable[[], Response]) -> ReceiverBehaviour:
    """Marks an id as seen, then answers {}.

    A bounded queue in front of a batch writer, as in the guide's sample (示例代碼). The id is marked
    before the queue turns out to be `full`.
    """
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
