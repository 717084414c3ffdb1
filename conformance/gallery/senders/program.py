"""A sender as a process of its own: `python -m conformance.gallery.senders.program NAME --db FILE`.

For faults that show when a process ends: what it had in memory is gone. That is done when it starts
again, by taking out of the file what the faulty one would not have put there. One line with the URL of
the API is printed; the process ends at once when standard input closes, so that it never outlives the
run, and a run kills it hard.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

from conformance.protocol.delivery import Backoff
from conformance.scenario import dialects as dialect
from conformance.sender.app import Settings, serving_sender
from conformance.sender.worker import Pace

AT_START = {
    "kept-in-a-file": None,
    "waiting-in-memory": "DELETE FROM deliveries WHERE state = 'waiting'",
    "attempts-in-memory": (
        "UPDATE deliveries SET state = 'failed' WHERE state = 'waiting' AND attempts > 0"
    ),
    "successes-in-memory": "UPDATE deliveries SET state = 'waiting' WHERE state = 'delivered'",
}
"""What each of them does to its file before it uses it; None for the correct one."""


def _forget(db: Path, statement: str) -> None:
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute(statement)


async def _serve(db: Path, port: int, base: float) -> None:
    settings = Settings(port=port, db=str(db), pace=Pace(Backoff(base=base)))
    async with serving_sender(dialect.load("guide"), settings) as url:
        sys.stdout.write(url + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def _end_with_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=AT_START)
    parser.add_argument("--db", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--backoff-base", type=float, default=1.0)
    given = parser.parse_args()
    threading.Thread(target=_end_with_input, daemon=True).start()
    statement = AT_START[given.name]
    if statement is not None and given.db.exists():
        _forget(given.db, statement)
    asyncio.run(_serve(given.db, given.port, given.backoff_base))


if __name__ == "__main__":
    main()
