"""Replaced steps of the reference receiver, as the gallery's faulty receivers use them."""

from __future__ import annotations

import asyncio
import http.client
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from conformance.receiver.behaviour import Arrival, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox
from tests.patience import PATIENCE
from tests.receiver.parts import body, count, head, post, receiver


async def test_a_replaced_store_lets_copies_race() -> None:
    both = asyncio.Barrier(2)

    async def check_then_insert(inbox: Inbox, arrival: Arrival, key: str | None) -> bool:
        new = inbox.count(arrival.delivery.msg_id) == 0
        await both.wait()
        return new and await inbox.add(arrival.delivery, None)

    async with receiver(replace(ReceiverBehaviour(), store=check_then_insert)) as base:
        await asyncio.gather(*(post(base, body()) for _ in range(2)))
        assert await count(base) == 2


async def test_a_replaced_response_can_close_the_connection_without_an_answer() -> None:
    async def hang_up(request: web.Request, answer: Response) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with receiver(replace(ReceiverBehaviour(), respond=hang_up)) as base:
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            await post(base, body())


async def test_a_pending_delivery_is_answered_when_the_receiver_stops() -> None:
    arrived = asyncio.Event()

    async def take_longer(inbox: Inbox, arrival: Arrival, key: str | None) -> bool:
        arrived.set()
        await asyncio.sleep(0.05)
        return await inbox.add(arrival.delivery, key)

    async with receiver(replace(ReceiverBehaviour(), store=take_longer)) as base:
        sender = asyncio.create_task(post(base, body()))
        await arrived.wait()
    assert (await sender).status == 200


async def test_a_store_can_see_that_the_sender_has_left() -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def watch(inbox: Inbox, arrival: Arrival, key: str | None) -> bool:
        arrived.set()
        while arrival.connected():  # noqa: ASYNC110 - no event reports it
            await asyncio.sleep(0)
        gone.set()
        return True

    async with (
        receiver(replace(ReceiverBehaviour(), store=watch)) as base,
        asyncio.timeout(PATIENCE),
    ):
        _, writer = await asyncio.open_connection(urlsplit(base).hostname, urlsplit(base).port)
        writer.write(head(("Content-Length", b"%d" % len(body()))) + body())
        await arrived.wait()
        assert not gone.is_set()
        writer.close()
        await gone.wait()


async def test_the_behaviour_decides_which_methods_deliver() -> None:
    async with receiver(replace(ReceiverBehaviour(), methods=frozenset({"PUT"}))) as base:
        assert (await post(base, body(), method="PUT")).status == 200
        assert (await post(base, body())).status == 405


async def test_a_replaced_acknowledgement_changes_the_answer() -> None:
    answer = Response(202, headers=(("Retry-After", "3"),))
    async with receiver(
        replace(ReceiverBehaviour(), acknowledge=lambda arrival, new: answer)
    ) as base:
        response = await post(base, body())
        assert (response.status, response.headers["Retry-After"]) == (202, "3")
