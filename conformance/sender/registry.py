"""The configured webhooks, with the counts and the last send of each.

Knows nothing of messages and deliveries.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conformance.protocol.configuration import Configuration
from conformance.protocol.dialect import Secret
from conformance.storage.commits import Commits

SCRIPT = """
CREATE TABLE IF NOT EXISTS configurations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL, secret BLOB NOT NULL,
    enabled INTEGER NOT NULL, timeout INTEGER NOT NULL, retry_count INTEGER NOT NULL,
    message_types TEXT NOT NULL, include_self_message INTEGER NOT NULL, changed INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0, last_time REAL NOT NULL DEFAULT 0,
    last_success INTEGER NOT NULL DEFAULT 0);
"""


@dataclass(frozen=True, slots=True)
class Record:
    """The history of a configuration: how many deliveries succeeded and failed, when the last send
    ended (Unix seconds, 0 for never), and whether it succeeded."""

    sent: int
    failed: int
    last_time: float
    last_success: bool


class Registry:
    """The configurations in the file that `commits` writes, by id, oldest first. An awaited call is
    durable when it returns, and may raise NotStoredError."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._changed: dict[int, int] = {}
        self.configurations: dict[int, Configuration] = {}
        self.deleted: set[int] = set()
        """Deleted configurations that still have deliveries in the file."""

    def load(self) -> None:
        """Read the configurations from the file."""
        rows = self._commits.reader.execute(
            "SELECT id, changed, deleted, url, secret, enabled, timeout, retry_count, message_types,"
            " include_self_message FROM configurations ORDER BY id"
        ).fetchall()
        for ident, changed, deleted, *settings in rows:
            if deleted:
                self.deleted.add(ident)
            else:
                self.configurations[ident] = _configuration(settings)
                self._changed[ident] = changed

    def newest(self) -> list[int]:
        """The ids, the most recently configured one first."""
        return sorted(self.configurations, key=self._changed.__getitem__, reverse=True)

    def by_url(self, url: object) -> int | None:
        """The id of the configuration whose URL is `url`."""
        return next((i for i, each in self.configurations.items() if each.url == url), None)

    def record(self, ident: int) -> Record:
        """The history of an existing configuration."""
        row = self._commits.reader.execute(
            "SELECT sent, failed, last_time, last_success FROM configurations WHERE id = ?",
            (ident,),
        ).fetchone()
        return Record(row[0], row[1], row[2], bool(row[3]))

    async def create(self, configuration: Configuration) -> int:
        """Store a new configuration. Returns its id, which is never reused, even after a deletion."""
        changed = max(self._changed.values(), default=0) + 1
        row = (*_settings(configuration), changed)
        ident = await self._commits.run(
            lambda db: (
                db.execute(
                    "INSERT INTO configurations (url, secret, enabled, timeout, retry_count,"
                    " message_types, include_self_message, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    row,
                ).lastrowid
            )
        )
        assert ident is not None  # noqa: S101 - always set after an INSERT
        self.configurations[ident] = configuration
        self._changed[ident] = changed
        return ident

    async def change(self, ident: int, configuration: Configuration) -> None:
        """Replace an existing configuration by `configuration`."""
        changed = max(self._changed.values()) + 1
        row = (*_settings(configuration), changed, ident)
        await self._commits.run(
            lambda db: db.execute(
                "UPDATE configurations SET url = ?, secret = ?, enabled = ?, timeout = ?,"
                " retry_count = ?, message_types = ?, include_self_message = ?, changed = ?"
                " WHERE id = ?",
                row,
            )
        )
        self.configurations[ident] = configuration
        self._changed[ident] = changed

    async def delete(self, ident: int) -> None:
        """Delete a configuration. It stays in `deleted` until `forget`."""
        # Remove it from memory first: a message accepted from now on must not be queued for it. An
        # earlier message is committed earlier, since jobs keep their order.
        configuration, changed = self.configurations.pop(ident), self._changed.pop(ident)
        try:
            await self._commits.run(
                lambda db: db.execute(
                    "UPDATE configurations SET deleted = 1 WHERE id = ?", (ident,)
                )
            )
        except Exception:
            self.configurations[ident], self._changed[ident] = configuration, changed
            raise
        self.deleted.add(ident)

    async def forget(self, ident: int) -> None:
        """Remove a deleted configuration from the file, once its deliveries are purged."""
        await self._commits.run(
            lambda db: db.execute("DELETE FROM configurations WHERE id = ?", (ident,))
        )
        self.deleted.discard(ident)

    async def record_test(self, ident: int, ended: float, *, success: bool) -> None:
        """Record that a test message was sent. It counts as the last send, but not in the totals."""
        await self._commits.run(
            lambda db: db.execute(
                "UPDATE configurations SET last_time = ?, last_success = ? WHERE id = ?",
                (ended, success, ident),
            )
        )


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


def _configuration(columns: Sequence[Any]) -> Configuration:
    """The inverse of `_settings`."""
    url, secret, enabled, timeout, retry_count, types, own = columns
    return Configuration(
        url,
        Secret(secret),
        bool(enabled),
        timeout,
        retry_count,
        tuple(json.loads(types)),
        bool(own),
    )
