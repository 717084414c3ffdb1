"""Messages through the API: accepted, filtered, delivered, listed and redelivered."""

from __future__ import annotations

import asyncio

import pytest

from conformance.protocol.delivery import Backoff
from conformance.sender.app import Settings
from conformance.sender.worker import Pace
from tests.patience import PATIENCE
from tests.sender.parts import (
    SECRET,
    api,
    call,
    create,
    deliveries,
    emit,
    endpoint,
    event,
    ids,
    openssl,
    status,
)


async def test_an_event_is_delivered_with_a_timestamp_and_otherwise_unchanged() -> None:
    fields = event("1", content="燈亮了 🏮", extra={"a": [1, None]})
    with endpoint() as hook:
        async with api() as base:
            await create(base, hook.url)
            answer = await call("POST", f"{base}/Emit", fields)
            (request,) = await hook.arrived(1)
            assert (answer.status, answer.code, answer.data) == (202, 0, {"accepted": 1})
            assert request.json == fields | {
                "timestamp": int(request.headers["x-webhook-timestamp"])
            }
            assert request.headers["x-webhook-signature"] == openssl(request, SECRET)


async def test_a_repeat_is_accepted_and_delivered_once() -> None:
    with endpoint() as hook:
        async with api() as base:
            await create(base, hook.url)
            for _ in range(3):
                assert (await emit(base, "1", "1")).status == 202
            await emit(base, "2")
            await hook.arrived(2)
            assert sorted(ids(hook)) == ["1", "2"]


async def test_one_bad_event_refuses_the_whole_list_and_names_its_place() -> None:
    with endpoint() as hook:
        async with api() as base:
            await create(base, hook.url)
            answer = await call("POST", f"{base}/Emit", [event("1"), event("2", msgType="1")])
            assert (answer.status, answer.message) == (
                400,
                "[1].msgType must be an integer, not '1'",
            )
            await emit(base, "3")
            await hook.arrived(1)
            assert ids(hook) == ["3"]


async def test_media_of_5_mib_is_delivered_whole() -> None:
    with endpoint() as hook:
        async with api() as base:
            await create(base, hook.url)
            await emit(base, "1", msgType=3, content="A" * 5 * 2**20)
            (request,) = await hook.arrived(1)
            assert len(request.json["content"]) == 5 * 2**20


async def test_a_body_past_16_mib_is_refused() -> None:
    async with api() as base:
        answer = await call("POST", f"{base}/Emit", event(content="A" * 17 * 2**20))
        assert (answer.status, answer.code) == (413, 413)


async def test_each_configuration_gets_its_messages_signed_with_its_own_secret() -> None:
    with endpoint() as text, endpoint() as link:
        async with api() as base:
            await create(base, text.url, MessageTypes=[1], Secret="one")
            await create(base, link.url, MessageTypes=["*"], Secret="two", IncludeSelfMessage=True)
            await emit(base, "1")
            await emit(base, "2", msgType=49, content={"title": "A"})
            await emit(base, "3", isSelfMsg=True)
            await link.arrived(3)
            assert ids(text) == ["1"]
            assert sorted(ids(link)) == ["1", "2", "3"]
            assert {request.headers["x-webhook-signature"] for request in link.requests} == {
                openssl(request, "two") for request in link.requests
            }
            assert text.requests[0].headers["x-webhook-signature"] == openssl(
                text.requests[0], "one"
            )


async def test_a_failed_message_is_sent_again_until_it_is_received() -> None:
    with endpoint(status(500), status(302, Location="/"), status(201), status(200)) as hook:
        async with api() as base:
            await create(base, hook.url)
            await emit(base, "1")
            (only,) = await deliveries(base, "delivered", 1)
            assert (only["msgId"], only["attempts"], only["lastStatus"]) == ("1", 4, 200)
            assert len({request.body for request in hook.requests}) == 1


async def test_a_failed_delivery_is_listed_with_the_reason_and_can_be_redelivered() -> None:
    with endpoint(status(404), status(404), status(200)) as hook:
        async with api() as base:
            await create(base, hook.url, RetryCount=1)
            await emit(base, "1")
            (only,) = await deliveries(base, "failed", 1)
            assert (only["attempts"], only["lastStatus"], only["nextSendTime"]) == (2, 404, None)
            assert "check the URL" in only["lastError"]
            answer = await call("POST", f"{base}/Redeliver", {"ID": only["id"]})
            assert (answer.status, answer.data) == (200, {"count": 1})
            await deliveries(base, "delivered", 1)


@pytest.mark.parametrize(
    ("query", "body", "count"),
    [
        pytest.param("", {"msgid": "2"}, 1, id="by-msgId"),
        pytest.param("?msgId=2", None, 1, id="by-msgId-in-the-query"),
        pytest.param("?id=3", None, 1, id="by-id-in-the-query"),
        pytest.param("", None, 3, id="all"),
        pytest.param("", {}, 3, id="all-by-an-empty-object"),
    ],
)
async def test_failed_deliveries_are_redelivered_by_id_by_message_or_all(
    query: str, body: object, count: int
) -> None:
    with endpoint(*[status(500)] * 3, status(200)) as hook:
        async with api() as base:
            await create(base, hook.url, RetryCount=0)
            await emit(base, "1", "2", "3")
            await deliveries(base, "failed", 3)
            answer = await call("POST", f"{base}/Redeliver{query}", body)
            assert answer.data == {"count": count}
            await deliveries(base, "delivered", count)


@pytest.mark.parametrize(
    ("body", "code"), [({"id": 7}, 404), ({"msgId": "7"}, 404), ({"msgId": 7}, 400), ([], 400)]
)
async def test_a_redelivery_that_is_impossible_is_refused(body: object, code: int) -> None:
    async with api() as base:
        assert (await call("POST", f"{base}/Redeliver", body)).status == code


async def test_a_waiting_delivery_is_listed_with_the_time_of_its_next_attempt() -> None:
    with endpoint(status(500)) as hook:
        async with api(Settings(pace=Pace(Backoff(base=60)))) as base:
            await create(base, hook.url)
            await emit(base, "1")
            await hook.arrived(1)
            async with asyncio.timeout(PATIENCE):
                while not (await deliveries(base, "waiting", 1))[0]["attempts"]:
                    pass
            (only,) = await deliveries(base, "waiting", 1)
            assert 40 < only["nextSendTime"] - only["lastSendTime"] < 80


@pytest.mark.parametrize(
    "query", ["status=attempted", "status=x", "limit=0", "limit=x", "limit=9999"]
)
async def test_a_malformed_listing_query_is_refused(query: str) -> None:
    async with api() as base:
        assert (await call("GET", f"{base}/Deliveries?{query}")).status == 400
