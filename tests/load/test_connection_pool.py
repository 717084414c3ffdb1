"""Connections as a webhook's sender holds them, against a server that is only bytes."""

import socket
import threading
from contextlib import suppress

import pytest

from conformance.load import connection_pool
from conformance.load.connection_pool import Line

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


def serve(*answers):
    """A server that gives each connection its answers in turn, then closes it; its URL, and how many
    connections there were."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken = []

    def run():
        while True:
            connection, _ = listener.accept()
            taken.append(connection)
            with connection, suppress(ConnectionError):
                for answer in answers:
                    if not connection.recv(65536):
                        break
                    connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", taken


def answer(status=b"200 OK", body=b"{}", head=b""):
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, head, len(body), body)


def test_a_connection_is_used_again():
    url, taken = serve(answer(), answer())
    line = Line(url, 5)
    assert [line.exchange(REQUEST).status for _ in range(2)] == [200, 200]
    assert len(taken) == 1


@pytest.mark.parametrize(
    "head",
    [pytest.param(b"Connection: close\r\n", id="told to close"), pytest.param(b"", id="idle")],
)
def test_a_connection_is_not_used_again_when_it_should_not_be(head, monkeypatch):
    monkeypatch.setattr(connection_pool, "IDLE", 5.0 if head else -1.0)
    url, taken = serve(answer(head=head), answer())
    line = Line(url, 5)
    assert [line.exchange(REQUEST).status for _ in range(2)] == [200, 200]
    assert len(taken) == 2


def test_a_redirect_is_an_answer_and_not_followed():
    url, taken = serve(answer(b"308 Permanent Redirect", head=b"Location: /there\r\n"))
    assert Line(url, 5).exchange(REQUEST).status == 308
    assert len(taken) == 1


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        pytest.param([b""], "connection closed", id="closed"),
        pytest.param([b"nonsense\r\n\r\n"], "", id="no HTTP"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Le"], "invalid eof state", id="half"),
    ],
)
def test_what_is_no_answer_is_told_and_never_raised(answers, said):
    url, _ = serve(*answers)
    reply = Line(url, 5).exchange(REQUEST)
    assert reply.status is None
    assert said in reply.fault


def test_an_answer_that_does_not_come_is_given_up():
    listener = socket.create_server(("127.0.0.1", 0))
    reply = Line(f"http://127.0.0.1:{listener.getsockname()[1]}", 0.2).exchange(REQUEST)
    assert (reply.status, reply.fault) == (None, "none within 0.2 s")


def test_nobody_there_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert Line(f"http://127.0.0.1:{port}", 5).exchange(REQUEST).fault == "connection refused"


def test_of_a_large_answer_the_status_is_enough():
    url, _ = serve(answer(body=b"x" * 300_000), answer())
    line = Line(url, 5)
    assert line.exchange(REQUEST).status == 200
    assert line.exchange(REQUEST).status == 200
