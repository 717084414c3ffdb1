"""A SQLite file that keeps what was promised: made, claimed, opened, and nobody else's ever touched.

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

MEMORY = ":memory:"

BUSY_PATIENCE = 3.0
BUSY_PAUSE = 0.002
"""Seconds: how long to wait for somebody else who uses the file, less than the 5 s that a sender
waits for its answer, and how long between looks."""

_LOG_SIZE = 64 * 1024 * 1024  # bytes: a log that a burst made longer is cut back
_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Tables:
    """What makes a file ours: `application` and `version` in its header, `script` for the tables,
    and what it is called. Several processes may have a `shared` one open at the same time."""

    application: int
    version: int
    script: str
    name: str
    shared: bool = False


class Database:
    """The file `path`, made where it is not there, or memory for ":memory:"; open until `close`.

    `writer` waits for nobody, and `reader` sees what is committed; in memory they are the same. In
    both each statement stands for itself. Raises InputError for a file that is another program's,
    that another process has open though its tables are not shared, or that cannot be written, and
    leaves such a file as it is.
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
        # Last, since to close a descriptor drops the locks that SQLite has on the file.
        if self._claim is not None:
            os.close(self._claim)


def _connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_PATIENCE, isolation_level=None, check_same_thread=False
    )


def _open(path: str, tables: Tables) -> sqlite3.Connection:
    """The writer's connection, with the tables there."""
    db: sqlite3.Connection | None = None
    try:
        db = _connect(path)
        # The name and the tables in one transaction, before WAL: a file is never half ours, and its
        # header says whose it is without looking into the log. Written each time, so that a file
        # that cannot be written is found out now.
        db.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {tables.application};"
            f"PRAGMA user_version = {tables.version}; {tables.script} COMMIT;"
        )
        db.execute("PRAGMA journal_mode = WAL")
        # A commit survives the machine, not the process only.
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {_LOG_SIZE}")
        db.execute("PRAGMA busy_timeout = 0")
    except sqlite3.Error as fault:
        if db is not None:
            db.close()
        raise InputError(
            f"--db: {path} cannot be used as a database ({fault}): give a file that can be written"
        ) from None
    return db


def _claim(path: str, tables: Tables) -> int:
    """A descriptor that holds `path` for this process alone, until it is closed or the process ends.

    Looks at bytes only: to open somebody's database, even just to read, may change files beside it.
    """
    try:
        with suppress(FileExistsError):
            # Messages and secrets are private (敏感數據處理).
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        descriptor = os.open(path, os.O_RDWR)
    except OSError as fault:
        raise InputError(
            f"--db: {path} cannot be opened ({fault.strerror}): give a file that can be written"
        ) from None
    try:
        # Those who share a file open it one by one: SQLite does not wait for its turn to change a
        # new file's journal.
        _lock(path, descriptor, BUSY_PATIENCE if tables.shared else 0)
        _refuse_foreign(path, os.pread(descriptor, 100, 0), tables)
    except InputError:
        os.close(descriptor)
        raise
    return descriptor


def _lock(path: str, descriptor: int, patience: float) -> None:
    """Take a lock that SQLite does not know."""
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise InputError(
                    f"--db: {path} is in use by another process: stop it, or give another file"
                ) from None
        except OSError as fault:
            raise InputError(
                f"--db: {path} cannot be locked ({fault.strerror}): give a file on a local disk"
            ) from None
        time.sleep(BUSY_PAUSE)


def _refuse_foreign(path: str, header: bytes, tables: Tables) -> None:
    if not header:
        return
    whole = len(header) == 100 and header.startswith(_MAGIC)
    if not whole or struct.unpack_from(">I", header, 68) != (tables.application,):
        raise InputError(f"--db: {path} is not {tables.name}: give another file")
    (version,) = struct.unpack_from(">I", header, 60)
    if version != tables.version:
        raise InputError(
            f"--db: {path} is {tables.name} of version {version}, and this Hookproof reads version "
            f"{tables.version}: give another file"
        )
