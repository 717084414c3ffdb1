"""A durable SQLite file: created, locked and opened, without ever touching another program's file.

Knows nothing of what the tables hold.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import struct
import time
from contextlib import suppress
from dataclasses import dataclass

from conformance.model.errors import InputError
from conformance.model.sentence import Sentence

MEMORY = ":memory:"

BUSY_PATIENCE = 3.0
BUSY_PAUSE = 0.002
"""Seconds: how long to wait for another process that uses the file, less than the 5 s that a sender
waits for its answer; and the pause between attempts."""

_LOG_SIZE = 64 * 1024 * 1024  # bytes, to which SQLite truncates the log after a burst
_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Tables:
    """The format of a file: `application` and `version` in its header, the `script` that creates its
    tables, and its `name` in messages. Several processes may have a `shared` file open at once."""

    application: int
    version: int
    script: str
    name: Sentence
    shared: bool = False


class Database:
    """The file `path`, created if it does not exist, or memory for ":memory:"; open until `close`.

    `writer` never waits for a lock, and `reader` sees committed data; in memory they are the same
    connection. Both are in autocommit mode. Raises InputError for a file that belongs to another
    program, that another process has open although its tables are not shared, or that cannot be
    written, and leaves that file as it is.
    """

    def __init__(self, path: str, tables: Tables) -> None:
        self.durable = path != MEMORY
        self._claim = _claim(path, tables) if self.durable else None
        try:
            self.writer = _open(path, tables)
            self.reader = _connect(path) if self.durable else self.writer
        except InputError:
            self._release()
            raise
        if self._claim is not None and tables.shared:
            fcntl.flock(self._claim, fcntl.LOCK_UN)

    def close(self) -> None:
        self.reader.close()
        self.writer.close()
        self._release()

    def _release(self) -> None:
        # Last, since closing a descriptor drops the locks that SQLite holds on the file.
        if self._claim is not None:
            os.close(self._claim)


def _connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_PATIENCE, isolation_level=None, check_same_thread=False
    )


def _open(path: str, tables: Tables) -> sqlite3.Connection:
    """The writer's connection, with the tables created."""
    db: sqlite3.Connection | None = None
    try:
        db = _connect(path)
        # The header and the tables in one transaction, before WAL: a file is never half ours, and its
        # header identifies it without a look into the log. Written every time, so that a file that
        # cannot be written is detected now.
        db.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {tables.application};"
            f"PRAGMA user_version = {tables.version}; {tables.script} COMMIT;"
        )
        db.execute("PRAGMA journal_mode = WAL")
        # A commit survives a crash of the machine, not only of the process.
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {_LOG_SIZE}")
        db.execute("PRAGMA busy_timeout = 0")
    except sqlite3.Error as fault:
        if db is not None:
            db.close()
        raise InputError(
            "--db: {path} cannot be used as a database ({reason}): give a file that can be written",
            path=path,
            reason=str(fault),
        ) from None
    return db


def _claim(path: str, tables: Tables) -> int:
    """A descriptor that locks `path` for this process, until it is closed or the process ends.

    Reads only bytes: opening another program's database, even for reading, may change files beside
    it.
    """
    try:
        with suppress(FileExistsError):
            # Messages and secrets are private (敏感數據處理).
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        descriptor = os.open(path, os.O_RDWR)
    except OSError as fault:
        raise InputError(
            "--db: {path} cannot be opened ({reason}): give a file that can be written",
            path=path,
            reason=str(fault.strerror),
        ) from None
    try:
        # Processes that share a file open it one at a time: SQLite does not wait for a lock when it
        # changes the journal mode of a new file.
        _lock(path, descriptor, BUSY_PATIENCE if tables.shared else 0)
        _refuse_foreign(path, os.pread(descriptor, 100, 0), tables)
    except InputError:
        os.close(descriptor)
        raise
    return descriptor


def _lock(path: str, descriptor: int, patience: float) -> None:
    """Take an flock, which SQLite does not use."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise InputError(
                    "--db: {path} is in use by another process: stop it, or give another file",
                    path=path,
                ) from None
        except OSError as fault:
            raise InputError(
                "--db: {path} cannot be locked ({reason}): give a file on a local disk",
                path=path,
                reason=str(fault.strerror),
            ) from None
        time.sleep(BUSY_PAUSE)


def _refuse_foreign(path: str, header: bytes, tables: Tables) -> None:
    if not header:
        return
    whole = len(header) == 100 and header.startswith(_MAGIC)
    if not whole or struct.unpack_from(">I", header, 68) != (tables.application,):
        raise InputError(
            "--db: {path} is not {tables}: give another file", path=path, tables=tables.name
        )
    (version,) = struct.unpack_from(">I", header, 60)
    if version != tables.version:
        raise InputError(
            "--db: {path} is {tables} of version {version}, and this Hookproof reads version "
            "{supported}: give another file",
            path=path,
            tables=tables.name,
            version=version,
            supported=tables.version,
        )
