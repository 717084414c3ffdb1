"""A sender in its own process, for faults that lose what was in memory when the process is killed.

Run as `python -m conformance.gallery.senders.program NAME --db FILE`. The fault takes effect at the
next start: the program deletes from the file what a faulty sender would have kept in memory only. It
prints the URL of its API as one line. It exits at once when standard input closes, so that it never
outlives the run.
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
from conformance.scenario import dialects
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
"""Name → the SQL that the sender runs on its file before it starts; None for the correct one."""


def _forget(db: Path, statement: str) -> None:
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute(statement)


async def _serve(db: Path, port: int, base: float) -> None:
    settings = Settings(port=port, db=str(db), pace=Pace(Backoff(base=base)))
    async with serving_sender(dialects.load("guide"), settings) as url:
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
    options = parser.parse_args()
    threading.Thread(target=_end_with_input, daemon=True).start()
    statement = AT_START[options.name]
    if statement is not None and options.db.exists():
        _forget(options.db, statement)
    asyncio.run(_serve(options.db, options.port, options.backoff_base))


if __name__ == "__main__":
    main()
