"""Receivers that answer too late, or cannot keep up with a burst. Rules: receiver.time.*"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from aiohttp import web

from conformance.gallery.peer import Faults
from conformance.gallery.receivers.serve import RECEIVER
from conformance.receiver import behaviour
from conformance.receiver.behaviour import Arrival, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox
from conformance.storage.commits import NotStoredError

VIDEO = 43
FETCHED = 5.3
"""Seconds to fetch a video."""
_REPORT = "fetching the video"

faulty = Faults("receiver.time", RECEIVER)


@faulty("within-deadline", step="store")
async def video_fetched_before_answer(
    inbox: Inbox, arrival: Arrival, key: str | None
) -> bool | Response:
    """Downloads a video before it answers, which takes 5.3 s."""
    if arrival.message.get("msgType") == VIDEO:
        await asyncio.sleep(FETCHED)
    return await behaviour.store(inbox, arrival, key)


@faulty("within-deadline")
def answer_trickles_in() -> ReceiverBehaviour:
    """Answers a video with its status at once but finishes the body 5.3 s later.

    Streams a progress report: sends the status at once, and the end when the work is done.
    """

    def acknowledge(
        arrival: Arrival,
        new: bool,  # noqa: FBT001 - the signature of ReceiverBehaviour.acknowledge
    ) -> Response:
        answer = behaviour.acknowledge(arrival, new)
        video = arrival.message.get("msgType") == VIDEO
        return replace(answer, message=_REPORT) if video else answer

    async def respond(request: web.Request, answer: Response) -> web.StreamResponse:
        if answer.message != _REPORT:
            return await behaviour.respond(request, answer)
        response = web.StreamResponse(status=answer.status)
        await response.prepare(request)
        await response.write(answer.body)
        await asyncio.sleep(FETCHED)
        await response.write_eof(b"\n")
        return response

    return ReceiverBehaviour(acknowledge=acknowledge, respond=respond)


@faulty("fast-ack", step="store")
async def work_before_answer(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
    """Works on each message for 700 ms before it answers."""
    await asyncio.sleep(0.7)
    return await behaviour.store(inbox, arrival, key)


@faulty("concurrent", "within-deadline")
def one_message_at_a_time() -> ReceiverBehaviour:
    """Handles one message at a time, so that it answers the end of a burst too late.

    A single worker that works before it answers: the hundredth message of a burst waits 6.6 s. It works
    by the clock: on a busy machine every piece of work would take longer, and a hundred of them add up.
    """
    free = 0.0

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        nonlocal free
        now = asyncio.get_running_loop().time()
        free = max(free, now) + 0.066
        await asyncio.sleep(free - now)
        return await behaviour.store(inbox, arrival, key)

    return ReceiverBehaviour(store=store)


@faulty("concurrent", step="store", state=set)
async def full_queue_acknowledged(
    queue: set[asyncio.Task[None]], inbox: Inbox, arrival: Arrival, key: str | None
) -> bool | Response:
    """Answers 200 to messages that it drops because its queue of 50 is full.

    It answers first and works afterwards: `put_nowait`, and an exception that nothing handles.
    """

    async def work() -> None:
        await asyncio.sleep(1)
        with suppress(NotStoredError):  # the run is over
            await inbox.add(arrival.delivery, key)

    if len(queue) < 50:
        task = asyncio.create_task(work())
        queue.add(task)
        task.add_done_callback(queue.discard)
    return True


@faulty("concurrent")
def burst_refused() -> ReceiverBehaviour:
    """Answers 429 to a burst of more than 60 messages (20 a second).

    As nginx's `limit_req`: a bucket of 60 tokens, refilled at 20 tokens a second.
    """
    tokens, filled = 60.0, 0.0

    async def receive(request: web.Request) -> bytes | Response:
        nonlocal tokens, filled
        now = asyncio.get_running_loop().time()
        tokens, filled = min(60.0, tokens + (now - filled) * 20), now
        if tokens < 1:
            return Response(429, "too many requests")
        tokens -= 1
        return await behaviour.receive(request)

    return ReceiverBehaviour(receive=receive)


@faulty("slow-sender", step="receive", state=asyncio.Lock)
async def slow_body_blocks_all(worker: asyncio.Lock, request: web.Request) -> bytes | Response:
    """Reads one body at a time, so that a slow sender blocks all others.

    A synchronous worker.
    """
    async with worker:
        return await behaviour.receive(request)


@faulty("slow-sender", step="receive")
async def slow_body_refused(request: web.Request) -> bytes | Response:
    """Answers 408 to a body that takes longer than one second to arrive."""
    try:
        async with asyncio.timeout(1):
            return await behaviour.receive(request)
    except TimeoutError:
        return Response(408, "the body did not arrive in time")


@faulty("slow-sender", step="receive")
async def decodes_each_chunk(request: web.Request) -> bytes | Response:
    """Decodes each chunk of a body separately and refuses a body split inside a character.

    Node's `body += chunk`.
    """
    text = ""
    async for chunk in request.content.iter_any():
        text += chunk.decode(errors="replace")
    return text.encode()
