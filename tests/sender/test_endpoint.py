"""One attempt on the wire, against independent servers and misbehaving sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import aiohttp
import pytest

from conformance.model.clock import Clock
from conformance.protocol.configuration import Configuration
from conformance.protocol.dialect import Secret
from conformance.scenario.dialects import load
from conformance.sender.addresses import is_public
from conformance.sender.attempt import READ, Answer, AttemptReply, Outgoing
from conformance.sender.behaviour import SenderBehaviour
from conformance.sender.endpoint import Endpoints
from conformance.sender.wording import of_status
from tests.sender.parts import NOW, SECRET, HookRequest, endpoint, openssl, status
from tests.turned_loop import run_turned

BODY = '{"msgId":"1","content":"燈亮了"}'.encode()


async def post(
    url: str, *, timeout: int = 10, deny: bool = False, tls: ssl.SSLContext | None = None
) -> AttemptReply:
    configuration = Configuration(url, Secret(SECRET.encode()), timeout=timeout)
    async with Endpoints(load("guide"), Clock(), deny_private=deny, tls=tls) as endpoints:
        return await endpoints.post(configuration, BODY, NOW + 0.7)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw(serve: Serve) -> AsyncIterator[str]:
    """A server that reads the head of a request and then runs a function; yields its URL."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def says(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return serve


async def test_the_signature_is_what_openssl_computes_for_the_received_bytes() -> None:
    with endpoint() as hook:
        await post(hook.url)
        (request,) = await hook.arrived(1)
        assert request.body == BODY
        assert request.headers["x-webhook-signature"] == openssl(request, SECRET)


async def test_a_request_is_what_the_guide_says() -> None:
    with endpoint() as hook:
        await post(hook.url)
        (request,) = await hook.arrived(1)
        assert (request.method, request.path) == ("POST", "/hook?a=1")
        assert request.headers["content-type"] == "application/json"
        assert request.headers["x-webhook-timestamp"] == "1769845800"


async def test_the_url_is_requested_as_configured() -> None:
    with endpoint() as hook:
        await post(hook.url + "&b=%2f%41[x]#part")
        (request,) = await hook.arrived(1)
        assert request.path == "/hook?a=1&b=%2f%41[x]"


async def test_200_is_no_problem() -> None:
    with endpoint() as hook:
        reply = await post(hook.url)
        assert (reply.status, reply.problem) == (200, None)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html>no\n", id="html"),
        pytest.param(
            b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"status":"error"}', id="error"
        ),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nuntil the end", id="until-the-end"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nnever",
            id="not-gzip",
        ),
    ],
)
async def test_the_status_alone_decides(answer: bytes) -> None:
    async with raw(says(answer)) as url:
        assert (await post(url)).status == 200


async def test_an_answer_is_read_to_its_limit_and_no_further() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x" * READ)
            await writer.drain()
            sent += READ

    sent = 0
    async with raw(serve) as url:
        assert (await post(url)).status == 200
    assert sent < 200 * READ  # the rest sits in socket buffers


@pytest.mark.parametrize("number", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(number: int) -> None:
    with endpoint() as target, endpoint(status(number, Location=target.url)) as hook:
        reply = await post(hook.url)
        assert reply.status == number
        assert str(reply.problem) == (
            f"the endpoint answered {number}: redirects are not followed: configure {target.url}"
        )
        assert target.requests == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (201, "only 200 counts as received"),
        (204, "only 200 counts as received"),
        (302, "redirects are not followed: configure where it leads"),
        (400, "only 200 counts as received: see its log"),
        (401, "it refuses the signature: compare the Secret"),
        (404, "nothing is at this path: check the URL"),
        (500, "it failed inside: see its log"),
        (503, "it is busy or down"),
    ],
)
def test_a_status_is_reported_with_what_to_do(number: int, words: str) -> None:
    assert of_status(number, None).startswith(f"the endpoint answered {number}: {words}")


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("Thu, 01 Jan 2099 00:00:00 GMT", 2e9, id="date"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", 0.0, id="date-long-past"),
        pytest.param("soon", None, id="words"),
        pytest.param("-5", None, id="negative"),
        pytest.param("9" * 500, 999999999.0, id="without-end"),
    ],
)
async def test_retry_after_is_read(header: str, wait: float | None) -> None:
    with endpoint(status(503, Retry_After=header)) as hook:
        reply = await post(hook.url)
        assert reply.retry_after == (pytest.approx(wait, rel=0.5) if wait else wait)


def dripping(pieces: int) -> Callable[[BaseHTTPRequestHandler, HookRequest], None]:
    """Answers with a body in `pieces`, a tenth of a second apart."""

    def answer(handler: BaseHTTPRequestHandler, request: HookRequest) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(pieces))
        handler.end_headers()
        with suppress(ConnectionError):
            for _ in range(pieces):
                handler.wfile.write(b".")
                handler.wfile.flush()
                time.sleep(0.1)

    return answer


async def test_an_answer_that_drips_past_the_deadline_has_failed() -> None:
    with endpoint(dripping(100_000)) as hook:
        reply = await post(hook.url, timeout=1)
        assert reply.status is None
        assert "within 1 s" in str(reply.problem)
        assert reply.elapsed > 0.95


async def test_an_answer_that_drips_within_the_deadline_is_whole() -> None:
    with endpoint(dripping(3)) as hook:
        reply = await post(hook.url)
        assert (reply.status, reply.problem) == (200, None)
        assert 0.2 < reply.elapsed < 5


@pytest.mark.parametrize(
    ("timeout", "effective"),
    [pytest.param(1, 1, id="the configured one"), pytest.param(10, 5, id="the guide's")],
)
def test_no_answer_fails_at_the_deadline(timeout: int, effective: int) -> None:
    async def hang(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    async def attempt() -> tuple[AttemptReply, float]:
        configuration = Configuration("http://127.0.0.1:9/", timeout=timeout)
        behaviour = SenderBehaviour(exchange=hang)
        async with Endpoints(load("guide"), Clock(), behaviour=behaviour) as endpoints:
            reply = await endpoints.post(configuration, BODY, NOW)
        return reply, asyncio.get_running_loop().time()

    reply, ended = run_turned(attempt())
    assert reply.status is None
    assert f"within {effective} s" in str(reply.problem)
    assert ended == pytest.approx(effective)


async def refused_port() -> int:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_a_refused_connection_is_reported() -> None:
    port = await refused_port()
    reply = await post(f"http://127.0.0.1:{port}/")
    assert str(reply.problem).startswith(
        f"127.0.0.1:{port} refused the connection: nothing listens"
    )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70])
async def test_a_name_that_does_not_resolve_is_reported(host: str) -> None:
    reply = await post(f"http://{host}/")
    assert reply.problem == f"the name {host} cannot be resolved: check its spelling, and the DNS"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(b"", "closed the connection before", id="nothing"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Le", "closed the connection before", id="half-a-head"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "closed the con", id="half-a-body"
        ),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "is not HTTP", id="another-protocol"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", "is not HTTP", id="no-status"),
    ],
)
async def test_half_an_answer_is_no_answer(answer: bytes, words: str) -> None:
    async with raw(says(answer)) as url:
        reply = await post(url)
        assert reply.status is None
        assert words in str(reply.problem)


async def test_a_reset_is_reported() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(BODY))  # unread bytes would cause a reset anyway
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with raw(serve) as url:
        assert "closed the connection before" in str((await post(url)).problem)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    command += " -subj /CN=here -addext subjectAltName=IP:127.0.0.1 -keyout key -out cert"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder / "cert", folder / "key"


@asynccontextmanager
async def https(certificate: tuple[Path, Path]) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_https_delivers_to_a_trusted_certificate(certificate: tuple[Path, Path]) -> None:
    trusting = ssl.create_default_context(cafile=certificate[0])
    async with https(certificate) as url:
        assert (await post(url, tls=trusting)).status == 200


async def test_an_untrusted_certificate_is_reported(certificate: tuple[Path, Path]) -> None:
    async with https(certificate) as url:
        reply = await post(url)
        assert reply.status is None
        assert "is not trusted (self-signed certificate)" in str(reply.problem)


async def test_https_to_an_http_port_is_reported() -> None:
    with endpoint() as hook:
        reply = await post(hook.url.replace("http", "https", 1))
        assert "does it speak https?" in str(reply.problem)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
async def test_a_private_address_is_not_connected_to_whatever_name_resolves_to_it(
    host: str,
) -> None:
    with endpoint() as hook:
        reply = await post(hook.url.replace("127.0.0.1", host), deny=True)
        assert reply.status is None
        assert "an address that is not public, which --deny-private forbids" in str(reply.problem)
        assert hook.requests == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_a_fault_of_the_sender_itself_is_a_failed_attempt() -> None:
    async def broken(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
        raise KeyError("status")

    configuration, behaviour = (
        Configuration("http://127.0.0.1:9/"),
        SenderBehaviour(exchange=broken),
    )
    async with Endpoints(load("guide"), Clock(), behaviour=behaviour) as endpoints:
        reply = await endpoints.post(configuration, BODY, NOW)
    assert reply.problem == "the attempt failed inside the sender: see its log"


async def test_the_problem_of_an_attempt_holds_neither_secret_nor_query() -> None:
    port = await refused_port()
    reply = await post(f"http://127.0.0.1:{port}/path?token=keep-this")
    assert "keep-this" not in str(reply)
    assert SECRET not in str(reply)
