"""The sender's store: it forgets nothing that was accepted, and touches no other program's file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from conformance.model.errors import InputError
from conformance.protocol.configuration import Configuration
from conformance.protocol.delivery import State
from conformance.protocol.dialect import Secret
from conformance.receiver.inbox import Inbox
from conformance.sender.event import read
from conformance.sender.queue import CHUNK, AttemptResult
from conformance.sender.store import Store
from conformance.storage.commits import NotStoredError
from conformance.storage.database import MEMORY
from tests.patience import PATIENCE
from tests.places import ROOT
from tests.sender.parts import NOW, event

CONFIGURATION = Configuration(
    "http://127.0.0.1:9/", Secret(b"a lighthouse"), timeout=4, message_types=("1", "49")
)


@pytest.fixture(params=[MEMORY, "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the store is: in memory, or in a file."""
    return MEMORY if request.param == MEMORY else str(tmp_path / "queue.db")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


async def accept(store: Store, *msg_ids: str) -> set[int]:
    return await store.accept(list(read([event(each) for each in msg_ids])), NOW)


def waiting(store: Store, configuration: int = 1, now: float = NOW) -> list[int]:
    return [each.id for each in store.queue.due(configuration, now, set())[0]]


def states(store: Store, state: State) -> list[str]:
    idents = list(store.registry.configurations)
    return [each.msg_id for each in store.queue.listed(state, idents, 1000)]


async def purged(store: Store) -> None:
    """Wait until the deleted configurations are purged."""
    async with asyncio.timeout(PATIENCE):
        while store.registry.deleted:
            await asyncio.to_thread(lambda: None)  # give the purger a turn


def result(delivery: int, state: State, due: float = NOW + 1, ended: float = NOW) -> AttemptResult:
    return AttemptResult(
        delivery=delivery,
        configuration=1,
        state=state,
        due=due,
        attempts=1,
        stamp=int(NOW),
        status=500,
        problem="no",
        ended=ended,
    )


async def settle(store: Store, deliveries: Sequence[int], state: State) -> None:
    await store.queue.settle([result(each, state) for each in deliveries])


async def test_an_accepted_message_waits_with_its_body(place: str) -> None:
    async with Store(place) as store:
        ident = await store.registry.create(CONFIGURATION)
        assert await accept(store, "1") == {ident}
        ((one,), more) = store.queue.due(ident, NOW, set())
        assert (one.attempts, one.stamp, more) == (0, None, False)
        assert one.body.stamped(7).startswith(
            b'{"key":"wxid_lighthouse","msgId":"1","timestamp":7,'
        )


async def test_a_repeat_is_accepted_and_waits_once(place: str) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        assert await accept(store, "1", "1") == {1}
        assert await accept(store, "1") == set()
        assert len(waiting(store)) == 1


async def test_a_repeat_of_what_was_delivered_is_not_delivered_again(place: str) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, "1")
        await settle(store, waiting(store), State.DELIVERED)
        await accept(store, "1")
        assert waiting(store) == []


async def test_each_configuration_that_wants_a_message_gets_a_delivery(place: str) -> None:
    async with Store(place) as store:
        for types in (("1",), ("*",), ("3",)):
            await store.registry.create(Configuration("http://a/", message_types=types))
        assert await accept(store, "1") == {1, 2}


async def test_the_result_of_a_deleted_delivery_is_not_written_to_the_next_with_its_id(
    place: str,
) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, "1")
        (old,) = waiting(store)
        await store.delete(1)
        await purged(store)
        heir = await store.registry.create(CONFIGURATION)
        await accept(store, "2")
        assert waiting(store, heir) == [old]
        await settle(store, [old], State.DELIVERED)
        assert waiting(store, heir) == [old]


async def test_a_message_without_recipients_can_be_emitted_again_later(place: str) -> None:
    async with Store(place) as store:
        await accept(store, "1")
        await store.registry.create(CONFIGURATION)
        assert await accept(store, "1") == {1}


async def test_due_deliveries_are_in_order_and_leave_out_the_claimed(place: str) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, *map(str, range(6)))
        first = waiting(store)
        due, more = store.queue.due(1, NOW, set(first[:2]))
        assert ([each.id for each in due], more) == (first[2:], False)


async def test_at_most_fetch_deliveries_are_taken_at_once(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.sender.queue.FETCH", 3)
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, *map(str, range(6)))
        due, more = store.queue.due(1, NOW, set())
        assert (len(due), more) == (3, True)


async def test_large_bodies_are_taken_few_at_a_time(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.sender.queue.FETCH_BYTES", 300)
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, *map(str, range(6)))
        due, more = store.queue.due(1, NOW, set())
        assert (len(due), more) == (2, True)


async def test_a_refused_delivery_waits_until_it_is_due(place: str) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, "1")
        await store.queue.settle([result(1, State.WAITING, due=NOW + 60)])
        assert (waiting(store), store.queue.next_due(1, NOW)) == ([], NOW + 60)
        assert waiting(store, now=NOW + 60) == [1]


async def test_counts_and_the_last_send_are_remembered(file: Path) -> None:
    async with Store(str(file)) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, *map(str, range(4)))
        await store.queue.settle(
            [
                result(1, State.DELIVERED),
                result(2, State.DELIVERED),
                result(3, State.WAITING),
                result(4, State.FAILED, ended=NOW + 5),
            ]
        )
    async with Store(str(file)) as store:
        record = store.registry.record(1)
        assert (record.sent, record.failed) == (2, 1)
        assert (record.last_time, record.last_success) == (NOW + 5, False)


async def test_everything_is_still_there_after_the_file_is_reopened(file: Path) -> None:
    async with Store(str(file)) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, "1", "2", "3")
        await store.queue.settle([result(1, State.DELIVERED), result(2, State.FAILED)])
    async with Store(str(file)) as store:
        assert store.registry.configurations == {1: CONFIGURATION}
        assert states(store, State.DELIVERED) == ["1"]
        assert states(store, State.FAILED) == ["2"]
        assert states(store, State.WAITING) == ["3"]


async def test_a_message_is_on_disk_when_it_is_accepted(file: Path) -> None:
    async with Store(str(file)) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, "1")
        with closing(sqlite3.connect(file)) as other:
            assert other.execute("SELECT msg_id, state FROM entries").fetchall() == [
                ("1", "waiting")
            ]


async def test_nothing_is_accepted_before_the_commit(file: Path) -> None:
    async with Store(str(file)) as store:
        await store.registry.create(CONFIGURATION)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # no other connection can commit now
            accepting = asyncio.create_task(accept(store, "1"))
            done, _ = await asyncio.wait([accepting], timeout=0.03)
            other.execute("COMMIT")
        assert not done
        assert await accepting == {1}


async def test_one_job_that_fails_leaves_nothing_and_does_not_harm_its_neighbours(
    place: str,
) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        store._commits._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 50_000)
        large = list(read([event("before"), event("large", content="x" * 100_000)]))
        outcomes = await asyncio.gather(
            accept(store, "1"), store.accept(large, NOW), accept(store, "2"), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [set, NotStoredError, set]
        assert states(store, State.WAITING) == ["1", "2"]


async def test_a_changed_configuration_replaces_the_previous_one(file: Path) -> None:
    changed = Configuration("http://b/", Secret(b"another"), enabled=False, retry_count=7)
    async with Store(str(file)) as store:
        ident = await store.registry.create(CONFIGURATION)
        await store.registry.change(ident, changed)
        assert store.registry.configurations == {ident: changed}
    async with Store(str(file)) as store:
        assert store.registry.configurations == {ident: changed}


async def test_the_newest_configuration_is_the_last_that_was_configured(file: Path) -> None:
    async with Store(str(file)) as store:
        for url in ("http://a/", "http://b/", "http://c/"):
            await store.registry.create(Configuration(url))
        await store.registry.change(2, Configuration("http://b/", enabled=False))
    async with Store(str(file)) as store:
        assert store.registry.newest() == [2, 3, 1]


async def test_deleting_a_configuration_deletes_its_deliveries(place: str) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await store.registry.create(Configuration("http://b/"))
        await accept(store, *map(str, range(2 * CHUNK)))
        await store.queue.settle([result(1, State.DELIVERED), result(3, State.FAILED)])
        await store.delete(1)
        await purged(store)
        assert {each.configuration for each in store.queue.newest(5000)} == {2}
        assert list(store.registry.configurations) == [2]


async def test_an_interrupted_deletion_continues_after_a_restart(file: Path) -> None:
    async with Store(str(file)) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, "1")
        await store.registry.delete(1)  # and nothing purges its deliveries
    async with Store(str(file)) as store:
        assert store.registry.configurations == {}
        await purged(store)
        assert store.queue.newest(10) == []


async def test_an_id_is_never_reused(place: str) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await store.delete(1)
        assert await store.registry.create(CONFIGURATION) == 2


async def test_a_failed_delivery_can_be_requeued(place: str) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, "1")
        await settle(store, [1], State.FAILED)
        assert await store.queue.redeliver(1, NOW + 9) == 1
        ((one,), _) = store.queue.due(1, NOW + 9, set())
        assert one.attempts == 0


@pytest.mark.parametrize("state", [State.WAITING, State.DELIVERED])
async def test_a_delivery_that_has_not_failed_is_not_requeued(place: str, state: State) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, "1")
        await settle(store, [1], state)
        assert await store.queue.redeliver(1, NOW) == 0
        assert states(store, state) == ["1"]


async def test_the_failed_deliveries_of_a_message_can_be_requeued(place: str) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, "1", "2")
        await settle(store, [1, 2], State.FAILED)
        assert await store.queue.redeliver_message("2", NOW) == 1
        assert states(store, State.WAITING) == ["2"]


async def test_all_failed_deliveries_can_be_requeued(place: str) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, *map(str, range(CHUNK + 9)))
        await settle(store, range(1, CHUNK + 10), State.FAILED)
        assert await store.queue.redeliver_all(1, NOW) == CHUNK + 9
        assert states(store, State.FAILED) == []


async def test_waiting_deliveries_are_listed_soonest_first(place: str) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await store.registry.create(Configuration("http://b/", message_types=("9",)))
        await accept(store, "1", "2", "3")
        await store.queue.settle(
            [result(n, State.WAITING, due=NOW + wait) for n, wait in ((1, 30), (2, 10), (3, 20))]
        )
        assert states(store, State.WAITING) == ["2", "3", "1"]


async def test_successful_deliveries_are_listed_newest_first(place: str) -> None:
    async with Store(place) as store:
        await store.registry.create(CONFIGURATION)
        await accept(store, "1", "2", "3")
        await store.queue.settle(
            [result(n, State.DELIVERED, ended=NOW + at) for n, at in ((1, 30), (2, 10), (3, 20))]
        )
        assert states(store, State.DELIVERED) == ["1", "3", "2"]


async def test_only_one_sender_can_open_the_file(file: Path) -> None:
    async with Store(str(file)):
        with pytest.raises(InputError, match="in use by another process"):
            await Store(str(file)).__aenter__()
    async with Store(str(file)):
        pass


async def test_a_file_of_the_receivers_is_refused(file: Path) -> None:
    async with Inbox(str(file)):
        pass
    with pytest.raises(InputError, match="is not a queue of Hookproof's sender"):
        await Store(str(file)).__aenter__()


FILLED = """
import asyncio, resource, sys
from conformance.model.clock import Clock
from conformance.protocol.configuration import Configuration
from conformance.sender.attempt import AttemptReply
from conformance.sender.store import Store
from conformance.sender.worker import Deliveries

async def main(db, count):
    async with Store(db) as store:
        await store.registry.create(Configuration("http://a/"))
        store._commits._db.execute(
            "INSERT INTO messages (msg_id, cut, body) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
            " SELECT i + 1 FROM n WHERE i < ?) SELECT i * 7919 % 1000003, 9, zeroblob(400) FROM n",
            (count,))
        store._commits._db.execute("INSERT INTO deliveries (message, configuration, state, due)"
                       " SELECT id, 1, 'waiting', 0 FROM messages")
    done = 0
    async def post(configuration, body, now):
        nonlocal done
        await asyncio.sleep(0)
        done += 1
        return AttemptReply(200, None, 0.0)
    async with Store(db) as store:
        async with Deliveries(store, post, Clock()):
            while done < 5000:
                await asyncio.sleep(0.01)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def test_memory_does_not_grow_with_the_queue(tmp_path: Path) -> None:

    def peak(count: int) -> int:
        command = [sys.executable, "-c", FILLED, str(tmp_path / f"{count}.db"), str(count)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return int(subprocess.check_output(command, env=environment, timeout=PATIENCE))

    assert peak(200_000) - peak(5_000) < 40  # MiB: page caches, and nothing per message
