"""Connections as a webhook sender holds them, against a server that writes raw bytes."""

import socket
import threading
from contextlib import suppress

import pytest

from conformance.load import connection_pool
from conformance.load.connection_pool import ConnectionPool
from conformance.model.exchange import Fault

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
HEADERS = b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 50_000


def serve(*answers):
    """A server that gives each connection the answers in turn, then closes it; returns its URL and the
    list of connections that it accepted."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted = []

    def run():
        while True:
            connection, _ = listener.accept()
            accepted.append(connection)
            with connection, suppress(ConnectionError):
                for answer in answers:
                    if not connection.recv(65536):
                        break
                    connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", accepted


def answer(status=b"200 OK", body=b"{}", head=b""):
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, head, len(body), body)


def test_a_connection_is_used_again():
    url, accepted = serve(answer(), answer())
    pool = ConnectionPool(url, 5)
    assert [pool.exchange(REQUEST).status for _ in range(2)] == [200, 200]
    assert len(accepted) == 1


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Connection: close\r\n", id="server asks to close"),
        pytest.param(b"", id="idle"),
    ],
)
def test_a_connection_is_not_used_again_when_it_should_not_be(head, monkeypatch):
    monkeypatch.setattr(connection_pool, "IDLE_LIMIT", 5.0 if head else -1.0)
    url, accepted = serve(answer(head=head), answer())
    pool = ConnectionPool(url, 5)
    assert [pool.exchange(REQUEST).status for _ in range(2)] == [200, 200]
    assert len(accepted) == 2


def test_a_redirect_is_an_answer_and_not_followed():
    url, accepted = serve(answer(b"308 Permanent Redirect", head=b"Location: /there\r\n"))
    assert ConnectionPool(url, 5).exchange(REQUEST).status == 308
    assert len(accepted) == 1


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        pytest.param([b""], Fault.CLOSED, id="closed"),
        pytest.param([b"nonsense\r\n\r\n"], Fault.GARBAGE, id="not HTTP"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Le"], Fault.CLOSED, id="half a head"),
        pytest.param([answer()[:-1]], Fault.CLOSED, id="half a body"),
        pytest.param([HEADERS], Fault.ENDLESS, id="endless headers"),
        pytest.param(
            [b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000], Fault.ENDLESS, id="endless 1xx"
        ),
    ],
)
def test_a_broken_answer_is_reported_and_never_raised(answers, fault):
    url, _ = serve(*answers)
    reply = ConnectionPool(url, 5).exchange(REQUEST)
    assert reply.status is None
    assert reply.fault is fault


def test_an_exchange_without_an_answer_times_out():
    listener = socket.create_server(("127.0.0.1", 0))
    reply = ConnectionPool(f"http://127.0.0.1:{listener.getsockname()[1]}", 0.2).exchange(REQUEST)
    assert (reply.status, reply.fault) == (None, Fault.TIMEOUT)


def test_a_refused_connection_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    reply = ConnectionPool(f"http://127.0.0.1:{port}", 5).exchange(REQUEST)
    assert (reply.fault, reply.detail) == (Fault.REFUSED, "connection refused")


def test_an_answer_that_drips_for_ever_times_out():
    dripping = [b"HTTP/1.1 200 OK\r\n", *[b"X-A: b\r\n"] * 100]
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            for piece in dripping:
                connection.sendall(piece)
                threading.Event().wait(0.05)

    threading.Thread(target=drip, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert ConnectionPool(url, 0.3).exchange(REQUEST).fault is Fault.TIMEOUT


def test_the_status_of_a_large_answer_is_enough():
    url, _ = serve(answer(body=b"x" * 300_000), answer())
    pool = ConnectionPool(url, 5)
    assert pool.exchange(REQUEST).status == 200
    assert pool.exchange(REQUEST).status == 200
