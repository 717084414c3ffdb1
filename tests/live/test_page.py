"""The live page over HTTP: what it shows, what it never shows, and which requests it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from conformance.live import page as live
from conformance.model.clock import Clock
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.receiver.app import ENDPOINT, Settings, serving
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.receiver.inbox import Inbox
from conformance.scenario.dialects import load
from conformance.storage.database import MEMORY
from tests.patience import PATIENCE

SECRET = 'a "lighthouse", 燈塔'
NOW = 1769845800
JSON = {"Content-Type": "application/json"}


class StoppedClock(Clock):
    """A clock that always shows NOW and records the requested sleeps."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Site:
    """A running receiver with a client."""

    def __init__(self, base: str, client: aiohttp.ClientSession, clock: StoppedClock) -> None:
        self.base, self.client, self.clock = base, client, clock

    async def deliver(self, body: bytes, **headers: str) -> int:
        mac = hmac.new(SECRET.encode(), b"%d:" % NOW + body, hashlib.sha256).hexdigest()
        signed = {"X-Webhook-Timestamp": str(NOW), "X-Webhook-Signature": mac, **JSON, **headers}
        async with self.client.post(self.base + ENDPOINT, data=body, headers=signed) as answer:
            await answer.read()
            return answer.status

    async def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any]:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {**(JSON if data is not None else {}), **headers}
        async with self.client.request(method, self.base + path, data=data, headers=sent) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith("{") else text

    async def script(self, *answers: dict[str, Any]) -> Any:
        status, reply = await self.ask("POST", live.ANSWERS, {"answers": list(answers)})
        assert status == 200
        return reply["waiting"]

    @asynccontextmanager
    async def events(self, last: str = "") -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The events of the stream, each with its id."""
        headers = {"Last-Event-ID": last} if last else {}
        async with self.client.get(self.base + live.EVENTS, headers=headers) as answer:
            assert answer.content_type == "text/event-stream"

            async def read() -> AsyncIterator[dict[str, Any]]:
                number = ""
                async for line in answer.content:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name == "id":
                        number = value
                    if name == "data":
                        yield {"id": number, **json.loads(value)}

            yield read()


@asynccontextmanager
async def site(behaviour: ReceiverBehaviour | None = None) -> AsyncIterator[Site]:
    signer, clock = Signer(load("guide"), Secret(SECRET.encode())), StoppedClock()
    async with (
        Inbox(MEMORY) as inbox,
        serving(
            behaviour or ReceiverBehaviour(),
            inbox,
            signer,
            Settings(follower=live.LivePage(signer, "127.0.0.1")),
            clock=clock,
        ) as base,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE)) as client,
    ):
        yield Site(base, client, clock)


def body(msg_id: str = "1", **fields: object) -> bytes:
    message = {
        "key": "wxid_a", "msgId": msg_id, "timestamp": NOW, "fromUser": "wxid_b",
        "toUser": "wxid_a", "msgType": 1, "content": "燈亮了", "isSelfMsg": False,
        "createTime": NOW - 1, "isHistory": False,
    }  # fmt: skip
    return json.dumps({**message, **fields}, ensure_ascii=False).encode()


async def first(stream: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    async for news in stream:
        return news
    raise AssertionError("the stream ended")


async def rows(served: Site) -> list[dict[str, Any]]:
    async with served.events() as stream:
        listed: list[dict[str, Any]] = (await first(stream))["rows"]
        return listed


async def test_the_page_allows_nothing_but_its_own_script_and_style() -> None:
    async with site() as served, served.client.get(served.base + "/") as answer:
        rules = dict(
            each.split(maxsplit=1) for each in answer.headers["Content-Security-Policy"].split("; ")
        )
        assert rules["default-src"] == "'none'"
        assert rules["connect-src"] == "'self'"
        assert rules["frame-ancestors"] == "'none'"
        assert rules["script-src"].startswith("'sha256-")
        assert "unsafe" not in str(rules)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_earlier_requests_come_first() -> None:
    async with site() as served:
        await served.deliver(body("1"))
        await served.deliver(body("2"), **{"X-Webhook-Signature": "0" * 64})
        listed = await rows(served)
        assert [(row["n"], row["id"], row["status"]) for row in listed] == [
            (1, "1", 200), (2, "2", 401),
        ]  # fmt: skip
        assert [row["signature"] for row in listed] == ["right", "wrong"]


async def test_a_new_request_is_an_event() -> None:
    async with site() as served, served.events() as stream:
        assert (await first(stream))["rows"] == []
        await served.deliver(body("7"))
        assert [each["id"] for each in (await first(stream))["rows"]] == ["7"]


async def test_a_stream_resumes_where_it_broke_off() -> None:
    async with site() as served:
        await served.deliver(body("1"))
        async with served.events() as stream:
            last = (await first(stream))["id"]
        await served.deliver(body("2"))
        async with served.events(last) as stream:
            assert [each["id"] for each in (await first(stream))["rows"]] == ["2"]


@pytest.mark.parametrize("last", ["other-1", "1", "x" * 99, "other-" + "9" * 99])
async def test_an_id_of_another_run_starts_from_the_beginning(last: str) -> None:
    async with site() as served:
        await served.deliver(body("1"))
        async with served.events(last) as stream:
            assert len((await first(stream))["rows"]) == 1


async def test_a_stream_ends_when_the_receiver_stops() -> None:
    async with aiohttp.ClientSession() as client, AsyncExitStack() as stack:
        served = await stack.enter_async_context(site())
        answer = await client.get(served.base + live.EVENTS)
        assert (await answer.content.readline()).startswith(b"id: ")
        await stack.aclose()
        assert b"id: " not in await answer.read()


async def test_the_number_of_watchers_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_WATCHERS", 1)
    async with site() as served, served.events() as stream:
        await first(stream)
        status, reply = await served.ask("GET", live.EVENTS)
        assert (status, reply["message"]) == (503, "1 pages are open already: close one")


async def test_a_quiet_stream_sends_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.01)
    async with site() as served, served.client.get(served.base + live.EVENTS) as answer:
        async for line in answer.content:
            if line == b":\n":
                break


async def test_one_request_is_shown_in_full() -> None:
    async with site() as served:
        await served.deliver(body("1", msgType="1"), **{"X-Odd": "a\u200bb"})
        status, reply = await served.ask("GET", f"{live.REQUESTS}/1")
        assert status == 200
        assert reply["first"] == ["POST /webhook/receiver"]
        assert [["X-Odd"], ["a", r"\u200b", "b"]] in reply["headers"]
        assert "".join(reply["content"]) == body("1", msgType="1").decode()
        assert reply["problems"] == ["msgType must be an integer, not '1'"]


async def test_a_dropped_request_is_not_found() -> None:
    async with site() as served:
        assert (await served.ask("GET", f"{live.REQUESTS}/1"))[0] == 404


async def test_a_repeat_is_marked() -> None:
    async with site() as served:
        await served.deliver(body("1"))
        await served.deliver(body("1"))
        assert [each["repeat"] for each in await rows(served)] == [False, True]


async def test_the_secret_never_reaches_the_page() -> None:
    escaped = json.dumps({"msgId": SECRET, "content": [SECRET]})
    async with site() as served:
        await served.deliver(body("1", content=SECRET, key=SECRET), **{"X-Leak": SECRET})
        await served.deliver(escaped.encode())
        listed = json.dumps(await rows(served), ensure_ascii=False)
        details = [(await served.ask("GET", f"{live.REQUESTS}/{each}"))[1] for each in (1, 2)]
        page = (await served.ask("GET", "/"))[1]
    for text in (listed, json.dumps(details, ensure_ascii=False), page):
        assert "lighthouse" not in text
        assert "燈塔" not in text
    assert "(secret)" in listed


async def test_the_right_signature_is_never_shown_for_a_wrong_one() -> None:
    async with site() as served:
        content = body("1")
        await served.deliver(content, **{"X-Webhook-Signature": "0" * 64})
        right = hmac.new(SECRET.encode(), b"%d:" % NOW + content, hashlib.sha256).hexdigest()
        _, details = await served.ask("GET", f"{live.REQUESTS}/1")
        assert right not in json.dumps([details, await rows(served)])


async def test_hostile_text_is_escaped() -> None:
    async with site() as served:
        await served.deliver(body("</script>\u202e", content="\u0000<img onerror=x>" * 100))
        (row,) = await rows(served)
        assert row["id"] == r"</script>\u202e"
        assert row["text"].startswith(r"\x00<img onerror=x>")
        assert len(row["text"]) < 600


async def test_a_very_long_id_is_cut() -> None:
    async with site() as served:
        await served.deliver(body("1" * 100_000))
        (row,) = await rows(served)
        assert len(row["id"]) == 201


# The next answers.


async def test_scripted_answers_come_in_order_then_the_usual_one() -> None:
    async with site() as served:
        assert await served.script({"status": 503, "times": 2}, {"status": 429}) == 3
        statuses = [await served.deliver(body(number)) for number in "1234"]
        assert statuses == [503, 503, 429, 200]
        assert [each["scripted"] for each in await rows(served)] == ["503", "503", "429", None]


async def test_a_delivery_with_a_scripted_status_takes_no_effect() -> None:
    async with site() as served:
        await served.script({"status": 200}, {"status": 500})
        for number in ("1", "2", "3"):
            await served.deliver(body(number))
        counts = [(await served.ask("GET", f"/processed?msgId={each}"))[1] for each in "123"]
        assert [each["count"] for each in counts] == [0, 0, 1]


async def test_a_late_answer_is_the_usual_one() -> None:
    async with site() as served:
        await served.script({"delay": 3}, {"delay": 1})
        assert await served.deliver(body("1")) == 200
        assert await served.deliver(b"{") == 400
        assert served.clock.slept == [3, 1]
        assert (await served.ask("GET", "/processed?msgId=1"))[1] == {"count": 1}


@pytest.mark.parametrize("fault", ["reset", "close", "half", "garbage"])
async def test_a_fault_breaks_the_answer_of_a_message_that_took_effect(fault: str) -> None:
    async with site() as served:
        await served.script({"fault": fault})
        with pytest.raises(aiohttp.ClientError):
            await served.deliver(body("1"))
        assert (await served.ask("GET", "/processed?msgId=1"))[1] == {"count": 1}
        assert [each["broken"] for each in await rows(served)] == [fault]


async def test_queued_answers_can_be_cleared() -> None:
    async with site() as served:
        await served.script({"status": 503, "times": 5})
        assert await served.ask("DELETE", live.ANSWERS) == (200, {"waiting": 0})
        assert await served.deliver(body("1")) == 200


async def test_a_watcher_learns_the_number_of_queued_answers() -> None:
    async with site() as served, served.events() as stream:
        assert (await first(stream))["waiting"] == 0
        await served.script({"status": 503, "times": 5})
        assert (await first(stream))["waiting"] == 5


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(b"{", "the answers are not JSON", id="no-json"),
        pytest.param(b"[" * 50_000, "the answers are not JSON", id="deep"),
        pytest.param(b'{"answers":[{"delay":NaN}]}', "the answers are not JSON", id="nan"),
        pytest.param({}, "answers is missing", id="nothing"),
        pytest.param({"answers": []}, "answers must not be empty", id="empty"),
        pytest.param(
            {"answers": [{"status": 99}]}, "answers[0].status must be at least 200", id="status"
        ),
        pytest.param(
            {"answers": [{"delay": 61}]}, "answers[0].delay must be at most 60", id="delay"
        ),
        pytest.param({"answers": [{"fault": "rest"}]}, "did you mean reset?", id="fault"),
        pytest.param(
            {"answers": [{"times": 1000}] * 11}, "more than 10,000 answers would wait", id="many"
        ),
    ],
)
async def test_impossible_answers_are_refused_with_a_reason(script: object, reason: str) -> None:
    async with site() as served:
        status, answer = await served.ask("POST", live.ANSWERS, script)
        assert status == 400
        assert reason in answer["message"]
        assert await served.deliver(body("1")) == 200


async def test_a_very_large_script_is_refused() -> None:
    async with site() as served:
        assert (await served.ask("POST", live.ANSWERS, b" " * 100_000))[0] == 413


# Requests that the page refuses.

PATHS = ["/", live.EVENTS, f"{live.REQUESTS}/1"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "tunnel.test:443"])
@pytest.mark.parametrize("path", PATHS)
async def test_the_page_is_not_shown_under_another_name(path: str, host: str) -> None:
    async with site() as served:
        status, reply = await served.ask("GET", path, Host=host)
        assert status == 403
        assert "localhost" in reply["message"]


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1", "[::1]:5000", "192.168.1.2:5000"])
async def test_the_page_is_shown_under_an_address(host: str) -> None:
    async with site() as served:
        assert (await served.ask("GET", "/", Host=host))[0] == 200


async def test_deliveries_are_accepted_under_any_name() -> None:
    async with site() as served:
        assert await served.deliver(body("1"), Host="tunnel.test") == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://evil.example"}, id="another-site"),
        pytest.param({"Origin": "null"}, id="a-file-or-a-sandbox"),
        pytest.param({"Origin": "http://127.0.0.1:1"}, id="another-port"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="by-sec-fetch-site"),
        pytest.param({"Host": "evil.example", "Origin": "http://evil.example"}, id="rebound-name"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_another_sites_page_cannot_script_the_answers(
    method: str, headers: dict[str, str]
) -> None:
    async with site() as served:
        script = {"answers": [{"status": 503}]} if method == "POST" else None
        assert (await served.ask(method, live.ANSWERS, script, **headers))[0] == 403
        assert await served.deliver(body("1")) == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
async def test_content_that_a_form_could_send_is_refused(kind: str) -> None:
    async with site() as served:
        script = {"answers": [{"status": 503}]}
        status, _ = await served.ask("POST", live.ANSWERS, script, **{"Content-Type": kind})
        assert status == 415


async def test_the_pages_own_requests_are_accepted() -> None:
    async with site() as served:
        own = {"Origin": served.base, "Sec-Fetch-Site": "same-origin"}
        script = {"answers": [{"status": 503}]}
        assert (await served.ask("POST", live.ANSWERS, script, **own))[0] == 200


async def test_no_other_site_may_read_the_stream() -> None:
    async with site() as served:
        headers = {"Origin": "https://evil.example"}
        async with served.client.get(served.base + live.EVENTS, headers=headers) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_deliveries_go_on_while_a_page_watches_and_does_not_read() -> None:
    async with site() as served, served.client.get(served.base + live.EVENTS):
        sent = [served.deliver(body(str(number), content="x" * 2000)) for number in range(300)]
        assert set(await asyncio.gather(*sent)) == {200}
