"""Group commits on one writer: jobs that are pending together share a commit.

`run` returns after the commit, so that an answer sent afterwards promises no more than the disk
holds. Knows nothing of what the tables hold.

A job runs on the event loop, for a few milliseconds at most; only the commit, which waits for the
disk, runs in a thread. A thread that ran the jobs too would have to reacquire the GIL after every
statement, and wait up to 5 ms each time beside a busy loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from conformance.storage.database import BUSY_PATIENCE, BUSY_PAUSE, Database, Tables

BATCH_ROWS = 256
BATCH_BYTES = 4 * 1024 * 1024
"""A batch ends at this many rows, or this many bytes in them; each job declares what it writes."""

_FLUSH = {True: "PRAGMA synchronous = FULL", False: "PRAGMA synchronous = NORMAL"}

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]


class NotStoredError(Exception):
    """A job could not be committed (disk full, file locked): it wrote nothing."""


class _Pending(NamedTuple):
    """A submitted job. There are many small ones, and a dataclass takes three times as long to make."""

    job: Job[Any]
    rows: int
    size: int
    flush: bool
    done: asyncio.Future[Any]


class Commits:
    """The file `path`, or memory for ":memory:". Use as an async context manager.

    Entering raises InputError as Database does. Leaving commits the pending jobs.
    """

    def __init__(self, path: str, tables: Tables) -> None:
        self._path = path
        self._tables = tables
        self._pending: deque[_Pending] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._flushing = True  # `Database` opens the file so

    async def __aenter__(self) -> Commits:
        self._file = Database(self._path, self._tables)
        # In memory there is only one connection. Readers never see half a batch there, since nothing
        # is awaited between its BEGIN and its COMMIT.
        self._db = self._file.writer
        self.reader = self._file.reader
        """For reading committed data. Fetch all rows at once: an open cursor blocks the file."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commits")
        self._writer = asyncio.create_task(self._write(), name="writer")
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
            self._file.close()

    async def run(self, job: Job[T], rows: int = 1, size: int = 0, *, flush: bool = True) -> T:
        """Run `job`, which writes `rows` of about `size` bytes in all, in a transaction. Returns its
        result once that is committed.

        With `flush` the data is then on the disk, and survives a crash of the machine. Without, it
        survives a crash of this process, which is enough for what nobody was promised and costs much
        less.

        Raises what `job` raises, and then nothing that it wrote stays. A job may run a second time
        when another job of its batch raised, so it must touch nothing but the file. Raises
        NotStoredError when the file cannot be written.
        """
        if self._closing:
            raise NotStoredError("the store is closed")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(job, rows, size, flush, done))
        self._wake.set()
        return await done

    async def _write(self) -> None:
        while self._pending or not self._closing:
            if not self._pending:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = self._batch()
            try:
                results = await self._commit(batch)
            except Exception as fault:  # any fault is for the callers of these jobs
                results = [NotStoredError(str(fault)) for _ in batch]
            for pending, result in zip(batch, results, strict=True):
                if pending.done.done():
                    continue
                if isinstance(result, Exception):
                    pending.done.set_exception(result)
                else:
                    pending.done.set_result(result)

    def _batch(self) -> list[_Pending]:
        batch: list[_Pending] = []
        rows = size = 0
        while self._pending and rows < BATCH_ROWS and size < BATCH_BYTES:
            batch.append(self._pending.popleft())
            rows += batch[-1].rows
            size += batch[-1].size
        return batch

    async def _commit(self, batch: list[_Pending]) -> list[Any]:
        """Run `batch` in one transaction. Returns the result or the exception of each job."""
        flush = any(pending.flush for pending in batch)
        if flush is not self._flushing:
            self._db.execute(_FLUSH[flush])
            self._flushing = flush
        await self._begin()
        try:
            results = await self._run(batch)
            if self._file.durable:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._thread, self._db.commit)
            else:
                self._db.commit()
        except Exception:
            self._rollback()
            raise
        return results

    async def _run(self, batch: list[_Pending]) -> list[Any]:
        try:
            return [pending.job(self._db) for pending in batch]
        except Exception:
            # One of them is at fault, and a savepoint for each finds out which. Savepoints in every
            # batch would cost nearly as much as the jobs.
            self._rollback()
            await self._begin()
            return [self._attempt(pending.job) for pending in batch]

    def _attempt(self, job: Job[Any]) -> Any:
        self._db.execute("SAVEPOINT job")
        try:
            result = job(self._db)
        except Exception as fault:
            if not self._db.in_transaction:  # SQLite rolled the whole transaction back: disk full
                raise
            self._db.execute("ROLLBACK TO job")
            result = NotStoredError(str(fault)) if isinstance(fault, sqlite3.Error) else fault
        self._db.execute("RELEASE job")
        return result

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.rollback()

    async def _begin(self) -> None:
        """Take the file's write lock. SQLite's own busy wait would block the event loop."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BUSY_PATIENCE
        while True:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as fault:
                # The low byte is the primary error code; SQLITE_BUSY has several extended ones.
                if fault.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or loop.time() > deadline:
                    raise
            await asyncio.sleep(BUSY_PAUSE)
