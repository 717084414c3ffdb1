"""Writing a trace file: beside its place, and moved there only when it is whole."""

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
    narrow,
    numbered,
    sound,
    wide,
)

BATCH = 1000
_HEAD = 100  # bytes of an SQLite file's header
_MAGIC = b"SQLite format 3\x00"

Rules = Mapping[str, Mapping[str, Any]]


def check_place(path: Path) -> None:
    """Raise InputError when a trace may not be written to `path`: another kind of file is there."""
    if path.exists() and path.stat().st_size > 0:
        try:
            check_file(path)
        except InputError as fault:
            raise InputError(f"{fault}. It was left as it is: choose another name") from None


def check_file(path: Path) -> None:
    """Raise InputError, in one line, for a file that is no trace, or none that can be read here."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            size = file.seek(0, os.SEEK_END)
    except OSError as fault:
        raise InputError(f"{path} cannot be read: {fault.strerror}") from None
    if not head.startswith(_MAGIC) or len(head) < _HEAD:
        raise InputError(f"{path} is no trace (`--trace FILE` of a run writes one)")
    application, version = struct.unpack(">I", head[68:72])[0], struct.unpack(">I", head[60:64])[0]
    if application != APPLICATION_ID:
        raise InputError(f"{path} is no trace, but an SQLite file of another program")
    if version > VERSION:
        raise InputError(
            f"{path} was written by a newer Hookproof (format {version}; this one reads {VERSION}): "
            "upgrade with `pip install --upgrade hookproof`"
        )
    if version < VERSION:
        raise InputError(
            f"{path} was written by an older Hookproof (format {version}; this one reads {VERSION}): "
            "record the run again"
        )
    page = struct.unpack(">H", head[16:18])[0]
    whole = struct.unpack(">I", head[28:32])[0] * (65536 if page == 1 else page)
    if size < whole:
        raise InputError(
            f"{path} is damaged: {size:,} bytes of {whole:,} are there. Was it copied to the end?"
        )


def write(
    path: Path,
    exchanges: Iterable[Exchange],
    run: Mapping[str, Any] | None = None,
    rules: Rules | None = None,
    results: Sequence[Result] = (),
) -> None:
    """Write a new trace file; one that is there is replaced only by a whole one, and only if it is
    a trace. `exchanges` is gone through once. Raises InputError, and then nothing has changed."""
    check_place(path)
    with whole_file(path) as part, closing(sqlite3.connect(part, isolation_level=None)) as store:
        # The file is nobody's until it is whole: no journal, and no waiting for the disk.
        store.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        fill(store, exchanges, run, rules, results)


def fill(
    store: sqlite3.Connection,
    exchanges: Iterable[Exchange],
    run: Mapping[str, Any] | None,
    rules: Rules | None,
    results: Sequence[Result],
) -> None:
    """Make the tables in an empty database, and put everything into them."""
    store.executescript(
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};{TABLES}"
    )
    store.execute("BEGIN")
    store.executemany("INSERT INTO meta VALUES (?, ?)", _written(run or {}))
    store.executemany("INSERT INTO rules VALUES (?, ?)", _written(rules or {}))
    for number, each in enumerate(results, 1):
        store.execute(f"INSERT INTO results VALUES ({_places(10)})", _result(number, each))
        places = [(number, place, at) for place, at in enumerate(each.exchanges)]
        store.executemany("INSERT INTO evidence VALUES (?, ?, ?)", places)
    into_narrow = f"INSERT INTO exchanges VALUES ({_places(len(NARROW))})"
    into_wide = f"INSERT INTO contents VALUES ({_places(len(WIDE) + 1)})"
    coming = numbered(exchanges)
    while batch := list(islice(coming, BATCH)):
        store.executemany(into_narrow, [narrow(each, attempt) for each, attempt in batch])
        store.executemany(into_wide, [wide(each) for each, _ in batch])
    for index in filter(str.strip, INDEXES.split(";")):
        store.execute(index)
    store.execute("COMMIT")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write to beside `path`, which takes its place once the block has ended well. Raises
    InputError, and leaves everything as it was, when that cannot be."""
    path = path.resolve()  # where a link leads is written to, and the link stays
    if path.exists() and not path.is_file():
        raise InputError(f"{path} cannot be written: it is no plain file")
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    made = False
    try:
        part.open("xb").close()
        made = True
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, sqlite3.Error) as fault:
        said = getattr(fault, "strerror", None) or fault
        raise InputError(f"{path} cannot be written: {said}") from None
    finally:
        if made:
            part.unlink(missing_ok=True)


def _places(number: int) -> str:
    return ", ".join("?" * number)


def _written(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        yield key, sound(json.dumps(value, ensure_ascii=False))


def _result(number: int, each: Result) -> tuple[object, ...]:
    return (
        number,
        each.rule.id,
        each.case,
        each.level.value,
        each.outcome.value,
        sound(each.message.en),
        sound(each.message.zh),
        each.seconds,
        each.reproduce,
        each.judged,
    )
