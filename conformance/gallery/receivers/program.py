"""A receiver as a process of its own.

Run as `python -m conformance.gallery.receivers.program NAME --db FILE --port N`.

For faults that need more than one process, or the end of one. The secret comes in HOOKPROOF_SECRET; one
line with the URL is printed; the process ends at once, without tidying up, when standard input closes:
it never outlives the run, and a run kills it hard.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from conformance.protocol.dialect import Secret
from conformance.protocol.tampering import Signer
from conformance.receiver import behaviour as behaviour
from conformance.receiver.app import ENDPOINT, Settings, serving
from conformance.receiver.behaviour import Arrival, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox
from conformance.scenario import dialects as dialect

SECRET = "HOOKPROOF_SECRET"  # noqa: S105 - the variable's name
KNOWN = 100_000
"""Ids that a cache is warmed with."""
QUEUED_SECONDS = 1.0


def _correct(inbox: Inbox) -> ReceiverBehaviour:
    return ReceiverBehaviour()


def _memory(inbox: Inbox, seen: set[str | None]) -> ReceiverBehaviour:
    """A set in memory says what was seen; the effects go into the file that all processes share."""

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        if key in seen:
            return False
        seen.add(key)
        return await inbox.add(arrival.delivery, None)

    return ReceiverBehaviour(store=store)


def _forgetful(inbox: Inbox) -> ReceiverBehaviour:
    return _memory(inbox, set())


def _warmed(inbox: Inbox) -> ReceiverBehaviour:
    return _memory(inbox, {entry.msg_id for entry in inbox.deliveries(KNOWN)})


def _queued(inbox: Inbox) -> ReceiverBehaviour:
    """Writes down that the id was seen, and keeps the message in memory until a worker comes to it."""
    waiting: set[asyncio.Task[None]] = set()

    async def work(inbox: Inbox, arrival: Arrival) -> None:
        await asyncio.sleep(QUEUED_SECONDS)
        await inbox.add(arrival.delivery, None)

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        mark = replace(arrival.delivery, msg_id=f"seen {key}", body=b"")
        new = await inbox.add(mark, key)
        if new:
            task = asyncio.create_task(work(inbox, arrival))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        return new

    return ReceiverBehaviour(store=store)


def _mortal(inbox: Inbox) -> ReceiverBehaviour:
    """A recursive parser in C without a limit: the stack ends, and the only process with it."""

    async def receive(request: web.Request) -> bytes | Response:
        body = await behaviour.receive(request)
        if isinstance(body, bytes) and body.count(b"[") > 1000:
            os._exit(139)
        return body

    return ReceiverBehaviour(receive=receive)


POLICIES: dict[str, Callable[[Inbox], ReceiverBehaviour]] = {
    "two-processes": _correct,
    "dedup-in-memory": _forgetful,
    "dedup-cache-never-renewed": _warmed,
    "queue-in-memory": _queued,
    "process-dies-of-nesting": _mortal,
}


async def _serve(name: str, db: str, port: int) -> None:
    signer = Signer(dialect.load("guide"), Secret(os.environ[SECRET].encode()))
    async with (
        Inbox(db) as inbox,
        serving(POLICIES[name](inbox), inbox, signer, Settings(port=port)) as url,
    ):
        sys.stdout.write(url + ENDPOINT + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def _end_with_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=POLICIES)
    parser.add_argument("--db", required=True)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    threading.Thread(target=_end_with_input, daemon=True).start()
    asyncio.run(_serve(given.name, given.db, given.port))


if __name__ == "__main__":
    main()
