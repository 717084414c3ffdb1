"""The messages that were accepted, and where the delivery of each to each configuration stands.

A message is there once, whatever it is given twice; a delivery is one message for one configuration.
Nothing is pruned, since an id that is forgotten could be delivered twice. What is being attempted is
known to the workers alone: after a crash it is simply still waiting.
Knows nothing of when to try. Guide: 訊息去重, 常見問題 3, 5.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Any

from conformance.protocol.delivery import NEXT, DeliveryEvent, State
from conformance.sender.event import MessageBody
from conformance.sender.event import MessageEvent as Message
from conformance.storage.commits import Commits

# A partial index is used for a constant alone, and so the states stand in the statements.
SCRIPT = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, msg_id TEXT NOT NULL UNIQUE, cut INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY, message INTEGER NOT NULL, configuration INTEGER NOT NULL,
    state TEXT NOT NULL, due REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, stamp INTEGER,
    status INTEGER, problem TEXT, ended REAL);
CREATE INDEX IF NOT EXISTS waiting ON deliveries (configuration, due) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS delivered ON deliveries (configuration, ended) WHERE state = 'delivered';
CREATE INDEX IF NOT EXISTS failed ON deliveries (configuration, ended) WHERE state = 'failed';
CREATE INDEX IF NOT EXISTS failed_messages ON deliveries (message) WHERE state = 'failed';
CREATE VIEW IF NOT EXISTS entries AS
    SELECT deliveries.id, msg_id, configuration, state, attempts, status, problem, due, ended
    FROM deliveries JOIN messages ON messages.id = message;
"""

FETCH, FETCH_BYTES = 256, 256 * 1024
CHUNK = 256
"""Rows that one job writes at most, so that no job holds the event loop for long."""

_LISTED = {
    State.WAITING: (
        "SELECT * FROM entries WHERE state = 'waiting' AND configuration = ? ORDER BY due LIMIT ?"
    ),
    State.DELIVERED: (
        "SELECT * FROM entries WHERE state = 'delivered' AND configuration = ?"
        " ORDER BY ended DESC LIMIT ?"
    ),
    State.FAILED: (
        "SELECT * FROM entries WHERE state = 'failed' AND configuration = ?"
        " ORDER BY ended DESC LIMIT ?"
    ),
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery to attempt. `attempts` have been made; `stamp` is the body's timestamp since the
    first of them (Unix seconds)."""

    id: int
    attempts: int
    stamp: int | None
    body: MessageBody


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What an attempt left behind: attempt number `attempts` ended at `ended`, and `status` or, in
    words, `problem` is what came of it. A delivery that waits again is due at `due`."""

    delivery: int
    configuration: int
    state: State
    due: float
    attempts: int
    stamp: int
    status: int | None
    problem: str | None
    ended: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A delivery as it is listed. Times are Unix seconds."""

    id: int
    msg_id: str
    configuration: int
    state: State
    attempts: int
    status: int | None
    problem: str | None
    due: float
    ended: float | None


class Queue:
    """The queue in the file that `commits` writes. What is awaited is durable afterwards, and may
    raise NotStoredError."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits

    async def add(self, wanted: Sequence[tuple[Message, Sequence[int]]], now: float) -> set[int]:
        """Queue each message for the configurations beside it, due at `now`.

        A message whose id is known is left out: it is delivered once. Returns the configurations
        that got something, once all of it is committed.
        """
        reached: set[int] = set()
        for at in range(0, len(wanted), CHUNK):
            chunk = wanted[at : at + CHUNK]
            size = sum(len(message.body.content) for message, _ in chunk)
            reached |= await self._commits.run(_Insert(chunk, now), len(chunk), size)
        return reached

    def due(
        self, configuration: int, now: float, claimed: Collection[int]
    ) -> tuple[list[Waiting], bool]:
        """What a configuration has due at `now` beside what is `claimed`, first things first; at most
        FETCH deliveries, and no more when their bodies come to FETCH_BYTES. And whether there is
        more of it."""
        limit = FETCH + len(claimed)
        ids = self._read(
            "SELECT id FROM deliveries WHERE state = 'waiting' AND configuration = ? AND due <= ?"
            " ORDER BY due LIMIT ?",
            configuration,
            now,
            limit,
        )
        fresh = [ident for (ident,) in ids if ident not in claimed]
        found, size = [], 0
        # One statement, since each one by itself looks anew at what has been committed.
        cursor = self._commits.reader.execute(
            "SELECT deliveries.id, attempts, stamp, body, cut FROM json_each(?)"
            " CROSS JOIN deliveries ON deliveries.id = json_each.value"
            " CROSS JOIN messages ON messages.id = message",
            (json.dumps(fresh),),
        )
        for ident, attempts, stamp, body, cut in cursor:
            found.append(Waiting(ident, attempts, stamp, MessageBody(body, cut)))
            size += len(body)
            if size >= FETCH_BYTES:
                break
        cursor.close()
        return found, len(ids) == limit or len(found) < len(fresh)

    def next_due(self, configuration: int, now: float) -> float | None:
        """When the first delivery of a configuration that is due after `now` is due."""
        rows = self._read(
            "SELECT due FROM deliveries WHERE state = 'waiting' AND configuration = ? AND due > ?"
            " ORDER BY due LIMIT 1",
            configuration,
            now,
        )
        return float(rows[0][0]) if rows else None

    async def settle(self, results: Sequence[AttemptResult]) -> None:
        """Keep what came of attempts, and count it for their configurations. Should the machine
        crash, the newest of it may be forgotten, and then those attempts are made again."""
        await self._commits.run(lambda db: _settle(db, results), len(results), flush=False)

    def newest(self, limit: int) -> list[Entry]:
        """The `limit` newest deliveries, whatever became of them."""
        return self._entries("SELECT * FROM entries ORDER BY id DESC LIMIT ?", limit)

    def listed(self, state: State, configurations: Sequence[int], limit: int) -> list[Entry]:
        """`limit` deliveries in `state` to some configurations: what waits soonest first, what is
        delivered or failed newest first."""
        lists = [self._entries(_LISTED[state], each, limit) for each in configurations]
        if state is State.WAITING:
            merged = merge(*lists, key=attrgetter("due"))
        else:
            merged = merge(*lists, key=attrgetter("ended"), reverse=True)
        return list(islice(merged, limit))

    async def redeliver(self, delivery: int, now: float) -> int:
        """Let a failed delivery wait again, with all its retries, due at `now`; how many that were:
        1, or 0 if it has not failed."""
        found = self._read("SELECT id FROM deliveries WHERE state = 'failed' AND id = ?", delivery)
        return await self._wait_again(found, now)

    async def redeliver_message(self, msg_id: str, now: float) -> int:
        """The same for the failed deliveries of one message, to whatever configurations."""
        found = self._read("SELECT id FROM entries WHERE state = 'failed' AND msg_id = ?", msg_id)
        return await self._wait_again(found, now)

    async def redeliver_all(self, configuration: int, now: float) -> int:
        """The same for a configuration's deliveries that have failed until `now`."""
        # What fails again in the meantime stays failed.
        some = (
            "SELECT id FROM deliveries WHERE state = 'failed' AND configuration = ? AND ended <= ?"
            " LIMIT ?"
        )
        count = 0
        while found := self._read(some, configuration, now, CHUNK):
            count += await self._wait_again(found, now)
        return count

    async def _wait_again(self, ids: list[Any], now: float) -> int:
        rows = [(NEXT[State.FAILED, DeliveryEvent.REDELIVER].value, now, ident) for (ident,) in ids]
        sql = "UPDATE deliveries SET state = ?, attempts = 0, due = ? WHERE id = ? AND state = 'failed'"
        return await self._commits.run(lambda db: db.executemany(sql, rows).rowcount, len(rows))

    async def purge(self, configuration: int) -> None:
        """Forget a configuration's deliveries, a chunk at a time."""
        for sql in (
            "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries"
            " WHERE state = 'waiting' AND configuration = ? LIMIT ?)",
            "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries"
            " WHERE state = 'delivered' AND configuration = ? LIMIT ?)",
            "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries"
            " WHERE state = 'failed' AND configuration = ? LIMIT ?)",
        ):
            while await self._commits.run(_Delete(sql, configuration), CHUNK):
                pass

    def _entries(self, sql: str, *values: object) -> list[Entry]:
        return [
            Entry(ident, msg_id, configuration, State(state), *rest)
            for ident, msg_id, configuration, state, *rest in self._read(sql, *values)
        ]

    def _read(self, sql: str, *values: object) -> list[Any]:
        return self._commits.reader.execute(sql, values).fetchall()


@dataclass(frozen=True, slots=True)
class _Insert:
    wanted: Sequence[tuple[Message, Sequence[int]]]
    now: float

    def __call__(self, db: sqlite3.Connection) -> set[int]:
        reached: set[int] = set()
        for message, configurations in self.wanted:
            row = db.execute(
                "INSERT INTO messages (msg_id, cut, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (message.msg_id, message.body.cut, message.body.content),
            )
            if row.rowcount:
                db.executemany(
                    "INSERT INTO deliveries (message, configuration, state, due)"
                    " VALUES (?, ?, 'waiting', ?)",
                    [(row.lastrowid, each, self.now) for each in configurations],
                )
                reached.update(configurations)
        return reached


@dataclass(frozen=True, slots=True)
class _Delete:
    sql: str
    configuration: int

    def __call__(self, db: sqlite3.Connection) -> int:
        return db.execute(self.sql, (self.configuration, CHUNK)).rowcount


def _settle(db: sqlite3.Connection, results: Sequence[AttemptResult]) -> None:
    # The configuration too: what was purged meanwhile may have left its id to another's delivery.
    db.executemany(
        "UPDATE deliveries SET state = ?, due = ?, attempts = ?, stamp = ?, status = ?, problem = ?,"
        " ended = ? WHERE id = ? AND configuration = ?",
        [(*_settled(result), result.delivery, result.configuration) for result in results],
    )
    for configuration in {result.configuration for result in results}:
        own = [result for result in results if result.configuration == configuration]
        db.execute(
            "UPDATE configurations SET sent = sent + ?, failed = failed + ?, last_time = ?,"
            " last_success = ? WHERE id = ?",
            (
                sum(result.state is State.DELIVERED for result in own),
                sum(result.state is State.FAILED for result in own),
                own[-1].ended,
                own[-1].state is State.DELIVERED,
                configuration,
            ),
        )


def _settled(result: AttemptResult) -> tuple[object, ...]:
    r = result
    return r.state.value, r.due, r.attempts, r.stamp, r.status, r.problem, r.ended
