"""Receivers that answer too late, or cannot keep up with a burst. Rules: receiver.time.*"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial

from aiohttp import web

from conformance.gallery.peer import Faulty
from conformance.receiver import behaviour
from conformance.receiver.behaviour import Arrival, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox
from conformance.storage.commits import NotStoredError

VIDEO = 43
_REPORT = "fetching the video"


async def _store_after_download(
    inbox: Inbox, arrival: Arrival, key: str | None, *, seconds: float
) -> bool | Response:
    """Fetches a video before it answers."""
    if arrival.message.get("msgType") == VIDEO:
        await asyncio.sleep(seconds)
    return await behaviour.store(inbox, arrival, key)


async def _store_after_work(
    inbox: Inbox, arrival: Arrival, key: str | None, *, seconds: float
) -> bool | Response:
    """Does its work on every message before it answers."""
    await asyncio.sleep(seconds)
    return await behaviour.store(inbox, arrival, key)


def _work_one_by_one() -> ReceiverBehaviour:
    """A single worker that works before it answers: the hundredth message of a burst waits 6.6 s.

    It works by the clock: on a busy machine every piece of work would take longer, and a hundred of them
    add up.
    """
    free = 0.0

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        nonlocal free
        now = asyncio.get_running_loop().time()
        free = max(free, now) + 0.066
        return await _store_after_work(inbox, arrival, key, seconds=free - now)

    return ReceiverBehaviour(store=store)


def _drop_when_full(size: int) -> ReceiverBehaviour:
    """Answers first and works afterwards, from a queue that drops messages when it is full:
    `put_nowait`, and an exception that nothing handles."""
    queue: set[asyncio.Task[None]] = set()

    async def work(inbox: Inbox, arrival: Arrival, key: str | None) -> None:
        await asyncio.sleep(1)
        with suppress(NotStoredError):  # the run is over
            await inbox.add(arrival.delivery, key)

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        if len(queue) < size:
            task = asyncio.create_task(work(inbox, arrival, key))
            queue.add(task)
            task.add_done_callback(queue.discard)
        return True

    return ReceiverBehaviour(store=store)


def _limit_rate(size: int, rate: int) -> ReceiverBehaviour:
    """As nginx's `limit_req`: a bucket of `size` tokens, refilled at `rate` tokens a second."""
    tokens, filled = float(size), 0.0

    async def receive(request: web.Request) -> bytes | Response:
        nonlocal tokens, filled
        now = asyncio.get_running_loop().time()
        tokens, filled = min(size, tokens + (now - filled) * rate), now
        if tokens < 1:
            return Response(429, "too many requests")
        tokens -= 1
        return await behaviour.receive(request)

    return ReceiverBehaviour(receive=receive)


def _read_one_by_one() -> ReceiverBehaviour:
    """A synchronous worker: a slow sender occupies it."""
    worker = asyncio.Lock()

    async def receive(request: web.Request) -> bytes | Response:
        async with worker:
            return await behaviour.receive(request)

    return ReceiverBehaviour(receive=receive)


async def _receive_impatiently(request: web.Request) -> bytes | Response:
    try:
        async with asyncio.timeout(1):
            return await behaviour.receive(request)
    except TimeoutError:
        return Response(408, "the body did not arrive in time")


async def _decode_each_chunk(request: web.Request) -> bytes | Response:
    """Node's `body += chunk`, which decodes each chunk separately."""
    text = ""
    async for chunk in request.content.iter_any():
        text += chunk.decode(errors="replace")
    return text.encode()


def _answer_with_report(
    arrival: Arrival,
    new: bool,  # noqa: FBT001 - the signature of ReceiverBehaviour.acknowledge
) -> Response:
    answer = behaviour.acknowledge(arrival, new)
    return replace(answer, message=_REPORT) if arrival.message.get("msgType") == VIDEO else answer


async def _trickle(request: web.Request, answer: Response) -> web.StreamResponse:
    """Streams a progress report: sends the status at once, and the end when the work is done."""
    if answer.message != _REPORT:
        return await behaviour.respond(request, answer)
    response = web.StreamResponse(status=answer.status)
    await response.prepare(request)
    await response.write(answer.body)
    await asyncio.sleep(5.3)
    await response.write_eof(b"\n")
    return response


TIMING = (
    Faulty(
        "video-fetched-before-answer",
        "downloads a video before it answers, which takes 5.3 s",
        ("receiver.time.within-deadline",),
        ReceiverBehaviour(store=partial(_store_after_download, seconds=5.3)),
    ),
    Faulty(
        "answer-trickles-in",
        "answers a video with its status at once but finishes the body 5.3 s later",
        ("receiver.time.within-deadline",),
        ReceiverBehaviour(acknowledge=_answer_with_report, respond=_trickle),
    ),
    Faulty(
        "work-before-answer",
        "works on each message for 700 ms before it answers",
        ("receiver.time.fast-ack",),
        ReceiverBehaviour(store=partial(_store_after_work, seconds=0.7)),
    ),
    Faulty(
        "one-message-at-a-time",
        "handles one message at a time, so that it answers the end of a burst too late",
        ("receiver.time.concurrent", "receiver.time.within-deadline"),
        _work_one_by_one,
    ),
    Faulty(
        "full-queue-acknowledged",
        "answers 200 to messages that it drops because its queue of 50 is full",
        ("receiver.time.concurrent",),
        partial(_drop_when_full, 50),
    ),
    Faulty(
        "burst-refused",
        "answers 429 to a burst of more than 60 messages (20 a second)",
        ("receiver.time.concurrent",),
        partial(_limit_rate, 60, rate=20),
    ),
    Faulty(
        "slow-body-blocks-all",
        "reads one body at a time, so that a slow sender blocks all others",
        ("receiver.time.slow-sender",),
        _read_one_by_one,
    ),
    Faulty(
        "slow-body-refused",
        "answers 408 to a body that takes longer than one second to arrive",
        ("receiver.time.slow-sender",),
        ReceiverBehaviour(receive=_receive_impatiently),
    ),
    Faulty(
        "decodes-each-chunk",
        "decodes each chunk of a body separately and refuses a body split inside a character",
        ("receiver.time.slow-sender",),
        ReceiverBehaviour(receive=_decode_each_chunk),
    ),
)
