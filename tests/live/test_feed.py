"""The newest requests: kept within bounds, and announced to the pages that watch."""

from __future__ import annotations

import asyncio

from conformance.live.feed import LARGEST, Feed


def add(requests: Feed, body: bytes = b"{}") -> None:
    requests.add(1.0, "POST", "/webhook/receiver", (), body, 200, None)


def feed(*bodies: bytes, most: int = 3, room: int = 1000) -> Feed:
    requests = Feed(most, room)
    for body in bodies:
        add(requests, body)
    return requests


async def test_requests_are_numbered_as_they_come() -> None:
    assert [number for number, _ in feed(b"a", b"b").after(0, 10)] == [1, 2]


async def test_the_oldest_is_dropped_and_numbers_stay() -> None:
    requests = feed(b"a", b"b", b"c", b"d")
    assert [(number, entry.body) for number, entry in requests.after(0, 10)] == [
        (2, b"b"), (3, b"c"), (4, b"d"),
    ]  # fmt: skip
    assert requests.first == 2


async def test_only_later_requests_are_returned() -> None:
    assert [number for number, _ in feed(b"a", b"b", b"c").after(1, 1)] == [2]


async def test_large_bodies_push_old_ones_out() -> None:
    requests = feed(b"x" * 600, b"y" * 600)
    assert [entry.body[:1] for _, entry in requests.after(0, 10)] == [b"y"]


async def test_only_the_beginning_of_a_very_large_body_is_kept() -> None:
    requests = feed(b"x" * (LARGEST + 1), room=LARGEST)
    ((_, only),) = requests.after(0, 1)
    assert len(only.body) < LARGEST
    assert only.size == LARGEST + 1


async def test_a_request_is_found_by_its_number_while_it_is_kept() -> None:
    requests = feed(b"a", b"b", b"c", b"d")
    assert requests.get(1) is None
    entry = requests.get(3)
    assert entry is not None
    assert entry.body == b"c"
    assert requests.get(5) is None


async def test_a_watcher_notices_a_request() -> None:
    requests = feed()
    with requests.watching():
        waiting = asyncio.create_task(requests.changed(5))
        await asyncio.sleep(0)
        add(requests)
        assert await waiting


async def test_two_watchers_both_notice_a_request() -> None:
    requests = feed()
    with requests.watching(), requests.watching():
        waiting = [asyncio.create_task(requests.changed(5)) for _ in range(2)]
        await asyncio.sleep(0)
        add(requests)
        assert await asyncio.gather(*waiting) == [True, True]


async def test_waiting_ends_after_the_timeout() -> None:
    assert not await feed().changed(0)
