"""A project with options of its own, which have the names that Hookproof would like."""

import threading
from http.server import ThreadingHTTPServer

import pytest
from receiver import SECRET, Receiver

NAMES = (
    "endpoint", "secret", "sender-url", "emit-url", "observer-url", "restart-command", "also-url",
    "dialect", "rules", "fuzz",
)  # fmt: skip


def pytest_addoption(parser):
    for name in NAMES:
        parser.addoption(f"--{name}", default=f"own-{name}")


@pytest.fixture(scope="session")
def hookproof_receiver():
    from conformance import Target

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Target(url=f"http://127.0.0.1:{server.server_port}/", secret=SECRET)
        server.shutdown()
