"""Runs that end badly: no sender there, secrets in answers, no time left.

The sender is the reference sender, in this process, unless a test is about one of another kind.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl

import pytest
from aiohttp import ClientSession, web

from conformance.model.exchange import Fault
from conformance.model.rules import Outcome, Verdict
from conformance.protocol.delivery import Backoff
from conformance.reporting.files import Files
from conformance.reporting.html.page import fragment
from conformance.scenario.dialects import load
from conformance.sender.app import Settings, serving_sender
from conformance.sender.worker import Pace
from tests.engine.sender.parts import (
    SECRET,
    broken,
    check,
    listed,
    listening,
    of,
    reference,
    serving,
    silent,
    stop,
)
from tests.patience import PATIENCE


async def garbage(reader, writer):
    writer.write(b"\x16\x03\x01garbage\r\n\r\n")
    writer.close()


async def close(reader, writer):
    writer.close()


async def plain(reader, writer):
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    writer.close()


def answering(status, body, kind="application/json"):
    async def connected(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        asked = await reader.readexactly(int(length[1]) if length else 0)
        said = body(asked) if callable(body) else body
        lines = (
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(said)}\r\n\r\n"
        )
        writer.write(lines.encode() + said)
        writer.close()

    return connected


@pytest.mark.parametrize(
    ("connected", "why"),
    [
        pytest.param(silent, ("api-unreached", Fault.TIMEOUT), id="silent"),
        pytest.param(garbage, ("api-unreached", Fault.GARBAGE), id="garbage"),
        pytest.param(close, ("api-unreached", Fault.CLOSED), id="closes"),
        pytest.param(answering(404, b"Not Found"), ("api-not-found", 404), id="404"),
        pytest.param(answering(401, b"{}"), ("api-refuses-key", 401), id="401"),
        pytest.param(
            answering(200, b"<!doctype html><h1>Hello</h1>", "text/html"),
            ("api-answers-page", 200),
            id="HTML",
        ),
    ],
)
async def test_what_is_no_sender_ends_as_error(connected, why, monkeypatch):
    monkeypatch.setattr("conformance.engine.sender.side.API_PATIENCE", 0.3)
    async with listening(connected) as api:
        report = await asyncio.wait_for(check(api), PATIENCE)
    assert stop(report) == why
    assert report.cause.parameters["url"] == f"{api}/Config"
    assert report.summary()[Outcome.FAIL] == 0


async def test_an_answer_that_says_nothing_leaves_no_empty_brackets():
    async with listening(answering(404, b"")) as api:
        report = await check(api)
    assert report.cause.parameters == {"url": f"{api}/Config", "status": 404}


async def test_https_where_the_sender_speaks_plain_http_is_reported():
    async with listening(plain) as api:
        report = await check(api.replace("http:", "https:"))
    assert stop(report) == ("api-unreached", Fault.TLS)


@pytest.mark.parametrize(
    ("api", "fault"),
    [
        pytest.param("http://127.0.0.1:9/v1/webhook", Fault.REFUSED, id="refused"),
        pytest.param("http://nowhere.invalid/v1/webhook", Fault.DNS, id="unresolvable"),
    ],
)
async def test_a_sender_that_cannot_be_reached_ends_as_error(api, fault):
    report = await check(api)
    assert stop(report) == ("api-unreached", fault)


async def test_one_whose_certificate_is_not_trusted_ends_as_error_that_names_the_option(
    certificate,
):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    async with await asyncio.start_server(silent, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        report = await check(f"https://127.0.0.1:{port}/v1/webhook")
    assert "--ca" in str(report.cause)


async def test_a_valid_configuration_that_is_refused_is_one_failure():
    async with listening(
        answering(400, b'{"code": 400, "message": "Timeout must be text"}')
    ) as api:
        report = await check(api)
    assert [each.name for each in report.failures] == ["sender.config.create-list"]
    parameters = report.failures[0].parameters
    assert (parameters["status"], parameters["answer"]) == (400, "Timeout must be text")
    assert report.summary()[Outcome.SKIP] == len(report.results) - 1


async def test_a_secret_that_an_answer_gives_back_is_shown_nowhere(tmp_path):
    def echo(asked):
        return json.dumps({"code": 400, "message": f"cannot read {asked.decode()}"}).encode()

    async with listening(answering(400, echo)) as api:
        report = await check(api, secret=SECRET)
    files = {kind: tmp_path / f"r.{kind}" for kind in ("json", "junit", "html", "trace")}
    Files(**files).write(report)
    for path in files.values():
        assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in f"{report} {report.cause} {fragment(report)}"


async def test_a_secret_that_is_listed_is_a_finding_and_shown_nowhere(tmp_path):
    shown = []

    async def handle(request):
        async with ClientSession(api) as client:
            body = await request.read()
            name = request.match_info["name"]
            if name == "Config":
                shown.append(json.loads(body)["Secret"])
            answered = await client.request(request.method, name, data=body, params=request.query)
            said = await answered.json()
        if name == "List":
            said["data"] = [{**each, "Secret": secret} for each in said["data"] for secret in shown]
        return web.json_response(said, status=answered.status)

    async with reference() as base:
        api = f"{base}/"
        app = web.Application()
        app.router.add_route("*", "/v1/webhook/{name}", handle)
        async with serving(app) as there:
            rules = ("sender.filter.fan-out", "sender.config.secret-hidden")
            report = await check(f"{there}/v1/webhook", rules)
    assert broken(report) == {"sender.config.secret-hidden"}
    assert len(set(shown)) == 2
    Files(trace=tmp_path / "trace").write(report)
    for secret in (SECRET, SECRET[::-1]):
        assert secret.encode() not in (tmp_path / "trace").read_bytes()


async def test_a_run_ends_within_its_timeout_and_takes_its_configurations_away():
    async with reference() as api:
        report = await asyncio.wait_for(check(api, ("sender.retry.*",), timeout=2), PATIENCE)
        left = await listed(api)
    assert report.verdict is not Verdict.PASS
    # How far it came in this time depends on the machine.
    assert {each.code for each in report.results} & {"time-ran-out", "too-little-time"}
    assert left == []


async def test_a_run_that_is_broken_off_takes_its_configurations_away():
    async with reference() as api:
        running = asyncio.create_task(check(api, ("sender.retry.*",)))
        async with asyncio.timeout(PATIENCE):
            while len(await listed(api)) < 5:  # noqa: ASYNC110 - its API is all that there is
                await asyncio.sleep(0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await listed(api) == []


async def test_what_waits_too_long_for_the_timeout_is_skipped_with_figures():
    slow = Settings(pace=Pace(Backoff(base=1)))
    async with serving_sender(load("guide"), slow) as api:
        report = await check(api, ("sender.retry.backoff", "sender.wire.*"), timeout=15)
    (backoff,) = of(report, "sender.retry.backoff")
    assert backoff.outcome is Outcome.SKIP
    assert re.search(r"would take about \d+ s .* give a longer --timeout", str(backoff.message))
    assert report.verdict is Verdict.PASS
