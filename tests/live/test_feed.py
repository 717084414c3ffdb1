"""The newest requests, kept within bounds, and how whoever watches hears of them."""

from __future__ import annotations

import asyncio

from conformance.live.feed import LARGEST, Feed


def add(made: Feed, body: bytes = b"{}") -> None:
    made.add(1.0, "POST", "/webhook/receiver", (), body, 200, None)


def feed(*bodies: bytes, most: int = 3, room: int = 1000) -> Feed:
    made = Feed(most, room)
    for body in bodies:
        add(made, body)
    return made


async def test_requests_are_numbered_as_they_come() -> None:
    assert [number for number, _ in feed(b"a", b"b").after(0, 10)] == [1, 2]


async def test_the_oldest_falls_out_and_numbers_stay() -> None:
    made = feed(b"a", b"b", b"c", b"d")
    assert [(number, each.body) for number, each in made.after(0, 10)] == [
        (2, b"b"), (3, b"c"), (4, b"d"),
    ]  # fmt: skip
    assert made.first == 2


async def test_only_what_came_later_is_given() -> None:
    assert [number for number, _ in feed(b"a", b"b", b"c").after(1, 1)] == [2]


async def test_large_bodies_push_old_ones_out() -> None:
    made = feed(b"x" * 600, b"y" * 600)
    assert [each.body[:1] for _, each in made.after(0, 10)] == [b"y"]


async def test_of_a_very_large_body_the_beginning_is_kept() -> None:
    made = feed(b"x" * (LARGEST + 1), room=LARGEST)
    ((_, only),) = made.after(0, 1)
    assert len(only.body) < LARGEST
    assert only.size == LARGEST + 1


async def test_a_request_is_found_by_its_number_while_it_is_kept() -> None:
    made = feed(b"a", b"b", b"c", b"d")
    assert made.get(1) is None
    found = made.get(3)
    assert found is not None
    assert found.body == b"c"
    assert made.get(5) is None


async def test_whoever_watches_hears_of_a_request() -> None:
    made = feed()
    with made.watching():
        waiting = asyncio.create_task(made.changed(5))
        await asyncio.sleep(0)
        add(made)
        assert await waiting


async def test_two_who_watch_both_hear_of_it() -> None:
    made = feed()
    with made.watching(), made.watching():
        waiting = [asyncio.create_task(made.changed(5)) for _ in range(2)]
        await asyncio.sleep(0)
        add(made)
        assert await asyncio.gather(*waiting) == [True, True]


async def test_a_quiet_time_ends_the_waiting() -> None:
    assert not await feed().changed(0)
