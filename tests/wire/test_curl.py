"""Reproduce lines, pasted into a real shell: curl and openssl get what the suite got."""

import asyncio
import re
from dataclasses import replace

import pytest

from conformance.engine.receiver.run import ReceiverRun
from conformance.gallery.reference import reference_receiver
from conformance.model.exchange import Role, Transport
from conformance.wire.curl import curl

SECRET_HEADERS = ((b"X-Api-Key", b"the-key"),)


@pytest.fixture(scope="module")
def lines():
    """(name, exchange, line) for every case with a single probe, and the answers to the lines."""
    return asyncio.run(_lines())


async def _lines():
    async with reference_receiver() as options:
        run = ReceiverRun(replace(options, fuzz=0))
        report = await run.report()
        found = []
        for result in report.results:
            probes = [
                each
                for each in report.trace
                if each.role is Role.PROBE
                and (each.rule, each.case) == (result.rule.id, result.case)
            ]
            if len(probes) == 1:
                line = curl(probes[0], options.dialect)
                if line is not None:
                    found.append(
                        (result.name, probes[0], line, await _status(line, options.secret))
                    )
        return found


async def _status(line, secret):
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        line,
        env={"HOOKPROOF_SECRET": secret.decode(), "PATH": "/usr/local/bin:/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    seen = re.findall(rb"^HTTP/1.1 (\d+)", out, re.MULTILINE)
    return int(seen[-1]) if seen else None


def test_every_kind_of_request_has_a_line(lines):
    shown = {name.split("[")[0] for name, *_ in lines}
    assert len(lines) > 90
    assert {"receiver.signature.moved-digit", "receiver.body.deep-nesting"} <= shown
    assert {"receiver.http.chunked", "receiver.accepts.large-media"} <= shown


def test_a_pasted_line_gets_the_status_that_the_suite_got(lines):
    other = {name: (each.status, seen) for name, each, _, seen in lines if each.status != seen}
    assert other == {}


def test_a_line_is_short_whatever_the_body(lines):
    assert max(len(line) for *_, line, _ in lines) < 20_000


def test_no_line_holds_the_secret_or_a_signature(lines):
    assert not [name for name, _, line, _ in lines if re.search(r"\b(?!0{64})[0-9a-f]{64}\b", line)]


def test_a_connection_that_breaks_off_has_no_line(lines):
    assert all(each.request.transport is not Transport.CUT for _, each, _, _ in lines)
