"""The accepted messages, and the state of each delivery.

A delivery is one message for one configuration. A message is stored once, however often it is
emitted. Nothing is pruned, since a forgotten id could be delivered twice. Only the workers know which
deliveries are in flight: after a crash those are simply still waiting.
Knows nothing of when to attempt one. Guide: 訊息去重, 常見問題 3, 5.
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

# SQLite uses a partial index only for a constant, so the statements spell out the states.
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
"""The most deliveries, and about the most bytes of their bodies, that `due` returns."""
CHUNK = 256
"""The most rows that one job writes, so that no job holds the event loop for long."""

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
    """A delivery to attempt. `attempts` have been made; `stamp` is the body's timestamp (Unix
    seconds), set by the first of them."""

    id: int
    attempts: int
    stamp: int | None
    body: MessageBody


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The result of attempt number `attempts`: its end, the HTTP `status` if there was one, the
    `problem` as a sentence, and the delivery's new state. A delivery that waits again is due at
    `due`. Times are Unix seconds."""

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
    """The queue in the file that `commits` writes. An awaited call is durable when it returns, and
    may raise NotStoredError."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits

    async def add(self, batch: Sequence[tuple[Message, Sequence[int]]], now: float) -> set[int]:
        """Queue each message of `batch` for the configurations beside it, due at `now`.

        A message whose id is in the queue already is skipped: it is delivered once. Returns the
        configurations with new deliveries, once everything is committed.
        """
        recipients: set[int] = set()
        for start in range(0, len(batch), CHUNK):
            chunk = batch[start : start + CHUNK]
            size = sum(len(message.body.content) for message, _ in chunk)
            recipients |= await self._commits.run(_Insert(chunk, now), len(chunk), size)
        return recipients

    def due(
        self, configuration: int, now: float, claimed: Collection[int]
    ) -> tuple[list[Waiting], bool]:
        """The deliveries of a configuration that are due at `now` and not `claimed`, in the order of
        their due times, and whether there are more. Returns at most FETCH deliveries, and stops once
        their bodies reach FETCH_BYTES."""
        limit = FETCH + len(claimed)
        ids = self._read(
            "SELECT id FROM deliveries WHERE state = 'waiting' AND configuration = ? AND due <= ?"
            " ORDER BY due LIMIT ?",
            configuration,
            now,
            limit,
        )
        fresh = [ident for (ident,) in ids if ident not in claimed]
        waiting, size = [], 0
        # One statement, since each statement begins a read transaction of its own.
        cursor = self._commits.reader.execute(
            "SELECT deliveries.id, attempts, stamp, body, cut FROM json_each(?)"
            " CROSS JOIN deliveries ON deliveries.id = json_each.value"
            " CROSS JOIN messages ON messages.id = message",
            (json.dumps(fresh),),
        )
        for ident, attempts, stamp, body, cut in cursor:
            waiting.append(Waiting(ident, attempts, stamp, MessageBody(body, cut)))
            size += len(body)
            if size >= FETCH_BYTES:
                break
        cursor.close()
        return waiting, len(ids) == limit or len(waiting) < len(fresh)

    def next_due(self, configuration: int, now: float) -> float | None:
        """When the next delivery of a configuration becomes due after `now`; None if none does."""
        rows = self._read(
            "SELECT due FROM deliveries WHERE state = 'waiting' AND configuration = ? AND due > ?"
            " ORDER BY due LIMIT 1",
            configuration,
            now,
        )
        return float(rows[0][0]) if rows else None

    async def settle(self, results: Sequence[AttemptResult]) -> None:
        """Store the results of attempts, and count them for their configurations. If the machine
        crashes, the newest may be lost, and those attempts are then repeated."""
        await self._commits.run(lambda db: _settle(db, results), len(results), flush=False)

    def newest(self, limit: int) -> list[Entry]:
        """The `limit` newest deliveries in any state."""
        return self._entries("SELECT * FROM entries ORDER BY id DESC LIMIT ?", limit)

    def listed(self, state: State, configurations: Sequence[int], limit: int) -> list[Entry]:
        """At most `limit` deliveries in `state` to some configurations: the waiting ones by due time,
        the delivered or failed ones newest first."""
        lists = [self._entries(_LISTED[state], ident, limit) for ident in configurations]
        if state is State.WAITING:
            merged = merge(*lists, key=attrgetter("due"))
        else:
            merged = merge(*lists, key=attrgetter("ended"), reverse=True)
        return list(islice(merged, limit))

    async def redeliver(self, delivery: int, now: float) -> int:
        """Requeue a failed delivery with all its retries, due at `now`. Returns how many were
        requeued: 1, or 0 if it has not failed."""
        ids = self._read("SELECT id FROM deliveries WHERE state = 'failed' AND id = ?", delivery)
        return await self._requeue(ids, now)

    async def redeliver_message(self, msg_id: str, now: float) -> int:
        """The same for the failed deliveries of one message to any configuration."""
        ids = self._read("SELECT id FROM entries WHERE state = 'failed' AND msg_id = ?", msg_id)
        return await self._requeue(ids, now)

    async def redeliver_all(self, configuration: int, now: float) -> int:
        """The same for a configuration's deliveries that failed before or at `now`."""
        # The time keeps out deliveries that fail again in the meantime.
        failed = (
            "SELECT id FROM deliveries WHERE state = 'failed' AND configuration = ? AND ended <= ?"
            " LIMIT ?"
        )
        count = 0
        while ids := self._read(failed, configuration, now, CHUNK):
            count += await self._requeue(ids, now)
        return count

    async def _requeue(self, ids: list[Any], now: float) -> int:
        rows = [(NEXT[State.FAILED, DeliveryEvent.REDELIVER].value, now, ident) for (ident,) in ids]
        sql = "UPDATE deliveries SET state = ?, attempts = 0, due = ? WHERE id = ? AND state = 'failed'"
        return await self._commits.run(lambda db: db.executemany(sql, rows).rowcount, len(rows))

    async def purge(self, configuration: int) -> None:
        """Delete a configuration's deliveries, a chunk at a time."""
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
    batch: Sequence[tuple[Message, Sequence[int]]]
    now: float

    def __call__(self, db: sqlite3.Connection) -> set[int]:
        recipients: set[int] = set()
        for message, configurations in self.batch:
            row = db.execute(
                "INSERT INTO messages (msg_id, cut, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (message.msg_id, message.body.cut, message.body.content),
            )
            if row.rowcount:
                db.executemany(
                    "INSERT INTO deliveries (message, configuration, state, due)"
                    " VALUES (?, ?, 'waiting', ?)",
                    [(row.lastrowid, ident, self.now) for ident in configurations],
                )
                recipients.update(configurations)
        return recipients


@dataclass(frozen=True, slots=True)
class _Delete:
    sql: str
    configuration: int

    def __call__(self, db: sqlite3.Connection) -> int:
        return db.execute(self.sql, (self.configuration, CHUNK)).rowcount


def _settle(db: sqlite3.Connection, results: Sequence[AttemptResult]) -> None:
    # Match the configuration too: the id of a delivery that was purged meanwhile may have been reused
    # for a delivery to another one.
    db.executemany(
        "UPDATE deliveries SET state = ?, due = ?, attempts = ?, stamp = ?, status = ?, problem = ?,"
        " ended = ? WHERE id = ? AND configuration = ?",
        [(*_columns(result), result.delivery, result.configuration) for result in results],
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


def _columns(result: AttemptResult) -> tuple[object, ...]:
    r = result
    return r.state.value, r.due, r.attempts, r.stamp, r.status, r.problem, r.ended
