"""Group commits: a job is done when it is on the disk, and a failing job harms no other."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from conformance.model.sentence import Sentence
from conformance.storage import commits as module
from conformance.storage.commits import Commits, Job, NotStoredError
from conformance.storage.database import MEMORY, Tables

TABLES = Tables(
    application=0x48505454,
    version=1,
    script="CREATE TABLE IF NOT EXISTS notes (text TEXT);",
    name=Sentence("a notebook"),
    shared=True,
)


@pytest.fixture(params=[MEMORY, "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the notes are stored: in memory, or in a file."""
    return MEMORY if request.param == MEMORY else str(tmp_path / "notes.db")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


def note(text: str) -> Job[str]:
    def write(db: sqlite3.Connection) -> str:
        db.execute("INSERT INTO notes VALUES (?)", (text,))
        return f"noted {text[:9]}"

    return write


def notes(commits: Commits) -> list[str]:
    return [text for (text,) in commits.reader.execute("SELECT text FROM notes").fetchall()]


def statements(commits: Commits) -> list[str]:
    """The statements that the writer runs from now on."""
    log: list[str] = []
    commits._db.set_trace_callback(log.append)
    return log


async def test_run_returns_the_result_of_its_job_after_the_commit(file: Path) -> None:
    async with Commits(str(file), TABLES) as commits:
        assert await commits.run(note("1")) == "noted 1"
        with closing(sqlite3.connect(file)) as other:
            assert other.execute("SELECT text FROM notes").fetchall() == [("1",)]


async def test_no_job_is_done_before_the_commit(file: Path) -> None:
    async with Commits(str(file), TABLES) as commits:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # no other connection can commit now
            noting = asyncio.create_task(commits.run(note("1")))
            done, _ = await asyncio.wait([noting], timeout=0.03)
            other.execute("COMMIT")
        assert not done
        assert await noting == "noted 1"


async def test_jobs_keep_their_order(place: str) -> None:
    async with Commits(place, TABLES) as commits:
        texts = [str(number) for number in range(1000)]
        await asyncio.gather(*(commits.run(note(each)) for each in texts))
        assert notes(commits) == texts


async def test_jobs_at_once_share_a_commit(file: Path) -> None:
    async with Commits(str(file), TABLES) as commits:
        log = statements(commits)
        await asyncio.gather(*(commits.run(note(str(number))) for number in range(200)))
        assert log.count("COMMIT") == 1


@pytest.mark.parametrize(
    ("amount", "shared"),
    [
        pytest.param({"rows": module.BATCH_ROWS // 4}, 4, id="rows"),
        pytest.param({"size": module.BATCH_BYTES // 2}, 2, id="bytes"),
        pytest.param({"rows": 10 * module.BATCH_ROWS}, 1, id="too-many-rows-for-any"),
    ],
)
async def test_a_commit_is_bounded_in_rows_and_bytes(
    place: str, amount: dict[str, int], shared: int
) -> None:
    async with Commits(place, TABLES) as commits:
        log = statements(commits)
        await asyncio.gather(*(commits.run(note("1"), **amount) for _ in range(8)))
        assert log.count("COMMIT") == 8 // shared


@pytest.mark.parametrize(
    ("flushes", "levels"),
    [
        pytest.param([False, False], ["NORMAL"], id="none"),
        pytest.param([True, True], [], id="all"),
        pytest.param([False, True, False], ["NORMAL", "FULL", "NORMAL"], id="in-turn"),
    ],
)
async def test_a_job_that_nobody_was_promised_is_not_flushed(
    file: Path, flushes: list[bool], levels: list[str]
) -> None:
    async with Commits(str(file), TABLES) as commits:
        log = statements(commits)
        for flush in flushes:
            await commits.run(note("1"), flush=flush)
    assert [each.split()[-1] for each in log if "synchronous" in each] == levels


async def test_a_flushed_job_flushes_its_whole_batch(file: Path) -> None:
    async with Commits(str(file), TABLES) as commits:
        log = statements(commits)
        await asyncio.gather(*(commits.run(note("1"), flush=each) for each in (False, True)))
        assert [each for each in log if "synchronous" in each] == []


def _raises(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO notes VALUES ('half')")
    raise KeyError("no")


def _writes_nonsense(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO notes VALUES ('half')")
    db.execute("INSERT INTO nothing VALUES (1)")


def _writes_what_is_no_text(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO notes VALUES (?)", ("\ud83d",))


@pytest.mark.parametrize(
    ("job", "fault"),
    [
        pytest.param(_raises, KeyError, id="an-exception-of-its-own"),
        pytest.param(_writes_nonsense, NotStoredError, id="a-statement-that-cannot-be"),
        pytest.param(_writes_what_is_no_text, UnicodeEncodeError, id="no-text"),
    ],
)
async def test_a_job_that_fails_leaves_nothing_and_does_not_harm_its_neighbours(
    place: str, job: Job[None], fault: type[Exception]
) -> None:
    async with Commits(place, TABLES) as commits:
        jobs: list[Job[str | None]] = [note("1"), job, note("2")]
        results = await asyncio.gather(*map(commits.run, jobs), return_exceptions=True)
        assert (results[0], type(results[1]), results[2]) == ("noted 1", fault, "noted 2")
        assert notes(commits) == ["1", "2"]


def _fill_disk(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA max_page_count = 1")  # the least possible is the current size


def _forbid_large(db: sqlite3.Connection) -> None:
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 50_000)  # SQLite leaves the transaction open here


@pytest.mark.parametrize("spoil", [_fill_disk, _forbid_large])
async def test_a_job_that_cannot_be_written_fails_and_the_next_succeeds(
    place: str, spoil: Callable[[sqlite3.Connection], None]
) -> None:
    async with Commits(place, TABLES) as commits:
        spoil(commits._db)
        with pytest.raises(NotStoredError):
            await commits.run(note("x" * 100_000))
        commits._db.execute("PRAGMA max_page_count = 1000000")
        await commits.run(note("1"))
        assert notes(commits) == ["1"]


async def test_a_job_fails_while_the_file_stays_locked_and_the_next_succeeds(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_PATIENCE", 0.01)
    async with Commits(str(file), TABLES) as commits:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(NotStoredError, match="locked"):
                await commits.run(note("1"))
        await commits.run(note("2"))
        assert notes(commits) == ["2"]


async def test_two_writers_of_one_file_take_turns(file: Path) -> None:
    async with Commits(str(file), TABLES) as one, Commits(str(file), TABLES) as other:
        jobs = (each.run(note(str(number))) for number in range(100) for each in (one, other))
        await asyncio.gather(*jobs)
        assert len(notes(one)) == 200


async def test_a_job_is_committed_even_if_its_caller_is_cancelled(place: str) -> None:
    async with Commits(place, TABLES) as commits:
        waiting = asyncio.create_task(commits.run(note("1")))
        await asyncio.sleep(0)
        waiting.cancel()
        await commits.run(note("2"))
        assert notes(commits) == ["1", "2"]


async def test_pending_jobs_are_committed_at_the_end(file: Path) -> None:
    async with Commits(str(file), TABLES) as commits:
        waiting = asyncio.create_task(commits.run(note("1")))
        await asyncio.sleep(0)  # let it submit its job
    assert await waiting == "noted 1"
    async with Commits(str(file), TABLES) as commits:
        assert notes(commits) == ["1"]


async def test_no_job_is_accepted_after_the_end() -> None:
    async with Commits(MEMORY, TABLES) as commits:
        pass
    with pytest.raises(NotStoredError, match="closed"):
        await commits.run(note("1"))
