"""A SQLite file that keeps what was promised: made, claimed, opened, and nobody else's ever touched.

Knows nothing of what the tables hold.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import struct
from contextlib import suppress
from dataclasses import dataclass

from conformance.errors import InputError

MEMORY = ":memory:"

BUSY_PATIENCE = 3.0
"""Seconds to wait for somebody else who writes to the file: less than the 5 s that a sender waits for
its answer."""

_CACHE = 16 * 1024
_LOG_SIZE = 64 * 1024 * 1024
# KiB of pages that a connection keeps, and bytes of log that are kept after a checkpoint: ids come
# in no order, so that a large file's index is read and written all over.

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


def connect(path: str) -> sqlite3.Connection:
    """One more connection to `path`, in which each statement stands for itself."""
    db = sqlite3.connect(path, timeout=BUSY_PATIENCE, isolation_level=None, check_same_thread=False)
    db.execute(f"PRAGMA cache_size = -{_CACHE}")
    return db


def open_file(path: str, tables: Tables) -> sqlite3.Connection:
    """The writer's connection, with the tables there, which then waits for nobody: whoever writes
    must be ready to find the file busy. Raises InputError."""
    db: sqlite3.Connection | None = None
    try:
        db = connect(path)
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


def claim(path: str, tables: Tables) -> int:
    """A descriptor that holds `path` until it is closed or the process ends: for this process alone,
    unless the tables are shared.

    Raises InputError unless the file is one of ours, empty or not there, and nobody's now. Looks at
    bytes only: to open somebody's database, even just to read, may change files beside it.
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
        _refuse_foreign(path, os.pread(descriptor, 100, 0), tables)
        if not tables.shared:
            # No lock that SQLite knows.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InputError(
            f"--db: {path} is in use by another process: stop it, or give another file"
        ) from None
    except InputError:
        os.close(descriptor)
        raise
    return descriptor


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
