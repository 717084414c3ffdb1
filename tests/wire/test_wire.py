"""Every exchange ends, pooled or raw: servers hang, break off, send garbage or never stop."""

import asyncio
import contextlib
import itertools

import pytest

from conformance.model.clock import Clock
from conformance.model.exchange import Fault, Request, Transport
from conformance.wire.client import Wire, tls_context
from conformance.wire.raw import PIECES, dripping
from conformance.wire.reply import BODY_BYTES
from tests.patience import PATIENCE

BRIEF = 0.4
"""Seconds of patience with a server that hangs."""
HEAD = b"HTTP/1.1 200 OK\r\n"
HALF = HEAD + b"Content-Length: 9\r\n\r\nhalf"
LINE = b"X-A: " + b"b" * 900 + b"\r\n"
TRANSPORTS = [Transport.POOLED, Transport.RAW]


@contextlib.asynccontextmanager
async def server(answer):
    """A server that reads the head of a request and leaves the rest to `answer(reader, writer)`."""

    async def connected(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await answer(reader, writer)
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


async def send(url, transport, body=b"{}", headers=((b"X-A", b"b"),), patience=PATIENCE):
    async with Wire(Clock(), patience=patience, concurrency=2, tls=tls_context(None)) as wire:
        return await wire.send(Request("POST", url, headers, body, transport))


def respond(*pieces, then=None):
    async def answer(reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then is not None:
            await then(writer)

    return answer


async def hang(writer):
    await asyncio.sleep(PATIENCE)


def flood(piece):
    async def more(writer):
        while True:
            writer.write(piece)
            await writer.drain()

    return more


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        pytest.param(respond(then=hang), Fault.TIMEOUT, id="hangs"),
        pytest.param(respond(HEAD, then=hang), Fault.TIMEOUT, id="hangs in its head"),
        pytest.param(respond(HALF, then=hang), Fault.TIMEOUT, id="hangs in its body"),
        pytest.param(respond(), Fault.CLOSED, id="closes at once"),
        pytest.param(respond(HALF), Fault.CLOSED, id="closes in its body"),
        pytest.param(respond(b"220 mail.example ESMTP\r\n\r\n"), Fault.GARBAGE, id="speaks SMTP"),
        pytest.param(respond(b"\x00\xff" * 40_000), Fault.GARBAGE, id="binary"),
        pytest.param(respond(HEAD, then=flood(LINE)), Fault.GARBAGE, id="endless headers"),
        pytest.param(respond(HEAD + b"X-A: ", then=flood(b"b" * 900)), Fault.GARBAGE, id="endless header"),
        pytest.param(respond(HEAD + b"\r\n", then=flood(b"b" * 9000)), Fault.ENDLESS, id="endless body"),
    ],
)  # fmt: skip
async def test_a_broken_answer_is_a_fault(transport, answer, fault):
    async with server(answer) as url:
        patience = BRIEF if fault is Fault.TIMEOUT else PATIENCE
        reply = await asyncio.wait_for(send(url, transport, patience=patience), PATIENCE)
    assert reply.fault is fault


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_refused_connection_is_reported(transport):
    async with server(respond()) as url:
        pass
    assert (await send(url, transport)).fault is Fault.REFUSED


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_host_that_does_not_resolve_is_reported(transport):
    assert (await send("http://nowhere.invalid/", transport)).fault is Fault.DNS


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_large_answer_is_cut_and_still_an_answer(transport):
    size = BODY_BYTES * 2
    head = HEAD + b"Content-Length: %d\r\n\r\n" % size
    async with server(respond(head + b"x" * size)) as url:
        reply = await send(url, transport)
    assert reply.fault is None
    assert reply.answer.status == 200
    assert (len(reply.answer.body), reply.answer.cut) == (BODY_BYTES, True)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_interim_answers_are_skipped(transport):
    final = b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno"
    async with server(respond(b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + final)) as url:
        reply = await send(url, transport)
    assert (reply.answer.status, reply.answer.body) == (401, b"no")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_redirect_is_not_followed(transport):
    async with server(
        respond(b"HTTP/1.1 308 R\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n")
    ) as url:
        assert (await send(url, transport)).answer.status == 308


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_answer_without_a_length_ends_with_the_connection(transport):
    async with server(respond(b"HTTP/1.0 200 OK\r\n\r\nhello")) as url:
        assert (await send(url, transport)).answer.body == b"hello"


@pytest.mark.parametrize(
    ("transport", "marks"),
    [
        pytest.param(Transport.CHUNKED, (b"Transfer-Encoding: chunked", b"\r\n0\r\n\r\n"), id="chunked"),
        pytest.param(Transport.CUT, (b"Content-Length: 12\r\n", b"\r\n\r\nabcdef"), id="cut"),
        pytest.param(Transport.OVERLONG, (b"Content-Length: 112\r\n", b"abcdefghijkl"), id="overlong"),
        pytest.param(Transport.SLOW, (b"Content-Length: 12\r\n", b"abcdefghijkl"), id="slow"),
    ],
)  # fmt: skip
async def test_a_request_goes_out_as_its_transport_says(transport, marks):
    received = bytearray()
    whole = asyncio.Event()

    async def connected(reader, writer):
        while chunk := await reader.read(65536):
            received.extend(chunk)
            if marks[1] in received:
                writer.write(HEAD + b"Content-Length: 0\r\n\r\n")
        whole.set()
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        await send(url, transport, b"abcdefghijkl")
        await asyncio.wait_for(whole.wait(), PATIENCE)
    assert all(mark in received for mark in marks)
    if transport is Transport.CUT:
        assert b"abcdefg" not in received


@pytest.mark.parametrize("character", ["é", "你", "🐢"])
def test_a_slow_body_is_split_inside_a_character(character):
    for before, after in itertools.product([0, 1, 17, 200], repeat=2):
        body = b"a" * before + character.encode() + b"z" * after
        pieces = dripping(body)
        assert b"".join(pieces) == body
        assert len(pieces) <= PIECES
        assert "\ufffd" in "".join(piece.decode(errors="replace") for piece in pieces), body


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"abcdefghijkl"])
def test_a_slow_body_is_sent_whole(body):
    assert b"".join(dripping(body)) == body


async def test_the_body_waits_for_100_continue():
    async def answer(reader, writer):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(2) == b"{}"
        writer.write(HEAD + b"Content-Length: 0\r\n\r\n")

    async with server(answer) as url:
        assert (await send(url, Transport.EXPECT)).answer.status == 200


@pytest.mark.parametrize("value", [b"caf\xc3\xa9\xff", b" spaces ", b""])
async def test_header_bytes_go_out_unchanged(value):
    received = []

    async def connected(reader, writer):
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HEAD + b"Content-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        await send(url, Transport.POOLED, headers=((b"X-Odd", value),))
    assert b"\r\nX-Odd: " + value + b"\r\n" in received[0]


async def test_extra_headers_are_sent_and_recorded_nowhere():
    received = []

    async def answer(reader, writer):
        writer.write(HEAD + b"Content-Length: 0\r\n\r\n")

    async def connected(reader, writer):
        received.append(await reader.readuntil(b"\r\n\r\n"))
        await answer(reader, writer)
        writer.close()

    extra = ((b"X-Api-Key", b"k3y"),)
    async with (
        await asyncio.start_server(connected, "127.0.0.1", 0) as listening,
        Wire(Clock(), patience=1, concurrency=1, tls=tls_context(None), extra=extra) as wire,
    ):
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        request = Request("POST", url, (), b"{}")
        await wire.send(request)
    assert b"X-Api-Key: k3y" in received[0]
    assert request.headers == ()
