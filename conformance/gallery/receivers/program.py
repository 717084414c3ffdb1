"""A receiver in its own process, for faults that need two processes or a restart.

Run as `python -m conformance.gallery.receivers.program NAME --db FILE --port N`. It takes the secret
from HOOKPROOF_SECRET and prints its URL as one line. It exits at once, without cleaning up, when
standard input closes, so that it never outlives the run.
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
from conformance.protocol.signing import Signer
from conformance.receiver import behaviour
from conformance.receiver.app import ENDPOINT, Settings, serving
from conformance.receiver.behaviour import Arrival, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox
from conformance.scenario import dialects

SECRET = "HOOKPROOF_SECRET"  # noqa: S105 - the variable's name
KNOWN = 100_000
"""How many ids a cache is filled with at the start."""
QUEUED_SECONDS = 1.0


def _correct_behaviour(inbox: Inbox) -> ReceiverBehaviour:
    return ReceiverBehaviour()


def _remember(ids: set[str | None]) -> ReceiverBehaviour:
    """Remembers `ids` in memory; the effects go into the file that both processes share."""

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        if key in ids:
            return False
        ids.add(key)
        return await inbox.add(arrival.delivery, None)

    return ReceiverBehaviour(store=store)


def _start_without_ids(inbox: Inbox) -> ReceiverBehaviour:
    return _remember(set())


def _read_ids_once(inbox: Inbox) -> ReceiverBehaviour:
    return _remember({entry.msg_id for entry in inbox.deliveries(KNOWN)})


def _queue_in_memory(inbox: Inbox) -> ReceiverBehaviour:
    """Stores the id at once, and keeps the message in memory until a worker takes it."""
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


def _die_of_nesting(inbox: Inbox) -> ReceiverBehaviour:
    """A recursive parser in C without a limit: the stack overflows and kills the only process."""

    async def receive(request: web.Request) -> bytes | Response:
        body = await behaviour.receive(request)
        if isinstance(body, bytes) and body.count(b"[") > 1000:
            os._exit(139)
        return body

    return ReceiverBehaviour(receive=receive)


BEHAVIOURS: dict[str, Callable[[Inbox], ReceiverBehaviour]] = {
    "two-processes": _correct_behaviour,
    "dedup-in-memory": _start_without_ids,
    "dedup-cache-never-renewed": _read_ids_once,
    "queue-in-memory": _queue_in_memory,
    "process-dies-of-nesting": _die_of_nesting,
}


async def _serve(name: str, db: str, port: int) -> None:
    signer = Signer(dialects.load("guide"), Secret(os.environ[SECRET].encode()))
    async with (
        Inbox(db) as inbox,
        serving(BEHAVIOURS[name](inbox), inbox, signer, Settings(port=port)) as url,
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
    parser.add_argument("name", choices=BEHAVIOURS)
    parser.add_argument("--db", required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    threading.Thread(target=_end_with_input, daemon=True).start()
    asyncio.run(_serve(options.name, options.db, options.port))


if __name__ == "__main__":
    main()
