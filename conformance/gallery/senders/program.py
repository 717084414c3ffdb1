"""A sender in its own process, for faults that lose what was in memory when the process is killed.

Run as `python -m conformance.gallery.senders.program NAME --db FILE`. The fault takes effect at the
next start: the program deletes from the file what a faulty sender would have kept in memory only. It
prints the URL of its API as one line. It exits at once when standard input closes, so that it never
outlives the run.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from conformance.gallery.child_process import announce, end_with_input
from conformance.gallery.peer import Faults
from conformance.gallery.senders.serve import PROCESS
from conformance.protocol.delivery import Backoff
from conformance.scenario import dialects
from conformance.sender.app import Settings, serving_sender
from conformance.sender.worker import Pace

faulty = Faults("sender.loss", PROCESS)


def correct() -> None:
    """Forgets nothing."""


@faulty("survives-restart")
def waiting_in_memory() -> str:
    """Keeps undelivered messages in memory and loses them when it is killed."""
    return "DELETE FROM deliveries WHERE state = 'waiting'"


@faulty("survives-restart")
def attempts_in_memory() -> str:
    """Keeps retries in memory and loses them when it is killed."""
    return "UPDATE deliveries SET state = 'failed' WHERE state = 'waiting' AND attempts > 0"


@faulty("survives-restart[SHOULD]")
def successes_in_memory() -> str:
    """Does not store which messages it delivered, and delivers them again after a restart."""
    return "UPDATE deliveries SET state = 'waiting' WHERE state = 'delivered'"


def _forget(db: Path, statement: str) -> None:
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute(statement)


async def _serve(db: Path, port: int, base: float) -> None:
    settings = Settings(port=port, db=str(db), pace=Pace(Backoff(base=base)))
    async with serving_sender(dialects.load("guide"), settings) as url:
        await announce(url)


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--db", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--backoff-base", type=float, default=1.0)
    options = parser.parse_args()
    end_with_input()
    statement = globals()[options.name]()
    if statement is not None and options.db.exists():
        _forget(options.db, statement)
    asyncio.run(_serve(options.db, options.port, options.backoff_base))


if __name__ == "__main__":
    main()
