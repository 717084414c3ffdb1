"""Receivers that answer too late, or only while little happens. Rules: receiver.time.*"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial

from aiohttp import web

from conformance.gallery.peer import Faulty
from conformance.receiver import behaviour as behaviour
from conformance.receiver.behaviour import Arrival, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox
from conformance.storage.commits import NotStoredError

VIDEO = 43
_REPORT = "fetching the video"


async def _after_download(
    inbox: Inbox, arrival: Arrival, key: str | None, *, seconds: float
) -> bool | Response:
    """Fetches a video before it answers."""
    if arrival.message.get("msgType") == VIDEO:
        await asyncio.sleep(seconds)
    return await behaviour.store(inbox, arrival, key)


async def _after_work(
    inbox: Inbox, arrival: Arrival, key: str | None, *, seconds: float
) -> bool | Response:
    """Works on every message before it answers."""
    await asyncio.sleep(seconds)
    return await behaviour.store(inbox, arrival, key)


def _one_at_a_time() -> ReceiverBehaviour:
    """A single worker that works before it answers: the hundredth of a burst waits 6.6 s. By the clock, since
    a busy machine would make each piece of work longer, and the queue as long as many of them."""
    free = 0.0

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        nonlocal free
        now = asyncio.get_running_loop().time()
        free = max(free, now) + 0.066
        return await _after_work(inbox, arrival, key, seconds=free - now)

    return ReceiverBehaviour(store=store)


def _queue_of(size: int) -> ReceiverBehaviour:
    """Acknowledges first and works behind the answer, from a queue that drops what it has no room for:
    `put_nowait`, and an exception that nobody looks at."""
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


def _rate_limited(most: int, rate: int) -> ReceiverBehaviour:
    """nginx's `limit_req`: a bucket of `most` tokens, into which `rate` come in a second."""
    tokens, filled = float(most), 0.0

    async def receive(request: web.Request) -> bytes | Response:
        nonlocal tokens, filled
        now = asyncio.get_running_loop().time()
        tokens, filled = min(most, tokens + (now - filled) * rate), now
        if tokens < 1:
            return Response(429, "too many requests")
        tokens -= 1
        return await behaviour.receive(request)

    return ReceiverBehaviour(receive=receive)


def _one_reader() -> ReceiverBehaviour:
    """A synchronous worker: whoever sends slowly has it for himself."""
    worker = asyncio.Lock()

    async def receive(request: web.Request) -> bytes | Response:
        async with worker:
            return await behaviour.receive(request)

    return ReceiverBehaviour(receive=receive)


async def _impatient(request: web.Request) -> bytes | Response:
    try:
        async with asyncio.timeout(1):
            return await behaviour.receive(request)
    except TimeoutError:
        return Response(408, "the body did not come in time")


async def _decoding_each(request: web.Request) -> bytes | Response:
    """Node's `body += chunk`, which makes text of every chunk by itself."""
    text = ""
    async for chunk in request.content.iter_any():
        text += chunk.decode(errors="replace")
    return text.encode()


def _report_for_video(arrival: Arrival, new: bool) -> Response:
    answer = behaviour.acknowledge(arrival, new)
    return replace(answer, message=_REPORT) if arrival.message.get("msgType") == VIDEO else answer


async def _trickling(request: web.Request, answer: Response) -> web.StreamResponse:
    """Streams a report on the work: its status comes at once, its end when the work is done."""
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
        "downloads a video before it answers, and takes 5.3 s for it",
        ("receiver.time.within-deadline",),
        ReceiverBehaviour(store=partial(_after_download, seconds=5.3)),
    ),
    Faulty(
        "answer-trickles-in",
        "sends its status at once, and 5.3 s later the end of its answer to a video",
        ("receiver.time.within-deadline",),
        ReceiverBehaviour(acknowledge=_report_for_video, respond=_trickling),
    ),
    Faulty(
        "work-before-answer",
        "does 700 ms of work on each message before it answers",
        ("receiver.time.fast-ack",),
        ReceiverBehaviour(store=partial(_after_work, seconds=0.7)),
    ),
    Faulty(
        "one-message-at-a-time",
        "takes one message at a time, so that the last of a burst is answered too late",
        ("receiver.time.concurrent", "receiver.time.within-deadline"),
        _one_at_a_time,
    ),
    Faulty(
        "full-queue-acknowledged",
        "has a queue of 50 messages, and answers 200 to what no longer fits into it",
        ("receiver.time.concurrent",),
        partial(_queue_of, 50),
    ),
    Faulty(
        "burst-refused",
        "answers 429 to a burst of more than 60 messages, at 20 a second",
        ("receiver.time.concurrent",),
        partial(_rate_limited, 60, rate=20),
    ),
    Faulty(
        "slow-body-blocks-all",
        "reads one body at a time, so that a slow sender holds up everybody",
        ("receiver.time.slow-sender",),
        _one_reader,
    ),
    Faulty(
        "slow-body-refused",
        "gives a body one second to come, and answers 408 to a slower one",
        ("receiver.time.slow-sender",),
        ReceiverBehaviour(receive=_impatient),
    ),
    Faulty(
        "decodes-each-chunk",
        "decodes each chunk of a body by itself, and refuses one that is split inside a character",
        ("receiver.time.slow-sender",),
        ReceiverBehaviour(receive=_decoding_each),
    ),
)
