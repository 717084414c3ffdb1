"""Requests that aiohttp answers by itself: the mock records their bytes."""

from __future__ import annotations

import pytest

from conformance.model.exchange import Role
from tests.receiver.test_mock import ask, body, head, mock, send

CONTENT = body("7")


@pytest.mark.parametrize(
    ("size", "lines", "rest"),
    [
        pytest.param(len(CONTENT.decode()), (), CONTENT, id="Content-Length in characters"),
        pytest.param(len(CONTENT), ("Content-Type: a/b", "Content-Type: c/d"), CONTENT,
                     id="two Content-Types"),
        pytest.param(len(CONTENT), ("X: a\nb",), CONTENT, id="a bare line feed"),
        pytest.param(len(CONTENT), (f"X: {'a' * 9000}",), CONTENT, id="a header over 8 KB"),
    ],
)  # fmt: skip
async def test_a_request_that_cannot_be_parsed_is_recorded_as_bytes(
    size: int, lines: tuple[str, ...], rest: bytes
) -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        data = head(endpoint, size, *lines) + rest
        reader, writer = await send(endpoint, data)
        answer = await reader.read()
        writer.close()
    (malformed,) = endpoint.malformed
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert (malformed.role, malformed.raw, malformed.status) == (Role.MALFORMED, data, 400)
    assert (malformed.msg_id, malformed.request.method, malformed.request.body) == ("7", "", b"")
    assert endpoint.arrivals == []


async def test_bytes_after_a_whole_request_belong_to_its_endpoint() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        reader, writer = await send(endpoint, head(endpoint, 2) + b"{}")
        await reader.readuntil(b"}")
        writer.write(b'"}\r\n\r\n')
        await reader.read()
        writer.close()
    assert [each.raw for each in endpoint.malformed] == [b'"}\r\n\r\n']
    assert [each.request.body for each in endpoint.arrivals] == [b"{}"]


async def test_bytes_without_a_known_path_are_not_recorded() -> None:
    async with mock() as server:
        endpoint = server.endpoint()
        reader, writer = await send(endpoint, b"\x16\x03\x01 hello\r\n\r\n")
        await reader.read()
        writer.close()
        assert (await ask(endpoint)).status == 200
    assert endpoint.malformed == []
