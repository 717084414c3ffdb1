"""The mock receiver against clients that share no code with it: http.client, aiohttp, raw sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from conformance.model.clock import Clock
from conformance.model.errors import InputError
from conformance.model.exchange import Exchange, Fault, Role, Transport
from conformance.receiver.behaviour import LIMIT
from conformance.receiver.mock import Mock, MockEndpoint, Scripted, listening
from tests.receiver.mock_parts import SOON, HeldClock, LeapingClock

AT_ONCE = 0.5
"""Seconds within which the mock stops, whatever its connections do."""


@asynccontextmanager
async def mock(clock: Clock | None = None, **options: Any) -> AsyncIterator[Mock]:
    async with listening(clock=clock or Clock(), **options) as server:
        yield server


def body(msg_id: object = "1") -> bytes:
    return json.dumps({"msgId": msg_id, "content": "燈亮了"}, ensure_ascii=False).encode()


def head(
    endpoint: MockEndpoint, size: int, *lines: str, method: str = "POST", query: str = ""
) -> bytes:
    lines = (f"{method} {endpoint.path}{query} HTTP/1.1", "Host: mock", *lines)
    return "\r\n".join((*lines, f"Content-Length: {size}", "", "")).encode()


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


@dataclass(frozen=True)
class ClientResponse:
    status: int
    headers: dict[str, str]
    body: bytes


def _ask(url: str, content: bytes | None, method: str) -> ClientResponse:
    host, port = address(url)
    with closing(http.client.HTTPConnection(host, port, timeout=SOON)) as connection:
        connection.request(method, urlsplit(url).path, content)
        answer = connection.getresponse()
        return ClientResponse(answer.status, dict(answer.getheaders()), answer.read())


async def ask(
    endpoint: MockEndpoint,
    content: bytes | None = None,
    method: str = "POST",
) -> ClientResponse:
    """One request by http.client, on its own connection."""
    content = body() if content is None and method == "POST" else content
    return await asyncio.to_thread(_ask, endpoint.url, content, method)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def send(endpoint: MockEndpoint, data: bytes) -> Streams:
    reader, writer = await asyncio.open_connection(*address(endpoint.url))
    writer.write(data)
    return reader, writer


async def until(endpoint: MockEndpoint, condition: Callable[[list[Exchange]], object]) -> None:
    while not condition(endpoint.arrivals):
        assert await endpoint.changed(SOON), endpoint.arrivals


async def ended(endpoint: MockEndpoint, count: int = 1) -> Exchange:
    """The last of `count` arrivals, once all of them have ended."""
    await until(
        endpoint,
        lambda all_: len(all_) >= count and all(each.answer or each.fault for each in all_),
    )
    return endpoint.arrivals[count - 1]


async def test_the_nth_attempt_gets_the_nth_answer_and_the_last_repeats() -> None:
    async with mock() as server:
        endpoint = server.endpoint([Scripted(500), Scripted(404), Scripted(200)])
        assert [(await ask(endpoint)).status for _ in range(4)] == [500, 404, 200, 200]


async def test_each_message_has_its_own_count() -> None:
    async with mock() as server:
        endpoint = server.endpoint([Scripted(500), Scripted(200)])
        assert [(await ask(endpoint, body(i))).status for i in "1212"] == [500, 500, 200, 200]


async def test_a_new_script_counts_anew() -> None:
    async with mock() as server:
        endpoint = server.endpoint([Scripted(500), Scripted(200)])
        await ask(endpoint)
        endpoint.script([Scripted(400), Scripted(200)])
        assert (await ask(endpoint)).status == 400


async def test_an_empty_script_answers_200() -> None:
    async with mock() as server:
        assert (await ask(server.endpoint([]))).status == 200


async def test_an_assigned_message_has_a_script_of_its_own() -> None:
    clock = LeapingClock()
    async with mock(clock) as server:
        endpoint = server.endpoint()
        endpoint.assign(["1"], [Scripted(500, delay=3)])
        assert [(await ask(endpoint, body(i))).status for i in "21"] == [200, 500]
    assert clock.pauses == [3]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b'{"msgId": "9", "content": "a hp123456789012345 b"}', id="mark-in-content"),
        pytest.param(b'{"msgId": 123456789012345}', id="a-number"),
        pytest.param(b"", id="nothing-at-all"),
    ],
)
async def test_an_arrival_is_recorded_for_the_message_that_it_delivers(sent: bytes) -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        endpoint.assign(["123456789012345"], [Scripted(500)])
        assert (await ask(endpoint, sent)).status == 500
        assert (await ended(endpoint)).msg_id == "123456789012345"


async def test_a_body_without_an_id_is_not_assigned_to_one_of_several_messages() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        endpoint.assign(["1", "2"], [Scripted(500)])
        assert (await ask(endpoint, b"")).status == 200


async def test_an_attempt_without_msgid_is_scripted_too() -> None:
    async with mock() as server:
        assert (await ask(server.endpoint([Scripted(500)]), b"{}")).status == 500


@pytest.mark.parametrize("method", ["HEAD", "GET", "OPTIONS"])
async def test_a_probe_gets_200_and_is_recorded(method: str) -> None:
    async with mock() as server:
        endpoint = server.endpoint([Scripted(500)])
        assert (await ask(endpoint, None, method)).status == 200
        assert (await ended(endpoint)).request.method == method


async def test_the_answer_to_head_is_recorded_without_a_body() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        await ask(endpoint, None, "HEAD")
        answer = (await ended(endpoint)).answer
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"")


async def test_an_unknown_path_is_answered_404() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        endpoint.url = endpoint.url.replace("/h/", "/")
        assert ((await ask(endpoint)).status, endpoint.arrivals) == (404, [])


async def test_what_a_sender_puts_in_front_of_the_path_is_recorded() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        data = head(endpoint, 2).replace(b" /h/", b" /api/h/")
        _, writer = await send(endpoint, data + b"{}")
        expected = endpoint.url.removesuffix(endpoint.path) + "/api" + endpoint.path
        assert (await ended(endpoint)).request.url == expected
        writer.close()


@pytest.mark.parametrize("suffix", ["/", "0", "/more?a=1", "?a=1&a=%2F"])
async def test_what_a_sender_appends_to_the_path_is_recorded(suffix: str) -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        data = head(endpoint, 2).replace(b" HTTP/1.1", suffix.encode() + b" HTTP/1.1")
        _, writer = await send(endpoint, data + b"{}")
        assert (await ended(endpoint)).request.url == endpoint.url + suffix
        writer.close()


async def test_500_senders_are_answered_at_once() -> None:
    async with mock() as server:
        endpoint = server.endpoint([Scripted(delay=0.2)])
        content = body()
        senders = await asyncio.gather(
            *(send(endpoint, head(endpoint, len(content)) + content) for _ in range(500))
        )
        starts = await asyncio.gather(*(reader.readexactly(12) for reader, _ in senders))
        assert set(starts) == {b"HTTP/1.1 200"}
        for _, writer in senders:
            writer.close()


async def test_a_request_is_recorded_byte_for_byte() -> None:
    content = body() + b" \n"
    async with mock() as server:
        endpoint = server.endpoint()
        lines = ("x-wEbHook-signature: \tabc ", "X-Twice: 1", "X-Twice: é")
        _, writer = await send(
            endpoint, head(endpoint, len(content), *lines, query="?a=%20b") + content
        )
        request = (await ended(endpoint)).request
        writer.close()
    assert (request.method, request.url) == ("POST", endpoint.url + "?a=%20b")
    assert request.headers == (
        (b"Host", b"mock"),
        (b"x-wEbHook-signature", b"abc"),
        (b"X-Twice", b"1"),
        (b"X-Twice", "é".encode()),
        (b"Content-Length", b"%d" % len(content)),
    )
    assert (request.body, request.transport) == (content, Transport.RAW)


async def test_a_compressed_body_is_recorded_as_received() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        _, writer = await send(
            endpoint, head(endpoint, 3, "Content-Encoding: gzip") + b"\x1f\x8b\x08"
        )
        assert (await ended(endpoint)).request.body == b"\x1f\x8b\x08"
        writer.close()


async def test_arrivals_stand_in_order_with_role_number_and_peer() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        for msg_id in "12":
            await ask(endpoint, body(msg_id))
        await ended(endpoint, 2)
    assert [(each.id, each.role, each.msg_id, each.peer) for each in endpoint.arrivals] == [
        (1, Role.ATTEMPT, "1", "127.0.0.1"),
        (2, Role.ATTEMPT, "2", "127.0.0.1"),
    ]


async def test_times_are_those_of_the_head_the_last_byte_and_the_end() -> None:
    clock = LeapingClock()
    async with mock(clock) as server:
        endpoint = server.endpoint([Scripted(delay=5)])
        reader, writer = await send(endpoint, head(endpoint, 2, "Expect: 100-continue"))
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
        clock.time += 3
        writer.write(b"{}")
        arrival = await ended(endpoint)
        writer.close()
    assert (arrival.started, arrival.sent, arrival.ended) == (1000, 1003, 1008)


async def test_a_pending_attempt_has_neither_answer_nor_fault() -> None:
    clock = HeldClock()
    async with mock(clock) as server:
        endpoint = server.endpoint([Scripted(delay=1)])
        answer = asyncio.create_task(ask(endpoint))
        await clock.asleep.wait()
        assert [(each.answer, each.fault) for each in endpoint.arrivals] == [(None, None)]
        clock.released.set()
        await answer


async def test_the_attempt_of_a_sender_that_leaves_early_has_no_answer() -> None:
    async with mock() as server:
        endpoint = server.endpoint([Scripted(delay=30)])
        async with aiohttp.ClientSession() as session:
            waiting = asyncio.create_task(session.post(endpoint.url, data=body()))
            assert await endpoint.changed(SOON)
            await asyncio.sleep(0.1)
            waiting.cancel()
        arrival = await ended(endpoint)
    assert (arrival.answer, arrival.fault) == (None, Fault.TIMEOUT)
    assert 0.1 < arrival.seconds < 30


async def test_an_attempt_is_recorded_though_its_sender_never_waits() -> None:
    async with mock() as server:
        endpoint = server.endpoint([Scripted(delay=30)])
        with socket.create_connection(address(endpoint.url)) as raw:
            raw.sendall(head(endpoint, len(body())) + body())
        arrival = await ended(endpoint)
    assert (arrival.request.body, arrival.fault) == (body(), Fault.TIMEOUT)


async def test_a_body_that_is_cut_short_is_recorded_as_far_as_it_was_received() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        _, writer = await send(endpoint, head(endpoint, 9) + b'{"ms')
        writer.close()
        arrival = await ended(endpoint)
    assert (arrival.request.body, arrival.fault, arrival.answer) == (b'{"ms', Fault.CLOSED, None)


async def test_a_reset_in_mid_body_is_recorded() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        reader, writer = await send(endpoint, head(endpoint, 9, "Expect: 100-continue"))
        await reader.readuntil(b"\r\n\r\n")
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
        assert (await ended(endpoint)).fault is Fault.CLOSED


async def test_the_largest_body_is_accepted() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        content = b'{"msgId":"1","content":"' + b"x" * (LIMIT - 26) + b'"}'
        assert (await ask(endpoint, content)).status == 200
        arrival = await ended(endpoint)
    assert (arrival.request.body == content, arrival.msg_id) == (True, "1")


async def test_a_larger_body_is_answered_413_and_not_kept_whole() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        assert (await ask(endpoint, bytes(2 * LIMIT))).status == 413
        arrival = await ended(endpoint)
    assert (arrival.status, len(arrival.request.body) < LIMIT + 2**20) == (413, True)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(body("2562440917711393200"), "2562440917711393200", id="a string"),
        pytest.param(body(2562440917711393200), "2562440917711393200", id="a number"),
        pytest.param(body(True), None, id="a boolean"),
        pytest.param(body(""), None, id="an empty string"),
        pytest.param(b'{"msgId": "\\ud800"}', None, id="half a surrogate pair"),
        pytest.param(b'[{"msgId": "1"}]', None, id="no object"),
        pytest.param(b'{"msgId": "12", "fro', "12", id="a body that is cut"),
        pytest.param(b'{"msgId": "12', None, id="cut within it"),
        pytest.param(b"\xff", None, id="no UTF-8"),
        pytest.param(b"[" * 100_000, None, id="nested deeply"),
        pytest.param(b"", None, id="empty"),
    ],
)
async def test_the_msgid_is_read_from_any_body_that_shows_it(
    content: bytes, expected: str | None
) -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        await ask(endpoint, content)
        assert (await ended(endpoint)).msg_id == expected


async def test_changed_reports_the_arrival_and_its_end() -> None:
    clock = HeldClock()
    async with mock(clock) as server:
        endpoint = server.endpoint([Scripted(delay=1)])
        answer = asyncio.create_task(ask(endpoint))
        assert await endpoint.changed(SOON)
        assert endpoint.arrivals[0].answer is None
        clock.released.set()
        assert await endpoint.changed(SOON)
        assert endpoint.arrivals[0].answer is not None
        await answer


async def test_changed_is_false_when_nothing_comes_in_time() -> None:
    async with mock() as server:
        assert not await server.endpoint().changed(0.01)


async def test_the_end_of_the_mock_gives_up_pending_attempts() -> None:
    async with mock() as server:
        endpoint = server.endpoint([Scripted(fault="hang")])
        _, writer = await send(endpoint, head(endpoint, 2) + b"{}")
        await until(endpoint, len)
    assert endpoint.arrivals[0].fault is Fault.GIVEN_UP
    assert endpoint.arrivals[0].injected == "hang"
    writer.close()


async def test_the_mock_stops_at_once_though_an_answer_hangs() -> None:
    time = asyncio.get_running_loop().time
    async with mock() as server:
        endpoint = server.endpoint([Scripted(fault="hang")])
        _, writer = await send(endpoint, head(endpoint, 2) + b"{}")
        await until(endpoint, len)
        start = time()
    assert time() - start < AT_ONCE
    writer.close()


async def test_endpoints_do_not_share_arrivals() -> None:
    async with mock() as server:
        one, other = server.endpoint(), server.endpoint()
        await ask(one)
        await ended(one)
        assert other.arrivals == []


@pytest.mark.parametrize("prefix", ["", "/hooks"], ids=["path stripped", "path left"])
async def test_a_public_url_is_configured_and_reached_with_or_without_its_path(prefix: str) -> None:
    async with mock(public_url="https://tunnel.example/hooks/") as server:
        endpoint = server.endpoint()
        assert endpoint.url == "https://tunnel.example/hooks" + endpoint.path
        own = server.refusing_endpoint()
        await own.listen()
        target = MockEndpoint(
            "", own.url.removesuffix(own.path) + prefix + endpoint.path, [Scripted()]
        )
        assert (await ask(target)).status == 200
        assert (await ended(endpoint)).request.url == endpoint.url


async def test_a_refusing_endpoint_refuses_until_it_listens() -> None:
    async with mock() as server:
        endpoint = server.refusing_endpoint()
        with pytest.raises(ConnectionRefusedError):
            await ask(endpoint)
        await endpoint.listen()
        assert (await ask(endpoint)).status == 200
        assert len(endpoint.arrivals) == 1


@pytest.mark.parametrize("reuse", [0, 1])
async def test_nobody_else_can_take_the_port_of_a_refusing_endpoint(reuse: int) -> None:
    async with mock() as server:
        place = address(server.refusing_endpoint().url)
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
            with pytest.raises(OSError, match="in use"):
                other.bind(place)


async def test_the_end_of_the_mock_frees_a_port_that_never_listened() -> None:
    async with mock() as server:
        place = address(server.refusing_endpoint().url)
    with socket.socket() as other:
        other.bind(place)


async def test_a_port_that_is_in_use_is_the_users_fault() -> None:
    async with mock() as server:
        port = address(server.endpoint().url)[1]
        with pytest.raises(InputError, match=rf"--listen: 127\.0\.0\.1:{port} is not available"):
            async with mock(port=port):
                pass


async def test_every_interface_is_reached_by_loopback() -> None:
    async with mock(host="0.0.0.0") as server:
        endpoint = server.endpoint()
        assert address(endpoint.url)[0] == "127.0.0.1"
        assert (await ask(endpoint)).status == 200


@pytest.mark.parametrize(
    ("version", "connection"),
    [
        pytest.param("HTTP/1.0", "keep-alive", id="HTTP/1.0"),
        pytest.param("HTTP/1.1", "TE, close", id="close among other words"),
    ],
)
async def test_an_answer_ends_the_connection_of_a_sender_that_reads_to_its_end(
    version: str, connection: str
) -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        data = head(endpoint, 2, f"Connection: {connection}") + b"{}"
        reader, writer = await send(endpoint, data.replace(b"HTTP/1.1", version.encode(), 1))
        async with asyncio.timeout(SOON):
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
