"""A durable file: private to its owner, locked, and never another program's."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.model.errors import InputError
from conformance.model.sentence import Sentence
from conformance.storage import database as module
from conformance.storage.database import MEMORY, Database, Tables

OWN = Tables(
    application=0x48505454,
    version=3,
    script="CREATE TABLE IF NOT EXISTS notes (text TEXT);",
    name=Sentence("a notebook"),
)
SHARED = replace(OWN, shared=True)

both = pytest.mark.parametrize(
    "tables", [pytest.param(OWN, id="own"), pytest.param(SHARED, id="shared")]
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


def note(file: Path, text: str) -> None:
    with closing(Database(str(file), OWN)) as db:
        db.writer.execute("INSERT INTO notes VALUES (?)", (text,))


def notes(db: Database) -> list[str]:
    return [text for (text,) in db.reader.execute("SELECT text FROM notes").fetchall()]


@both
def test_a_new_file_is_private_to_its_owner(file: Path, tables: Tables) -> None:
    with closing(Database(str(file), tables)) as db:
        assert notes(db) == []
        modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
    assert modes == dict.fromkeys(["notes.db", "notes.db-shm", "notes.db-wal"], 0o600)


@both
def test_an_empty_file_becomes_a_database(file: Path, tables: Tables) -> None:
    file.touch()
    with closing(Database(str(file), tables)) as db:
        assert notes(db) == []


@both
def test_written_data_is_there_after_the_file_is_reopened(file: Path, tables: Tables) -> None:
    note(file, "燈亮了")
    with closing(Database(str(file), tables)) as db:
        assert notes(db) == ["燈亮了"]


@both
def test_a_commit_survives_the_machine_and_readers_do_not_stop_it(
    file: Path, tables: Tables
) -> None:
    with closing(Database(str(file), tables)) as db:
        assert db.writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.writer.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_in_memory_one_connection_reads_and_writes() -> None:
    with closing(Database(MEMORY, OWN)) as db:
        db.writer.execute("INSERT INTO notes VALUES ('1')")
        assert (notes(db), db.durable) == (["1"], False)


def _other_database(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.executescript("PRAGMA journal_mode = WAL; CREATE TABLE people (name TEXT);")


def _later_version(file: Path) -> None:
    note(file, "1")
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@both
@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda file: file.write_text("# Notes\n"), "is not a notebook", id="text"),
        pytest.param(lambda file: file.write_bytes(b"\0" * 4096), "is not a notebook", id="zeros"),
        pytest.param(_other_database, "is not a notebook", id="other-database"),
        pytest.param(_later_version, "is a notebook of version 99", id="later-version"),
    ],
)
def test_a_file_of_another_program_is_refused_and_left_as_it_is(
    file: Path, tables: Tables, make: Callable[[Path], object], words: str
) -> None:
    make(file)
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    with pytest.raises(InputError, match=rf"--db: \S+ {words}.*: give another file"):
        Database(str(file), tables)
    assert {path.name: path.read_bytes() for path in file.parent.iterdir()} == before


@both
@pytest.mark.parametrize("name", [pytest.param(".", id="folder"), "missing/notes.db"])
def test_a_file_that_cannot_be_written_is_refused(
    tmp_path: Path, tables: Tables, name: str
) -> None:
    with pytest.raises(InputError, match=r"--db: .* cannot be opened .*: give a file"):
        Database(str(tmp_path / name), tables)


def test_a_file_belongs_to_one_process_until_it_is_closed(file: Path) -> None:
    refused = pytest.raises(InputError, match="in use by another process: stop it, or give another")
    with closing(Database(str(file), OWN)), refused:
        Database(str(file), OWN)
    note(file, "1")


def test_a_refused_file_stays_available_to_others(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db:  # ours by its header, but unusable
        db.executescript(
            f"PRAGMA application_id = {OWN.application}; PRAGMA user_version = {OWN.version};"
            "CREATE VIEW notes AS SELECT 1;"
        )
    for _ in range(2):
        with pytest.raises(InputError, match="cannot be used as a database"):
            Database(str(file), replace(OWN, script="CREATE INDEX a ON notes (text);"))


def test_a_shared_file_is_open_twice(file: Path) -> None:
    with closing(Database(str(file), SHARED)) as one, closing(Database(str(file), SHARED)) as other:
        one.writer.execute("INSERT INTO notes VALUES ('1')")
        assert notes(other) == ["1"]


def test_a_new_shared_file_is_opened_one_process_at_a_time(file: Path) -> None:
    file.touch()
    opened = threading.Event()

    def open_it() -> None:
        with closing(Database(str(file), SHARED)):
            opened.set()

    with file.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # as another process does while it creates the tables
        thread = threading.Thread(target=open_it)
        thread.start()
        assert not opened.wait(0.03)
        fcntl.flock(other, fcntl.LOCK_UN)
        assert opened.wait(5)
    thread.join()


def test_a_shared_file_that_stays_locked_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_PATIENCE", 0.01)
    file.touch()
    with file.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="in use by another process"):
            Database(str(file), SHARED)
