"""Requests that are not well-formed HTTP: the mock answers what it can read, and records the bytes."""

from __future__ import annotations

import asyncio

import pytest

from conformance.model.exchange import Fault, Role
from conformance.receiver import behaviour
from conformance.receiver.mock import Scripted
from tests.receiver.mock_parts import SOON
from tests.receiver.test_mock import ask, body, ended, head, mock, send, until

CONTENT = body("7")


@pytest.mark.parametrize(
    ("size", "lines"),
    [
        pytest.param(len(CONTENT.decode()), (), id="Content-Length in characters"),
        pytest.param(
            len(CONTENT), ("Content-Type: a/b", "Content-Type: c/d"), id="two Content-Types"
        ),
        pytest.param(len(CONTENT), ("X: a\nY: b",), id="a bare line feed"),
        pytest.param(len(CONTENT), ("X : a",), id="a space before a colon"),
    ],
)
async def test_a_malformed_request_is_answered_by_script_and_recorded_as_bytes(
    size: int, lines: tuple[str, ...]
) -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        data = head(endpoint, size, *lines) + CONTENT
        reader, writer = await send(endpoint, data)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        arrival = await ended(endpoint)
    assert (arrival.role, arrival.raw) == (Role.ATTEMPT, data)
    assert (arrival.msg_id, arrival.request.body) == ("7", CONTENT)


async def test_a_well_formed_request_has_no_bytes_beside_its_fields() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        await ask(endpoint)
        assert (await ended(endpoint)).raw is None


async def test_a_header_of_many_bytes_is_read() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        _, writer = await send(endpoint, head(endpoint, 2, f"X: {'a' * 20_000}") + b"{}")
        arrival = await ended(endpoint)
        writer.close()
    assert (arrival.status, len(arrival.header(b"x") or b"")) == (200, 20_000)


async def test_what_cannot_be_read_is_answered_400_and_recorded() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        data = f"{endpoint.path} hello\r\n\r\n".encode()
        reader, writer = await send(endpoint, data)
        answer = await reader.read()
        writer.close()
    (malformed,) = endpoint.malformed
    assert answer.startswith(b"HTTP/1.1 400")
    assert (malformed.role, malformed.status, malformed.raw) == (Role.MALFORMED, 400, data)
    assert (malformed.request.method, endpoint.arrivals) == ("", [])


async def test_bytes_after_a_whole_request_belong_to_it() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        reader, writer = await send(endpoint, head(endpoint, 2) + b"{}")
        await reader.readuntil(b"}")
        writer.write(b'"}')
        writer.close()
        await reader.read()
    (arrival,) = endpoint.arrivals
    assert (arrival.request.body, arrival.raw) == (b'{}"}', head(endpoint, 2) + b'{}"}')


async def test_bytes_without_a_known_path_are_not_recorded() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        reader, writer = await send(endpoint, b"\x16\x03\x01 hello\r\n\r\n")
        await reader.read()
        writer.close()
        assert (await ask(endpoint)).status == 200
    assert endpoint.malformed == []


async def test_bytes_after_the_last_request_of_a_connection_belong_to_it() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        data = head(endpoint, 2, "Connection: close") + b"{}"
        reader, writer = await send(endpoint, data)
        await reader.read()
        writer.write(b'"}')
        writer.close()
        await endpoint.changed(SOON)
    (arrival,) = endpoint.arrivals
    assert (arrival.request.body, arrival.raw) == (b'{}"}', data + b'"}')


async def test_a_request_for_another_path_is_recorded_with_it() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        _, writer = await send(endpoint, head(endpoint, 2) + b"{}")
        await ended(endpoint)
        writer.write(head(endpoint, 2).replace(endpoint.path.encode(), b"/other?a=1") + b"{}")
        arrival = await ended(endpoint, 2)
        writer.close()
    assert arrival.request.url == endpoint.url.removesuffix(endpoint.path) + "/other?a=1"


async def test_a_request_for_an_endpoint_of_an_earlier_run_is_nobody_s() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        reader, writer = await send(endpoint, head(endpoint, 2) + b"{}")
        await ended(endpoint)
        writer.write(head(endpoint, 2).replace(endpoint.path.encode(), b"/h/" + b"0" * 32) + b"{}")
        async with asyncio.timeout(SOON):
            assert b"HTTP/1.1 404" in await reader.read()
        writer.write(b'"}')
        writer.close()
    (arrival,) = endpoint.received
    assert arrival.request.body == b"{}"


async def test_not_all_is_kept_of_what_follows_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behaviour, "LIMIT", 10)
    async with mock() as server:
        endpoint = server.endpoint()
        _, writer = await send(endpoint, head(endpoint, 2) + b"{}")
        await ended(endpoint)
        for piece in (b"}" * 20, b"]" * 20):
            writer.write(piece)
            await until(endpoint, lambda all_: len(all_[0].request.body) > 2)
        writer.close()
    assert endpoint.arrivals[0].request.body == b"{}" + b"}" * 20


async def test_a_sender_that_leaves_is_noticed_though_its_body_is_too_long() -> None:
    async with mock() as server:
        endpoint = server.endpoint([Scripted(fault="hang")])
        _, writer = await send(endpoint, head(endpoint, 2) + b"{}")
        await endpoint.changed(SOON)
        writer.write(b"}")
        await until(endpoint, lambda all_: len(all_[0].request.body) == 3)
        writer.close()
        async with asyncio.timeout(SOON / 2):  # well before the mock hangs up
            arrival = await ended(endpoint)
    assert arrival.fault is Fault.TIMEOUT
