"""The inbox: one effect for each key, after the commit, and no other program's file."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.model.errors import InputError
from conformance.receiver.inbox import PREVIEW, Delivery, Inbox
from conformance.sender.store import Store
from conformance.storage.commits import NotStoredError
from conformance.storage.database import MEMORY


def delivery(msg_id: str, body: bytes = b"{}") -> Delivery:
    return Delivery(msg_id, body, received=1769845800.5, fits=True)


async def take(inbox: Inbox, msg_id: str) -> bool:
    return await inbox.add(delivery(msg_id), msg_id)


@pytest.fixture(params=[MEMORY, "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the inbox is: in memory, or in a file."""
    return MEMORY if request.param == MEMORY else str(tmp_path / "inbox.db")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "inbox.db"


async def test_a_first_delivery_is_new_and_its_repeat_is_not(place: str) -> None:
    async with Inbox(place) as inbox:
        assert [await take(inbox, "1"), await take(inbox, "1")] == [True, False]
        assert inbox.count("1") == 1


async def test_one_of_fifty_copies_at_once_takes_effect(place: str) -> None:
    async with Inbox(place) as inbox:
        news = await asyncio.gather(*(take(inbox, "1") for _ in range(50)))
        assert (sum(news), inbox.count("1")) == (1, 1)


async def test_without_a_key_every_copy_takes_effect(place: str) -> None:
    async with Inbox(place) as inbox:
        assert [await inbox.add(delivery("1"), None) for _ in range(3)] == [True] * 3
        assert inbox.count("1") == 3


async def test_an_unknown_id_has_no_effect(place: str) -> None:
    async with Inbox(place) as inbox:
        await take(inbox, "1")
        assert inbox.count("2") == 0


async def test_deliveries_come_newest_first_and_no_more_than_asked_for(place: str) -> None:
    async with Inbox(place) as inbox:
        for number in range(5):
            await take(inbox, str(number))
        assert [entry.msg_id for entry in inbox.deliveries(3)] == ["4", "3", "2"]


async def test_a_listed_delivery_has_the_size_of_the_body_and_its_first_bytes(place: str) -> None:
    body = b"\xff\x00" + b"x" * PREVIEW
    async with Inbox(place) as inbox:
        await inbox.add(delivery("1", body), "1")
        (entry,) = inbox.deliveries(10)
        assert (entry.size, entry.start, entry.fits) == (len(body), body[:PREVIEW], True)


async def test_an_id_is_remembered_after_the_file_is_reopened(file: Path) -> None:
    async with Inbox(str(file)) as inbox:
        await take(inbox, "1")
    async with Inbox(str(file)) as inbox:
        assert (await take(inbox, "1"), inbox.count("1")) == (False, 1)


async def test_a_submitted_delivery_is_committed_when_the_inbox_closes(file: Path) -> None:
    async with Inbox(str(file)) as inbox:
        waiting = asyncio.create_task(take(inbox, "1"))
        await asyncio.sleep(0)  # let it submit its delivery
    assert await waiting
    async with Inbox(str(file)) as inbox:
        assert inbox.count("1") == 1


async def test_a_delivery_is_on_disk_when_add_returns(file: Path) -> None:
    async with Inbox(str(file)) as inbox:
        await take(inbox, "1")
        with closing(sqlite3.connect(file)) as other:
            assert other.execute("SELECT msg_id FROM effects").fetchall() == [("1",)]


async def test_neither_a_first_delivery_nor_its_repeat_is_answered_before_the_commit(
    file: Path,
) -> None:
    async with Inbox(str(file)) as inbox:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # no other connection can commit now
            copies = [asyncio.create_task(take(inbox, "1")) for _ in range(2)]
            done, _ = await asyncio.wait(copies, timeout=0.03)
            other.execute("COMMIT")
        assert not done
        assert await asyncio.gather(*copies) == [True, False]


async def test_an_id_that_is_not_text_does_not_harm_its_neighbours(place: str) -> None:
    async with Inbox(place) as inbox:
        ids = ["1", "\ud83d", "2"]
        results = await asyncio.gather(*(take(inbox, each) for each in ids), return_exceptions=True)
        assert (results[0], type(results[1]), results[2]) == (True, UnicodeEncodeError, True)


async def test_a_delivery_is_committed_even_if_its_caller_is_cancelled(place: str) -> None:
    async with Inbox(place) as inbox:
        waiting = asyncio.create_task(take(inbox, "1"))
        await asyncio.sleep(0)
        waiting.cancel()
        assert (await take(inbox, "1"), inbox.count("1")) == (False, 1)


async def test_two_instances_on_one_file_share_their_ids(file: Path) -> None:
    async with Inbox(str(file)) as one, Inbox(str(file)) as other:
        ids = [str(number) for number in range(100)]
        takes = (take(inbox, each) for each in ids for inbox in (one, other))
        assert sum(await asyncio.gather(*takes)) == len(ids)
        assert {other.count(each) for each in ids} == {1}


async def test_nothing_is_accepted_after_the_inbox_is_closed() -> None:
    async with Inbox(MEMORY) as inbox:
        pass
    with pytest.raises(NotStoredError, match="closed"):
        await take(inbox, "1")


async def test_a_delivery_that_cannot_be_stored_is_still_new_afterwards(place: str) -> None:
    async with Inbox(place) as inbox:
        inbox._commits._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 50_000)
        with pytest.raises(NotStoredError):
            await inbox.add(delivery("1", b"x" * 100_000), "1")
        assert (await take(inbox, "1"), inbox.count("1")) == (True, 1)


async def test_a_file_of_the_senders_is_refused(file: Path) -> None:
    async with Store(str(file)):
        pass
    with pytest.raises(InputError, match="is not an inbox of Hookproof's receiver"):
        await Inbox(str(file)).__aenter__()


@settings(max_examples=50, deadline=None)
@given(ids=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=3)))
def test_any_order_of_ids_is_new_exactly_the_first_time(ids: list[str]) -> None:
    async def run() -> None:
        async with Inbox(MEMORY) as inbox:
            news = [await take(inbox, each) for each in ids]
            assert news == [each not in ids[:at] for at, each in enumerate(ids)]
            assert all(inbox.count(each) == 1 for each in ids)

    asyncio.run(run())
