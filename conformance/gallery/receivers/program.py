"""A receiver in its own process, for faults that need two processes or a restart.

Run as `python -m conformance.gallery.receivers.program NAME --db FILE --port N`. It takes the secret
from HOOKPROOF_SECRET and prints its URL as one line. It exits at once, without cleaning up, when
standard input closes, so that it never outlives the run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from dataclasses import replace

from aiohttp import web

from conformance.gallery.child_process import announce, end_with_input
from conformance.gallery.peer import Faults
from conformance.gallery.receivers.serve import INSTANCES, SECRET
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.receiver import behaviour
from conformance.receiver.app import ENDPOINT, Settings, serving
from conformance.receiver.behaviour import Arrival, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox
from conformance.scenario import dialects

KNOWN = 100_000
"""How many ids a cache is filled with at the start."""
QUEUED_SECONDS = 1.0

faulty = Faults("receiver.duplicate", INSTANCES)


def correct(inbox: Inbox) -> ReceiverBehaviour:
    """Remembers ids in the file that both processes share."""
    return ReceiverBehaviour()


def _remember(ids: set[str | None]) -> ReceiverBehaviour:
    """Remembers `ids` in memory; the effects go into the file that both processes share."""

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        if key in ids:
            return False
        ids.add(key)
        return await inbox.add(arrival.delivery, None)

    return ReceiverBehaviour(store=store)


@faulty("across-instances", "survives-restart")
def dedup_in_memory(inbox: Inbox) -> ReceiverBehaviour:
    """Remembers ids separately in the memory of each process."""
    return _remember(set())


@faulty("across-instances")
def dedup_cache_never_renewed(inbox: Inbox) -> ReceiverBehaviour:
    """Reads the known ids when it starts and never sees those of other processes."""
    return _remember({entry.msg_id for entry in inbox.deliveries(KNOWN)})


@faulty("survives-restart")
def queue_in_memory(inbox: Inbox) -> ReceiverBehaviour:
    """Acknowledges messages that wait in memory and loses them when it is killed.

    It stores the id at once, and keeps the message in memory until a worker takes it.
    """
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


@faulty("receiver.http.alive", beside=("receiver.body.*",))
def process_dies_of_nesting(inbox: Inbox) -> ReceiverBehaviour:
    """Dies on a deeply nested body and is not restarted.

    A recursive parser in C without a limit: the stack overflows and kills the only process.
    """

    async def receive(request: web.Request) -> bytes | Response:
        body = await behaviour.receive(request)
        if isinstance(body, bytes) and body.count(b"[") > 1000:
            os._exit(139)
        return body

    return ReceiverBehaviour(receive=receive)


async def _serve(name: str, db: str, port: int) -> None:
    signer = Signer(dialects.load("guide"), Secret(os.environ[SECRET].encode()))
    async with (
        Inbox(db) as inbox,
        serving(globals()[name](inbox), inbox, signer, Settings(port=port)) as url,
    ):
        await announce(url + ENDPOINT)


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--db", required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    end_with_input()
    asyncio.run(_serve(options.name, options.db, options.port))


if __name__ == "__main__":
    main()
