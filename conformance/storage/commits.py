"""Group commits on one writer: jobs that are handed in together share a commit.

A job is awaited until it is committed, so that whoever answers afterwards promises no more than the
disk holds. Knows nothing of what the tables hold.

A job runs on the event loop, a few milliseconds at most, and only the commit waits for the disk in a
thread. A thread that did all of it would ask for the interpreter's lock again after every statement,
and wait for up to 5 ms each time beside a busy loop.
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
"""What ends a batch: so many rows, or so many bytes in them; a job says how much it writes."""

_FLUSH = {True: "PRAGMA synchronous = FULL", False: "PRAGMA synchronous = NORMAL"}

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]


class NotStoredError(Exception):
    """A job could not be committed (disk full, file locked): nothing of it was written."""


class _Handed(
    NamedTuple
):  # made for each of many small jobs: a dataclass takes three times as long
    job: Job[Any]
    rows: int
    size: int
    flush: bool
    done: asyncio.Future[Any]


class Commits:
    """The file `path`, or memory for ":memory:". Use as an async context manager.

    Entering raises InputError as Database does. Leaving commits what has been handed in.
    """

    def __init__(self, path: str, tables: Tables) -> None:
        self._path = path
        self._tables = tables
        self._handed: deque[_Handed] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._flushing = True  # as the file is opened

    async def __aenter__(self) -> Commits:
        self._file = Database(self._path, self._tables)
        # In memory there is one connection only; a batch is never left half done where others run,
        # since nothing is awaited between its BEGIN and its COMMIT.
        self._db = self._file.writer
        self.reader = self._file.reader
        """For reading what is committed. Fetch all rows at once: an open cursor holds up the file."""
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
        """Run `job`, which writes `rows` of about `size` bytes in all, in a transaction; what it
        returned, once that is committed.

        With `flush` it is on the disk then, and survives the machine; without, it survives this
        process, which is enough for what nobody was promised, and costs much less.

        What `job` raises is raised here, and then nothing that it wrote stays. It may be run a second
        time when another one of its batch raised, so that the file must be all that it touches.
        Raises NotStoredError when the file cannot be written.
        """
        if self._closing:
            raise NotStoredError("the store is closed")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._handed.append(_Handed(job, rows, size, flush, done))
        self._wake.set()
        return await done

    async def _write(self) -> None:
        while self._handed or not self._closing:
            if not self._handed:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = self._batch()
            try:
                results = await self._commit(batch)
            except Exception as fault:  # whatever it is, it belongs to those who wait
                results = [NotStoredError(str(fault)) for _ in batch]
            for handed, result in zip(batch, results, strict=True):
                if handed.done.done():
                    continue
                if isinstance(result, Exception):
                    handed.done.set_exception(result)
                else:
                    handed.done.set_result(result)

    def _batch(self) -> list[_Handed]:
        batch: list[_Handed] = []
        rows = size = 0
        while self._handed and rows < BATCH_ROWS and size < BATCH_BYTES:
            batch.append(self._handed.popleft())
            rows += batch[-1].rows
            size += batch[-1].size
        return batch

    async def _commit(self, batch: list[_Handed]) -> list[Any]:
        """Run `batch` in one transaction; what each of the jobs returned or raised."""
        flush = any(handed.flush for handed in batch)
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

    async def _run(self, batch: list[_Handed]) -> list[Any]:
        try:
            return [handed.job(self._db) for handed in batch]
        except Exception:
            # One of them is at fault. A savepoint for each finds out which; always to have them
            # would cost nearly as much as the jobs.
            self._rollback()
            await self._begin()
            return [self._attempt(handed.job) for handed in batch]

    def _attempt(self, job: Job[Any]) -> Any:
        self._db.execute("SAVEPOINT job")
        try:
            result = job(self._db)
        except Exception as fault:
            if not self._db.in_transaction:  # SQLite gave the whole transaction up: disk full
                raise
            self._db.execute("ROLLBACK TO job")
            result = NotStoredError(str(fault)) if isinstance(fault, sqlite3.Error) else fault
        self._db.execute("RELEASE job")
        return result

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.rollback()

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
