"""Where the receiver keeps what it has taken: one SQLite file, one writer, group commits.

A delivery is handed in and awaited; the wait ends after the commit, so that whoever then answers
200 promises no more than the disk holds. Dedup and effect are one transaction: neither is ever
there without the other. Knows nothing of HTTP, signatures or JSON. Guide: 訊息去重, 常見問題 3, 5.

A batch is written on the event loop, a few milliseconds at most, and only its commit waits for the
disk in a thread. A thread that did all of it would ask for the interpreter's lock again after every
statement, and wait for up to 5 ms each time beside a busy loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
import struct
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from conformance.errors import InputError

MEMORY = ":memory:"
PREVIEW = 2048
"""Bytes of a body that `deliveries` gives."""

BATCH_ROWS = 256
BATCH_BYTES = 4 * 1024 * 1024
"""What ends a batch: so many deliveries, or so many bytes of their bodies."""

BUSY_PATIENCE = 3.0
"""Seconds to wait for another process that writes to the same file: less than the sender's 5 s."""
BUSY_PAUSE = 0.002

_MAGIC = b"SQLite format 3\0"
_APPLICATION = 0x48505249  # "HPRI", at byte 68 of the file
_VERSION = 1  # of the tables, at byte 60
_TABLES = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
CREATE TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS effects (
    id INTEGER PRIMARY KEY, msg_id TEXT NOT NULL, received REAL NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS effects_by_msg_id ON effects (msg_id);
COMMIT;
"""


class NotStoredError(Exception):
    """A delivery could not be committed (disk full, file locked): it took no effect and may come
    again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is kept of a message: its id, its whole body as received, and when (Unix seconds)."""

    msg_id: str
    body: bytes
    received: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A delivery that took effect: `size` is the body's in bytes, `start` its first PREVIEW bytes."""

    msg_id: str
    received: float
    size: int
    start: bytes


@dataclass(frozen=True, slots=True)
class _Waiting:
    delivery: Delivery
    key: str | None
    taken: asyncio.Future[bool]


class Inbox:
    """The store in the file `path`, or in memory for ":memory:". Use as an async context manager.

    Entering raises InputError for a file that is another program's or cannot be written, and leaves
    such a file as it is. Several processes may have the same file open. Leaving commits what has
    been handed in.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._durable = path != MEMORY
        self._pending: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._closing = False

    async def __aenter__(self) -> Inbox:
        self._db = _open(self._path)
        # In memory there is one connection only; a batch is never left half done where others run,
        # since nothing is awaited between its BEGIN and its COMMIT.
        self._reader = _connect(self._path) if self._durable else self._db
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inbox")
        self._writer = asyncio.create_task(self._write(), name="inbox writer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._closing = True
        self._wake.set()
        try:
            await self._writer
        finally:
            self._thread.shutdown()
            self._reader.close()
            self._db.close()

    async def add(self, delivery: Delivery, key: str | None) -> bool:
        """Let `delivery` take effect unless `key` is known already; None takes effect every time.

        Returns whether it took effect, once that is committed. Raises NotStoredError, and then it
        did not; UnicodeEncodeError for an id or key that is no Unicode text.
        """
        if self._closing:
            raise NotStoredError("the inbox is closed")
        # A lone surrogate raises here, where it does not take a whole batch down with it.
        f"{delivery.msg_id}{key}".encode()
        taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pending.append(_Waiting(delivery, key, taken))
        self._wake.set()
        return await taken

    def count(self, msg_id: str) -> int:
        """How many times the message `msg_id` took effect. One look into an index, committed data
        only."""
        found = self._reader.execute("SELECT count(*) FROM effects WHERE msg_id = ?", (msg_id,))
        return int(found.fetchone()[0])

    def deliveries(self, limit: int) -> list[Entry]:
        """The newest `limit` deliveries that took effect, newest first."""
        rows = self._reader.execute(
            "SELECT msg_id, received, length(body), substr(body, 1, ?) FROM effects"
            " ORDER BY id DESC LIMIT ?",
            (PREVIEW, limit),
        )
        return [Entry(*row) for row in rows]

    async def _write(self) -> None:
        while self._pending or not self._closing:
            if not self._pending:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = self._batch()
            try:
                news = await self._commit(batch)
            except Exception as fault:  # whatever it is, it belongs to those who wait
                for waiting in batch:
                    if not waiting.taken.done():
                        waiting.taken.set_exception(NotStoredError(str(fault)))
            else:
                for waiting, new in zip(batch, news, strict=True):
                    if not waiting.taken.done():
                        waiting.taken.set_result(new)

    def _batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._pending and len(batch) < BATCH_ROWS and size < BATCH_BYTES:
            batch.append(self._pending.popleft())
            size += len(batch[-1].delivery.body)
        return batch

    async def _commit(self, batch: list[_Waiting]) -> list[bool]:
        """Write `batch` in one transaction; which of them were new."""
        await self._begin()
        try:
            news = [self._insert(waiting.delivery, waiting.key) for waiting in batch]
            if self._durable:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._thread, self._db.commit)
            else:
                self._db.commit()
        except Exception:
            if self._db.in_transaction:
                self._db.rollback()
            raise
        return news

    async def _begin(self) -> None:
        """Take the file's write lock. SQLite's own waiting would hold the event loop."""
        loop = asyncio.get_running_loop()
        until = loop.time() + BUSY_PATIENCE
        while True:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as fault:
                # The low byte is the kind of error; there are several ways of being busy.
                if fault.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or loop.time() > until:
                    raise
            await asyncio.sleep(BUSY_PAUSE)

    def _insert(self, delivery: Delivery, key: str | None) -> bool:
        if key is not None:
            known = "INSERT INTO seen (key) VALUES (?) ON CONFLICT DO NOTHING"
            if self._db.execute(known, (key,)).rowcount == 0:
                return False
        self._db.execute(
            "INSERT INTO effects (msg_id, received, body) VALUES (?, ?, ?)",
            (delivery.msg_id, delivery.received, delivery.body),
        )
        return True


def _connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_PATIENCE, isolation_level=None, check_same_thread=False
    )


def _open(path: str) -> sqlite3.Connection:
    """The writer's connection, with the tables there. Raises InputError."""
    if path != MEMORY:
        _refuse_foreign(path)
    db: sqlite3.Connection | None = None
    try:
        db = _connect(path)
        # The name and the tables in one transaction, before WAL: a file is never half ours, and its
        # header says whose it is without looking into the log. Written each time, so that a file
        # that cannot be written is found out now.
        db.executescript(_TABLES)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(
            "PRAGMA synchronous = FULL"
        )  # a commit survives the machine, not the process only
        db.execute("PRAGMA busy_timeout = 0")
    except sqlite3.Error as fault:
        if db is not None:
            db.close()
        raise InputError(
            f"--db: {path} cannot be used as a database ({fault}): give a file that can be written"
        ) from None
    return db


def _refuse_foreign(path: str) -> None:
    """Raise InputError unless `path` is a database of this module, empty or not there.

    Looks at bytes only: to open somebody's database, even just to read, may change files beside it.
    """
    file = Path(path)
    try:
        with suppress(FileExistsError):
            file.touch(mode=0o600, exist_ok=False)  # messages are private (敏感數據處理)
        with file.open("rb") as opened:
            header = opened.read(100)
    except OSError as fault:
        raise InputError(
            f"--db: {path} cannot be opened ({fault.strerror}): give a file that can be written"
        ) from None
    if not header:
        return
    whole = len(header) == 100 and header.startswith(_MAGIC)
    if not whole or struct.unpack_from(">I", header, 68) != (_APPLICATION,):
        raise InputError(f"--db: {path} is not an inbox of Hookproof's receiver: give another file")
    (version,) = struct.unpack_from(">I", header, 60)
    if version != _VERSION:
        raise InputError(
            f"--db: {path} is an inbox of version {version}, and this Hookproof reads version "
            f"{_VERSION}: give another file"
        )
