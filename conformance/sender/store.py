"""What the sender must not forget: configurations, messages, and where each delivery stands.

A message is there once, whatever it is given twice; a delivery is one message for one configuration.
What is being attempted is known to the workers alone: after a crash it is simply still waiting.
Knows nothing of HTTP and of when to try. Guide: 訊息去重, 常見問題 3, 5.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from operator import attrgetter
from types import TracebackType
from typing import Any

from conformance.config import Configuration
from conformance.delivery import NEXT, Event, State
from conformance.dialect import Secret
from conformance.sender.commits import Commits
from conformance.sender.database import Tables
from conformance.sender.event import Body
from conformance.sender.event import Event as Message

_WAITING, _DELIVERED, _FAILED = State.WAITING, State.DELIVERED, State.FAILED
_TABLES = Tables(
    application=0x48505353,  # "HPSS"
    version=1,
    name="a queue of Hookproof's sender",
    script=f"""
CREATE TABLE IF NOT EXISTS configurations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL, secret BLOB NOT NULL,
    enabled INTEGER NOT NULL, timeout INTEGER NOT NULL, retry_count INTEGER NOT NULL,
    message_types TEXT NOT NULL, include_self_message INTEGER NOT NULL, changed INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0, last_time REAL NOT NULL DEFAULT 0,
    last_success INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, msg_id TEXT NOT NULL UNIQUE, cut INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY, message INTEGER NOT NULL, configuration INTEGER NOT NULL,
    state TEXT NOT NULL, due REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, stamp INTEGER,
    status INTEGER, problem TEXT, ended REAL);
CREATE INDEX IF NOT EXISTS waiting ON deliveries (configuration, due) WHERE state = '{_WAITING}';
CREATE INDEX IF NOT EXISTS delivered
    ON deliveries (configuration, ended) WHERE state = '{_DELIVERED}';
CREATE INDEX IF NOT EXISTS failed ON deliveries (configuration, ended) WHERE state = '{_FAILED}';
CREATE INDEX IF NOT EXISTS failed_message ON deliveries (message) WHERE state = '{_FAILED}';
""",
)
_SETTINGS = (
    "url, secret, enabled, timeout, retry_count, message_types, include_self_message, changed"
)
_CHUNK = 256  # rows that one job writes at most, so that no job holds the event loop for long


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery to attempt. `attempts` have been made; `stamp` is the body's timestamp since the
    first of them (Unix seconds)."""

    id: int
    attempts: int
    stamp: int | None
    body: Body


@dataclass(frozen=True, slots=True)
class Result:
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


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a configuration's deliveries: how many were delivered, how many were
    given up, when the last attempt ended (Unix seconds, 0 for never) and whether it succeeded."""

    sent: int = 0
    failed: int = 0
    last_time: float = 0
    last_success: bool = False


class Store:
    """The store in the file `path`, or in memory for ":memory:". Use as an async context manager.

    `configurations` holds what is configured, by id, oldest first; `newest` orders ids by when they
    were last configured. What must be durable is awaited, and may raise NotStoredError. Entering
    raises InputError as `Commits` does.
    """

    def __init__(self, path: str) -> None:
        self._commits = Commits(path, _TABLES)
        self.configurations: dict[int, Configuration] = {}
        self._changed: dict[int, int] = {}

    async def __aenter__(self) -> Store:
        await self._commits.__aenter__()
        rows = self._read(f"SELECT id, {_SETTINGS} FROM configurations WHERE NOT deleted ORDER BY id")
        for ident, *settings, changed in rows:
            self.configurations[ident] = _configuration(*settings)
            self._changed[ident] = changed
        for (ident,) in self._read("SELECT id FROM configurations WHERE deleted"):
            await self._purge(ident)  # a deletion that was cut short
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._commits.__aexit__(kind, fault, at)

    def newest(self) -> list[int]:
        """The ids of the configurations, the last configured one first."""
        return sorted(self.configurations, key=self._changed.__getitem__, reverse=True)

    async def create(self, configuration: Configuration) -> int:
        """Keep a new configuration; its id, which no other one gets even after a deletion."""
        changed = max(self._changed.values(), default=0) + 1
        row = (*_settings(configuration), changed)
        marks = ", ".join("?" * len(row))

        def job(db: sqlite3.Connection) -> int:
            sql = f"INSERT INTO configurations ({_SETTINGS}) VALUES ({marks})"
            return int(db.execute(sql, row).lastrowid or 0)

        ident = await self._commits.run(job)
        self.configurations[ident] = configuration
        self._changed[ident] = changed
        return ident

    async def change(self, ident: int, configuration: Configuration) -> None:
        """Put `configuration` in the place of the one there is; it holds from the next attempt on."""
        changed = max(self._changed.values()) + 1
        row = (*_settings(configuration), changed, ident)
        sets = ", ".join(f"{name} = ?" for name in _SETTINGS.split(", "))
        await self._commits.run(
            lambda db: db.execute(f"UPDATE configurations SET {sets} WHERE id = ?", row)
        )
        self.configurations[ident] = configuration
        self._changed[ident] = changed

    async def delete(self, ident: int) -> None:
        """Forget a configuration and its deliveries."""
        # Out of sight first: a message that comes now must not be queued for it. One that came
        # before is committed before, since jobs keep their order.
        configuration, changed = self.configurations.pop(ident), self._changed.pop(ident)
        try:
            await self._commits.run(
                lambda db: db.execute("UPDATE configurations SET deleted = 1 WHERE id = ?", (ident,))
            )
        except Exception:
            self.configurations[ident], self._changed[ident] = configuration, changed
            raise
        await self._purge(ident)

    async def _purge(self, ident: int) -> None:
        some = "SELECT id FROM deliveries WHERE configuration = ? AND state = ? LIMIT ?"
        for state in (_WAITING, _DELIVERED, _FAILED):
            row = (ident, state, _CHUNK)
            while await self._commits.run(
                lambda db, row=row: db.execute(
                    f"DELETE FROM deliveries WHERE id IN ({some})", row
                ).rowcount,
                _CHUNK,
            ):
                pass
        await self._commits.run(
            lambda db: db.execute("DELETE FROM configurations WHERE id = ?", (ident,))
        )

    def record(self, ident: int) -> Record:
        """What is remembered of a configuration's deliveries."""
        columns = "sent, failed, last_time, last_success"
        rows = self._read(f"SELECT {columns} FROM configurations WHERE id = ?", ident)
        return next((Record(sent, failed, at, bool(ok)) for sent, failed, at, ok in rows), Record())

    async def add(self, messages: Sequence[Message], now: float) -> set[int]:
        """Queue each message for every configuration that wants it, due at `now`.

        A message whose id is known is left out: it is delivered once. Returns the configurations
        that got something, once all of it is committed.
        """
        wanted = []
        for message in messages:
            ids = [i for i, each in self.configurations.items() if each.wants(message.fields)]
            if ids:
                wanted.append((message, ids))
        reached: set[int] = set()
        for at in range(0, len(wanted), _CHUNK):
            chunk = wanted[at : at + _CHUNK]
            reached |= await self._commits.run(lambda db, chunk=chunk: _insert(db, chunk, now), len(chunk))
        return reached

    def due(self, ident: int, now: float, limit: int) -> list[int]:
        """The first `limit` deliveries of a configuration that are due at `now`, in their order."""
        rows = self._read(
            f"SELECT id FROM deliveries WHERE configuration = ? AND state = '{_WAITING}' AND due <= ?"
            " ORDER BY due LIMIT ?",
            ident,
            now,
            limit,
        )
        return [row[0] for row in rows]

    def next_due(self, ident: int, now: float) -> float | None:
        """When the first delivery of a configuration that is due after `now` is due."""
        rows = self._read(
            f"SELECT due FROM deliveries WHERE configuration = ? AND state = '{_WAITING}' AND due > ?"
            " ORDER BY due LIMIT 1",
            ident,
            now,
        )
        return float(rows[0][0]) if rows else None

    def load(self, delivery: int) -> Waiting | None:
        """The delivery with its body; None when it has gone with its configuration."""
        rows = self._read(
            "SELECT attempts, stamp, body, cut FROM deliveries"
            " JOIN messages ON messages.id = message WHERE deliveries.id = ?",
            delivery,
        )
        return next(
            (Waiting(delivery, attempts, stamp, Body(body, cut)) for attempts, stamp, body, cut in rows),
            None,
        )

    async def settle(self, results: Sequence[Result]) -> None:
        """Keep what came of attempts."""
        await self._commits.run(lambda db: _settle(db, results), len(results))

    def deliveries(self, state: State | None, limit: int) -> list[Entry]:
        """`limit` deliveries: the newest, or those in `state`: what waits soonest first, what is
        delivered or failed newest first."""
        if state is None:
            return self._entries("ORDER BY deliveries.id DESC LIMIT ?", limit)
        column, order = ("due", "ASC") if state is _WAITING else ("ended", "DESC")
        # The state stands in the text: a partial index is used for a constant alone.
        sql = f"WHERE state = '{state.value}' AND configuration = ? ORDER BY {column} {order} LIMIT ?"
        lists = [self._entries(sql, ident, limit) for ident in self.configurations]
        merged = merge(*lists, key=attrgetter(column), reverse=order == "DESC")
        return list(islice(merged, limit))

    def _entries(self, sql: str, *values: object) -> list[Entry]:
        rows = self._read(
            "SELECT deliveries.id, msg_id, configuration, state, attempts, status, problem, due, ended"
            f" FROM deliveries JOIN messages ON messages.id = message {sql}",
            *values,
        )
        return [Entry(*row[:3], State(row[3]), *row[4:]) for row in rows]

    async def redeliver(
        self, now: float, *, delivery: int | None = None, msg_id: str | None = None
    ) -> dict[int, int]:
        """Let failed deliveries wait again, with all their retries, due at `now`: the one with the
        id `delivery`, those of the message `msg_id`, or all. How many, by configuration."""
        given: tuple[Any, ...] = ()
        which = ""
        if delivery is not None:
            which, given = "AND id = ?", (delivery,)
        elif msg_id is not None:
            which, given = "AND message IN (SELECT id FROM messages WHERE msg_id = ?)", (msg_id,)
        sql = (
            f"UPDATE deliveries SET state = '{NEXT[_FAILED, Event.REDELIVER].value}', attempts = 0,"
            f" due = ? WHERE id IN (SELECT id FROM deliveries WHERE state = '{_FAILED}'"
            # What fails again in the meantime stays failed.
            f" AND ended <= ? {which} LIMIT {_CHUNK}) RETURNING configuration"
        )
        counts: dict[int, int] = {}
        while found := await self._commits.run(
            lambda db: db.execute(sql, (now, now, *given)).fetchall(), _CHUNK
        ):
            for (ident,) in found:
                counts[ident] = counts.get(ident, 0) + 1
        return counts

    def _read(self, sql: str, *values: object) -> list[Any]:
        return self._commits.reader.execute(sql, values).fetchall()


def _settings(configuration: Configuration) -> tuple[object, ...]:
    return (
        configuration.url,
        bytes(configuration.secret),
        configuration.enabled,
        configuration.timeout,
        configuration.retry_count,
        json.dumps(configuration.message_types),
        configuration.include_self_message,
    )


def _configuration(
    url: str, secret: bytes, enabled: int, timeout: int, retry_count: int, types: str, own: int
) -> Configuration:
    return Configuration(
        url, Secret(secret), bool(enabled), timeout, retry_count, tuple(json.loads(types)), bool(own)
    )


def _insert(
    db: sqlite3.Connection, wanted: list[tuple[Message, list[int]]], now: float
) -> set[int]:
    reached: set[int] = set()
    for message, ids in wanted:
        row = db.execute(
            "INSERT INTO messages (msg_id, cut, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (message.msg_id, message.body.cut, message.body.content),
        )
        if row.rowcount:
            db.executemany(
                "INSERT INTO deliveries (message, configuration, state, due) VALUES (?, ?, ?, ?)",
                [(row.lastrowid, ident, _WAITING.value, now) for ident in ids],
            )
            reached.update(ids)
    return reached


def _settle(db: sqlite3.Connection, results: Sequence[Result]) -> None:
    db.executemany(
        "UPDATE deliveries SET state = ?, due = ?, attempts = ?, stamp = ?, status = ?, problem = ?,"
        " ended = ? WHERE id = ?",
        [
            (r.state.value, r.due, r.attempts, r.stamp, r.status, r.problem, r.ended, r.delivery)
            for r in results
        ],
    )
    for ident in {result.configuration for result in results}:
        own = [result for result in results if result.configuration == ident]
        db.execute(
            "UPDATE configurations SET sent = sent + ?, failed = failed + ?, last_time = ?,"
            " last_success = ? WHERE id = ?",
            (
                sum(result.state is _DELIVERED for result in own),
                sum(result.state is _FAILED for result in own),
                own[-1].ended,
                own[-1].state is _DELIVERED,
                ident,
            ),
        )
