"""Reproduction lines in a real shell: curl and openssl get the status that the suite got."""

import asyncio
import re
from dataclasses import replace

import pytest

from conformance.engine.receiver.side import ReceiverSide
from conformance.engine.runner import Runner
from conformance.gallery.reference import reference_receiver
from conformance.model.exchange import Role, Transport
from conformance.wire.curl import curl

SECRET_HEADERS = ((b"X-Api-Key", b"the-key"),)


@pytest.fixture(scope="module")
def lines():
    """(name, exchange, line, status of the line) for every case with a single probe."""
    return asyncio.run(_lines())


async def _lines():
    async with reference_receiver() as options:
        run = Runner(ReceiverSide(replace(options, fuzz=0)))
        report = await run.report()
        rows = []
        for result in report.results:
            probes = [
                exchange
                for exchange in report.trace
                if exchange.role is Role.PROBE
                and (exchange.rule, exchange.case) == (result.rule.id, result.case)
            ]
            if len(probes) == 1:
                line = curl(probes[0], options.dialect)
                if line is not None:
                    rows.append((result.name, probes[0], line, await _status(line, options.secret)))
        return rows


async def _status(line, secret):
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        line,
        env={"HOOKPROOF_SECRET": secret.decode(), "PATH": "/usr/local/bin:/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    statuses = re.findall(rb"^HTTP/1.1 (\d+)", out, re.MULTILINE)
    return int(statuses[-1]) if statuses else None


def test_every_kind_of_request_has_a_line(lines):
    rules = {name.split("[")[0] for name, *_ in lines}
    assert len(lines) > 90
    assert {"receiver.signature.moved-digit", "receiver.body.deep-nesting"} <= rules
    assert {"receiver.http.chunked", "receiver.accepts.large-media"} <= rules


def test_a_pasted_line_gets_the_status_that_the_suite_got(lines):
    different = {
        name: (exchange.status, status)
        for name, exchange, _, status in lines
        if exchange.status != status
    }
    assert different == {}


def test_a_line_is_short_whatever_the_body(lines):
    assert max(len(line) for *_, line, _ in lines) < 20_000


def test_no_line_holds_the_secret_or_a_signature(lines):
    assert not [name for name, _, line, _ in lines if re.search(r"\b(?!0{64})[0-9a-f]{64}\b", line)]


def test_a_connection_that_breaks_off_has_no_line(lines):
    assert all(exchange.request.transport is not Transport.CUT for _, exchange, _, _ in lines)
