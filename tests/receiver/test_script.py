"""Scripted answers as seen by clients that share no code with the mock: whole, slow and broken."""

from __future__ import annotations

import asyncio
import errno
import http.client
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import pytest

from conformance.model.clock import Clock
from conformance.model.exchange import Exchange, Fault
from conformance.receiver.mock import MockEndpoint, Scripted, listening
from conformance.receiver.script import DRIPS, HANG
from tests.receiver.mock_parts import SOON, SUCCESS, HeldClock, LeapingClock


@asynccontextmanager
async def answering(
    *script: Scripted, clock: Clock | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[MockEndpoint]:
    """An endpoint with this script."""
    async with listening(tls=tls, clock=clock or Clock()) as mock:
        yield mock.endpoint(script)


@dataclass(frozen=True)
class ClientResponse:
    status: int
    headers: dict[str, str]
    body: bytes


def _post(url: str, tls: ssl.SSLContext | None) -> ClientResponse:
    address = urlsplit(url)
    client: http.client.HTTPConnection = (
        http.client.HTTPSConnection(address.netloc, timeout=SOON, context=tls)
        if tls
        else http.client.HTTPConnection(address.netloc, timeout=SOON)
    )
    with closing(client) as connection:
        connection.request("POST", address.path, b"{}")
        answer = connection.getresponse()
        return ClientResponse(answer.status, dict(answer.getheaders()), answer.read())


async def post(endpoint: MockEndpoint, tls: ssl.SSLContext | None = None) -> ClientResponse:
    """An attempt by http.client, on its own connection."""
    return await asyncio.to_thread(_post, endpoint.url, tls)


def request(endpoint: MockEndpoint) -> bytes:
    head = f"POST {endpoint.path} HTTP/1.1\r\nHost: mock\r\nContent-Length: 2\r\n\r\n"
    return head.encode() + b"{}"


@asynccontextmanager
async def sending(endpoint: MockEndpoint, data: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """The answer to `data` on a plain connection, which is closed with the context."""
    address = urlsplit(endpoint.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(data)
    async with asyncio.timeout(SOON):
        yield reader
    writer.close()


async def ended(endpoint: MockEndpoint) -> Exchange:
    """The first arrival, once it has ended."""
    while not endpoint.arrivals or not (endpoint.arrivals[0].answer or endpoint.arrivals[0].fault):
        assert await endpoint.changed(SOON), endpoint.arrivals
    return endpoint.arrivals[0]


async def test_without_a_script_the_answer_is_the_guides_success() -> None:
    async with listening(clock=Clock()) as mock:
        response = await post(mock.endpoint())
    assert (response.status, response.headers["Content-Type"], response.body) == (
        200,
        "application/json",
        SUCCESS,
    )


async def test_an_answer_has_the_scripted_status_headers_and_body() -> None:
    headers = (("Retry-After", "2"), ("content-type", "text/html"))
    async with answering(Scripted(503, headers=headers, body=b"<p>")) as endpoint:
        response = await post(endpoint)
    assert (response.status, response.body) == (503, b"<p>")
    assert set(headers) <= set(response.headers.items())
    assert "Content-Type" not in response.headers


async def test_a_redirect_carries_its_location() -> None:
    async with answering(Scripted(307, headers=(("Location", "/elsewhere"),))) as endpoint:
        response = await post(endpoint)
    assert (response.status, response.headers["Location"]) == (307, "/elsewhere")


async def test_a_delay_lies_between_the_whole_request_and_the_answer() -> None:
    clock = HeldClock()
    async with answering(Scripted(delay=7), clock=clock) as endpoint:
        answer = asyncio.create_task(post(endpoint))
        await clock.asleep.wait()
        assert not answer.done()
        clock.released.set()
        await answer
        assert (await ended(endpoint)).seconds == 7


async def test_a_connection_is_kept_after_an_answer() -> None:
    async with answering() as endpoint, sending(endpoint, 2 * request(endpoint)) as reader:
        for _ in range(2):
            await reader.readuntil(SUCCESS)


async def test_a_scripted_connection_close_closes_it() -> None:
    async with (
        answering(Scripted(headers=(("Connection", "close"),))) as endpoint,
        sending(endpoint, request(endpoint)) as reader,
    ):
        assert (await reader.read()).endswith(SUCCESS)


async def test_an_answer_is_recorded_as_it_was_sent() -> None:
    script = Scripted(404, headers=(("X-Odd", "é"),), body=b"nothing here")
    async with answering(script) as endpoint:
        response = await post(endpoint)
        answer = (await ended(endpoint)).answer
    assert answer is not None
    assert (answer.status, answer.body, answer.cut) == (404, b"nothing here", False)
    assert {name.decode() for name, _ in answer.headers} == set(response.headers)
    assert (b"X-Odd", "é".encode()) in answer.headers


async def test_an_answer_without_a_body_is_recorded_without_one() -> None:
    async with answering(Scripted(204)) as endpoint:
        await post(endpoint)
        answer = (await ended(endpoint)).answer
    assert answer is not None
    assert (answer.status, answer.body) == (204, b"")


async def test_reset_is_a_reset_before_any_byte() -> None:
    async with answering(Scripted(fault="reset")) as endpoint:
        with pytest.raises(ConnectionResetError) as caught:
            await post(endpoint)
    assert caught.value.errno == errno.ECONNRESET


async def test_close_ends_the_connection_before_any_byte() -> None:
    async with (
        answering(Scripted(fault="close")) as endpoint,
        sending(endpoint, request(endpoint)) as reader,
    ):
        assert await reader.read() == b""


async def test_half_is_an_incomplete_answer() -> None:
    async with answering(Scripted(fault="half")) as endpoint:
        with pytest.raises(http.client.IncompleteRead) as caught:
            await post(endpoint)
    assert (caught.value.partial, caught.value.expected) == (SUCCESS[:10], 11)


async def test_half_of_an_empty_body_is_incomplete_too() -> None:
    async with answering(Scripted(fault="half", body=b"")) as endpoint:
        with pytest.raises(http.client.IncompleteRead):
            await post(endpoint)


async def test_garbage_is_not_http() -> None:
    async with answering(Scripted(fault="garbage")) as endpoint:
        with pytest.raises(http.client.BadStatusLine):
            await post(endpoint)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("reset", aiohttp.ClientOSError),
        ("close", aiohttp.ServerDisconnectedError),
        ("half", aiohttp.ClientPayloadError),
        ("garbage", aiohttp.ClientResponseError),
    ],
)
async def test_aiohttp_sees_a_fault_as_one(fault: str, expected: type[Exception]) -> None:
    async def attempt() -> None:
        async with session.post(endpoint.url, data=b"{}") as answer:
            await answer.read()

    async with answering(Scripted(fault=fault)) as endpoint, aiohttp.ClientSession() as session:
        with pytest.raises(expected):
            await attempt()


async def test_a_fault_takes_the_connection_with_it() -> None:
    async with (
        answering(Scripted(fault="half"), Scripted()) as endpoint,
        sending(endpoint, 2 * request(endpoint)) as reader,
    ):
        assert (await reader.read()).count(b"HTTP/1.1") == 1
        assert len(endpoint.arrivals) == 1


async def test_a_fault_waits_for_its_delay() -> None:
    clock = LeapingClock()
    async with answering(Scripted(fault="close", delay=4), clock=clock) as endpoint:
        with pytest.raises(http.client.RemoteDisconnected):
            await post(endpoint)
    assert clock.pauses == [4]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("reset", Fault.CLOSED),
        ("close", Fault.CLOSED),
        ("half", Fault.CLOSED),
        ("garbage", Fault.GARBAGE),
    ],
)
async def test_a_fault_is_recorded_without_an_answer(fault: str, expected: Fault) -> None:
    async with answering(Scripted(fault=fault)) as endpoint:
        with pytest.raises((OSError, http.client.HTTPException)):
            await post(endpoint)
        arrival = await ended(endpoint)
    assert (arrival.answer, arrival.fault, arrival.detail) == (None, expected, fault)


async def test_a_drip_sends_its_head_at_once() -> None:
    clock = HeldClock()
    async with (
        answering(Scripted(fault="drip", delay=6), clock=clock) as endpoint,
        sending(endpoint, request(endpoint)) as reader,
    ):
        assert b" 200 OK\r\n" in await reader.readuntil(b"\r\n\r\n")
        assert clock.time == 1000
        clock.released.set()
        assert await reader.readexactly(len(SUCCESS)) == SUCCESS


async def test_a_drip_ends_after_its_delay() -> None:
    clock = LeapingClock()
    script = Scripted(fault="drip", delay=6, body=b"x" * 1001)
    async with answering(script, clock=clock) as endpoint:
        assert len((await post(endpoint)).body) == 1001
        assert (await ended(endpoint)).seconds == pytest.approx(6)
    assert 10 <= len(clock.pauses) <= DRIPS


async def test_a_drip_is_recorded_as_a_whole_answer() -> None:
    script = Scripted(201, fault="drip", delay=6, body=b"")
    async with answering(script, clock=LeapingClock()) as endpoint:
        await post(endpoint)
        arrival = await ended(endpoint)
    assert arrival.answer is not None
    assert (arrival.status, arrival.answer.body) == (201, b" ")


async def test_a_sender_that_leaves_in_mid_drip_has_no_answer() -> None:
    async with answering(Scripted(fault="drip", delay=6), clock=HeldClock()) as endpoint:
        async with sending(endpoint, request(endpoint)) as reader:
            await reader.readuntil(b"\r\n\r\n")
        arrival = await ended(endpoint)
    assert (arrival.answer, arrival.fault) == (None, Fault.TIMEOUT)


async def test_hang_lasts_until_the_sender_leaves() -> None:
    async with answering(Scripted(fault="hang")) as endpoint:
        async with sending(endpoint, request(endpoint)):
            await endpoint.changed(SOON)
        arrival = await ended(endpoint)
    assert (arrival.fault, arrival.detail) == (Fault.TIMEOUT, "the sender left")


async def test_hang_is_given_up_in_the_end() -> None:
    async with answering(Scripted(fault="hang"), clock=LeapingClock()) as endpoint:
        with pytest.raises(http.client.RemoteDisconnected):
            await post(endpoint)
        arrival = await ended(endpoint)
    assert (arrival.fault, arrival.seconds) == (Fault.GIVEN_UP, HANG)


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="'resett' is not one of"):
        Scripted(fault="resett")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The mock's side, under a certificate that vouches for itself, and a client's that trusts it."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=mock", "-addext", "subjectAltName=IP:127.0.0.1",
         "-out", cert, "-keyout", key],
        check=True, capture_output=True,
    )  # fmt: skip
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    return server, ssl.create_default_context(cafile=cert)


async def test_https_is_served_under_the_configured_certificate(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with answering(tls=tls[0]) as endpoint:
        assert endpoint.url.startswith("https://127.0.0.1:")
        assert (await post(endpoint, tls[1])).status == 200


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("reset", http.client.RemoteDisconnected),
        ("close", http.client.RemoteDisconnected),
        ("half", http.client.IncompleteRead),
        ("garbage", http.client.BadStatusLine),
    ],
)
async def test_faults_are_faults_over_https_too(
    fault: str, expected: type[Exception], tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async with answering(Scripted(fault=fault), tls=tls[0]) as endpoint:
        with pytest.raises(expected):
            await post(endpoint, tls[1])


async def test_close_over_https_ends_the_connection_without_a_goodbye(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    def read(endpoint: MockEndpoint) -> bytes:
        address = urlsplit(endpoint.url)
        with (
            socket.create_connection((address.hostname, address.port), SOON) as plain,
            tls[1].wrap_socket(
                plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False
            ) as secure,
        ):
            secure.sendall(request(endpoint))
            return secure.recv(1)

    async with answering(Scripted(fault="close"), tls=tls[0]) as endpoint:
        with pytest.raises(ssl.SSLEOFError):
            await asyncio.to_thread(read, endpoint)
