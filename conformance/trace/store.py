"""Writes a trace file: under a temporary name, and renamed only when it is complete."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from conformance.model.errors import InputError
from conformance.model.exchange import Exchange
from conformance.model.result import Result
from conformance.trace.tables import (
    APPLICATION_ID,
    INDEXES,
    NARROW,
    TABLES,
    VERSION,
    WIDE,
    contents_row,
    escape_surrogates,
    exchange_row,
    with_attempts,
)

BATCH = 1000
_HEAD = 100  # bytes of an SQLite file's header
_MAGIC = b"SQLite format 3\x00"

Rules = Mapping[str, Mapping[str, Any]]


def check_place(path: Path) -> None:
    """Raise InputError when a trace may not be written to `path`: it is a file of another kind."""
    if path.exists() and path.stat().st_size > 0:
        try:
            check_file(path)
        except InputError as fault:
            raise InputError(
                "{reason}. It was left as it is: choose another name", reason=fault.sentence
            ) from None


def check_file(path: Path) -> None:
    """Raise InputError, in one line, for a file that is not a trace or cannot be read here."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            size = file.seek(0, os.SEEK_END)
    except OSError as fault:
        raise InputError(
            "{path} cannot be read: {reason}", path=str(path), reason=str(fault.strerror)
        ) from None
    if not head.startswith(_MAGIC) or len(head) < _HEAD:
        raise InputError(
            "{path} is not a trace (`--trace FILE` of a run writes one)", path=str(path)
        )
    application, version = struct.unpack(">I", head[68:72])[0], struct.unpack(">I", head[60:64])[0]
    if application != APPLICATION_ID:
        raise InputError(
            "{path} is not a trace, but an SQLite file of another program", path=str(path)
        )
    if version > VERSION:
        raise InputError(
            "{path} was written by a newer Hookproof (format {version}; this one reads "
            "{supported}): upgrade with `pip install --upgrade hookproof`",
            path=str(path),
            version=version,
            supported=VERSION,
        )
    if version < VERSION:
        raise InputError(
            "{path} was written by an older Hookproof (format {version}; this one reads "
            "{supported}): record the run again",
            path=str(path),
            version=version,
            supported=VERSION,
        )
    page = struct.unpack(">H", head[16:18])[0]
    whole = struct.unpack(">I", head[28:32])[0] * (65536 if page == 1 else page)
    if size < whole:
        raise InputError(
            "{path} is damaged: it has {size:,} bytes of {whole:,}. Was it copied completely?",
            path=str(path),
            size=size,
            whole=whole,
        )


def write(
    path: Path,
    exchanges: Iterable[Exchange],
    run: Mapping[str, Any] | None = None,
    rules: Rules | None = None,
    results: Sequence[Result] = (),
) -> None:
    """Write a trace file. An existing file is replaced only by a complete one, and only if it is a
    trace. Iterates over `exchanges` once. Raises InputError, and then nothing has changed."""
    check_place(path)
    with whole_file(path) as part, closing(sqlite3.connect(part, isolation_level=None)) as store:
        # Nobody reads the file until it is complete: no journal, and no waiting for the disk.
        store.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        fill(store, exchanges, run, rules, results)


def fill(
    store: sqlite3.Connection,
    exchanges: Iterable[Exchange],
    run: Mapping[str, Any] | None,
    rules: Rules | None,
    results: Sequence[Result],
) -> None:
    """Create the tables in an empty database and fill them."""
    store.executescript(
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};{TABLES}"
    )
    store.execute("BEGIN")
    store.executemany("INSERT INTO meta VALUES (?, ?)", _json_rows(run or {}))
    store.executemany("INSERT INTO rules VALUES (?, ?)", _json_rows(rules or {}))
    for number, result in enumerate(results, 1):
        store.execute(f"INSERT INTO results VALUES ({_marks(11)})", _result(number, result))
        evidence = [(number, place, ident) for place, ident in enumerate(result.exchanges)]
        store.executemany("INSERT INTO evidence VALUES (?, ?, ?)", evidence)
    into_narrow = f"INSERT INTO exchanges VALUES ({_marks(len(NARROW))})"
    into_wide = f"INSERT INTO contents VALUES ({_marks(len(WIDE) + 1)})"
    rest = with_attempts(exchanges)
    while batch := list(islice(rest, BATCH)):
        store.executemany(into_narrow, [exchange_row(each, attempt) for each, attempt in batch])
        store.executemany(into_wide, [contents_row(each) for each, _ in batch])
    for index in filter(str.strip, INDEXES.split(";")):
        store.execute(index)
    store.execute("COMMIT")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write to beside `path`, which replaces `path` when the block ends without an
    exception. Raises InputError when it cannot, and leaves everything as it was."""
    path = path.resolve()  # write to the target of a link, and keep the link
    if path.exists() and not path.is_file():
        raise InputError("{path} cannot be written: it is not a regular file", path=str(path))
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    created = False
    try:
        part.open("xb").close()
        created = True
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, sqlite3.Error) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise InputError(
            "{path} cannot be written: {reason}", path=str(path), reason=str(reason)
        ) from None
    finally:
        if created:
            part.unlink(missing_ok=True)


def _marks(number: int) -> str:
    return ", ".join("?" * number)


def _json_rows(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        yield key, escape_surrogates(json.dumps(value, ensure_ascii=False))


def _result(number: int, result: Result) -> tuple[object, ...]:
    return (
        number,
        result.rule.id,
        result.case,
        result.level.value,
        result.outcome.value,
        result.code,
        escape_surrogates(str(result.message)),
        json.dumps(result.message.as_data()),
        result.seconds,
        result.reproduce,
        result.judged,
    )
