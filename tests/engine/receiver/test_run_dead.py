"""Runs against a receiver that dies: the report names what it died of."""

import asyncio
import contextlib
import sys

import pytest

from conformance import check_receiver
from conformance.model.rules import Outcome
from conformance.receiver.app import ENDPOINT


async def check(base, rules, concurrency):
    return await check_receiver(
        base + ENDPOINT, secret="k", rules=rules, fuzz=0, concurrency=concurrency
    )


DIES_OF_NULL = """
import http.server, os, sys
class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if body == b"null":
            os._exit(1)
        self.send_response(200 if b"plain" in body or b'"msgId":"' in body else 400)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextlib.asynccontextmanager
async def dying_of_null():
    """A program that ends, as a whole, at the body `null`."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DIES_OF_NULL, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield f"http://127.0.0.1:{int(await child.stdout.readline())}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


NULL = "receiver.body.not-an-object[null]"


@pytest.mark.parametrize("concurrency", [pytest.param(1, id="alone"), pytest.param(4, id="few")])
async def test_the_request_that_killed_a_receiver_is_among_the_suspects(concurrency):
    async with dying_of_null() as base:
        rules = ("receiver.body.*", "receiver.time.*", "receiver.http.*")
        report = await check(base, rules, concurrency)
    alive = next(each for each in report.results if each.rule.id == "receiver.http.alive")
    assert alive.outcome is Outcome.FAIL
    suspects = str(alive.message).partition("the answers stopped ")[2]
    assert NULL in suspects
    assert "slow-sender" not in suspects
    if concurrency == 1:
        assert suspects == f"at {NULL}"


async def test_without_its_rule_a_death_is_reported_beside_the_verdict():
    async with dying_of_null() as base:
        rules = ("receiver.body.not-an-object",)
        report = await check(base, rules, 1)
    killed = next(each for each in report.results if each.case == "null")
    gone = f"the target no longer accepts plain valid messages; the answers stopped at {NULL}"
    assert (killed.outcome, str(killed.message)) == (Outcome.ERROR, f"not judged: {gone}")
    assert str(report.cause).startswith(f"No more could be judged: {gone}.")
