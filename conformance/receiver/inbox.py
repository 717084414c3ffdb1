"""The receiver's inbox in one SQLite file: which messages took effect, each of them once.

`add` returns after the commit, so that a 200 sent afterwards promises no more than the disk holds.
The dedup key and the effect are one row, so neither ever exists without the other. Knows nothing of
HTTP, signatures or JSON. Guide: 訊息去重, 常見問題 3, 5.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import partial
from types import TracebackType

from conformance.model.sentence import Sentence
from conformance.storage.commits import Commits
from conformance.storage.database import Tables

PREVIEW = 2048
"""Bytes of each body that `deliveries` returns by default."""

_TABLES = Tables(
    application=0x48505249,  # "HPRI"
    version=3,
    name=Sentence("an inbox of Hookproof's receiver"),
    script="""
CREATE TABLE IF NOT EXISTS effects (
    id INTEGER PRIMARY KEY, key TEXT UNIQUE, msg_id TEXT NOT NULL, received REAL NOT NULL,
    fits INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS effects_by_msg_id ON effects (msg_id);
""",
    shared=True,  # a service may run as several processes
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A stored message: its id, its whole body as received, the time (Unix seconds), and whether it
    matches the schema, so that readers of the inbox need not validate it again."""

    msg_id: str
    body: bytes
    received: float
    fits: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A delivery that took effect: `size` is the body's length in bytes, `start` its beginning."""

    msg_id: str
    received: float
    size: int
    start: bytes
    fits: bool


class Inbox:
    """The store in the file `path`, or in memory for ":memory:". Use as an async context manager.

    Entering raises InputError for a file that belongs to another program or cannot be written, and
    leaves that file as it is. Several processes may have the same file open. Leaving commits what
    has been submitted.
    """

    def __init__(self, path: str) -> None:
        self._commits = Commits(path, _TABLES)

    async def __aenter__(self) -> Inbox:
        await self._commits.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._commits.__aexit__(kind, fault, at)

    async def add(self, delivery: Delivery, key: str | None) -> bool:
        """Let `delivery` take effect unless `key` is in the inbox already; None takes effect every
        time.

        Returns whether it took effect, once that is committed. Raises NotStoredError, and then it
        did not; UnicodeEncodeError for an id or key that is not Unicode text.
        """
        return await self._commits.run(partial(_take, delivery, key), size=len(delivery.body))

    def count(self, msg_id: str) -> int:
        """How many times the message `msg_id` took effect. One index look-up, committed data only."""
        cursor = self._commits.reader.execute(
            "SELECT count(*) FROM effects WHERE msg_id = ?", (msg_id,)
        )
        return int(cursor.fetchone()[0])

    def deliveries(self, limit: int, preview: int = PREVIEW) -> list[Entry]:
        """The last `limit` deliveries that took effect, newest first, with `preview` bytes of each."""
        rows = self._commits.reader.execute(
            "SELECT msg_id, received, length(body), substr(body, 1, ?), fits FROM effects"
            " ORDER BY id DESC LIMIT ?",
            (preview, limit),
        ).fetchall()
        return [
            Entry(msg_id, received, size, start, bool(fits))
            for msg_id, received, size, start, fits in rows
        ]


def _take(delivery: Delivery, key: str | None, db: sqlite3.Connection) -> bool:
    cursor = db.execute(
        "INSERT INTO effects (key, msg_id, received, fits, body) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (key, delivery.msg_id, delivery.received, delivery.fits, delivery.body),
    )
    return bool(cursor.rowcount)
