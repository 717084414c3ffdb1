"""Whole runs against a live sender: what preflight finds out, what is judged after it, how a run ends.

The sender is the reference sender, in this process, unless a test is about one of another kind.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sys
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, web

from conformance.model.errors import InputError
from conformance.model.rules import Outcome, Verdict
from conformance.protocol.dialect import Secret
from conformance.protocol.validation import problems
from conformance.reporting import languages
from conformance.reporting.files import Files
from conformance.reporting.html.page import fragment
from conformance.scenario.dialects import load
from conformance.scenario.load import built_in
from tests.engine.sender.parts import (
    KEY,
    LONG_WAITS,
    QUICK,
    SECRET,
    broken,
    check,
    having,
    listed,
    listening,
    needs_curl,
    of,
    reference,
    serving,
    silent,
    stop,
    trusting,
)
from tests.places import ROOT


@pytest.fixture(scope="module")
def whole(certificate, tmp_path_factory):
    """A run of all rules, on https, of a sender behind an API key; its files; what List shows then."""
    cert, key = certificate

    async def run():
        settings = {
            "api_key": Secret(KEY.encode()),
            "tls": trusting(cert),
            "pace": LONG_WAITS,
        }
        async with reference(**settings) as api:
            report = await check(api, (), api_key=KEY, tls_cert=cert, tls_key=key)
            return report, await listed(api, f"?key={KEY}")

    report, left = asyncio.run(run())
    place = tmp_path_factory.mktemp("files")
    files = {kind: place / f"r.{kind}" for kind in ("json", "junit", "html", "trace")}
    Files(**files).write(report)
    return report, files, left


def test_a_correct_sender_keeps_every_rule(whole):
    report, _, _ = whole
    assert report.verdict is Verdict.PASS
    assert broken(report) == set()
    assert having(report, Outcome.SKIP) == {"sender.loss.survives-restart"}
    assert report.spoken == "guide"


def test_every_case_of_every_rule_has_a_result(whole):
    report, _, _ = whole
    cases = [(each.rule.id, case.name) for each in built_in("sender") for case in each.cases]
    assert [(each.rule.id, each.case) for each in report.results] == cases


def test_the_report_fits_its_schema(whole):
    report, files, _ = whole
    assert problems("report", report.as_json()) == []
    assert problems("report", report.as_json(languages.load("zh-Hant"))) == []
    assert problems("report", json.loads(files["json"].read_text(encoding="utf-8"))) == []


def test_a_result_points_to_exchanges_of_its_own_case(whole):
    report, _, _ = whole
    by_id = {each.id: each for each in report.trace}
    for result in report.results:
        over_many = result.rule.id.startswith("sender.wire.") or (
            result.case == "distinguishes-failures"
        )
        if result.outcome is Outcome.PASS and not over_many:
            for each in result.exchanges:
                assert (by_id[each].rule, by_id[each].case) == (result.rule.id, result.case)


def test_a_pass_states_its_figures(whole):
    report, _, _ = whole
    (three,) = [each for each in of(report, "sender.retry.count") if each.case == "three"]
    assert re.fullmatch(r"4 attempts seen, then none for \d+\.\d s", str(three.message))
    (backoff,) = of(report, "sender.retry.backoff")
    assert re.fullmatch(r"6 attempts seen; waits were (\d\.\d, ){4}\d\.\d s", str(backoff.message))


def test_configurations_are_taken_away_afterwards(whole):
    _, _, left = whole
    assert left == []


@pytest.mark.parametrize(
    "secret", [SECRET, KEY, SECRET[::-1]], ids=["secret", "API key", "reversed"]
)
def test_nothing_that_is_written_holds_a_secret(whole, secret):
    report, files, _ = whole
    for path in files.values():
        assert secret.encode() not in path.read_bytes(), path
    assert secret not in f"{report!r} {report} {fragment(report)}"


async def test_an_api_key_that_is_missing_ends_as_error():
    async with reference(api_key=Secret(KEY.encode())) as api:
        report = await check(api)
    assert stop(report) == ("api-refuses-key", 401)


async def test_without_a_way_to_emit_what_test_shows_is_judged():
    async with reference() as api:
        report = await check(
            api, ("sender.wire.*", "sender.config.*", "sender.filter.*"), emit=False
        )
    assert report.verdict is Verdict.PASS
    skipped = [each for each in report.results if each.outcome is Outcome.SKIP]
    assert {each.rule.id for each in skipped} >= {"sender.filter.disabled", "sender.wire.faithful"}
    told = {str(each.message) for each in skipped}
    assert told == {
        "needs --emit-url or --emit-command, to give the sender messages",
        "no link message arrived",
    }
    assert having(report, Outcome.PASS) >= {"sender.wire.signature", "sender.wire.msgid-unique"}
    assert "Only what Test shows was judged" in str(report.cause)


@needs_curl
async def test_a_command_gives_the_sender_its_messages():
    async with reference() as api:
        command = f"curl -sSf --data-binary @- {api}/Emit"
        report = await check(api, ("sender.wire.*",), emit=False, emit_command=command)
    assert report.verdict is Verdict.PASS
    assert having(report, Outcome.SKIP) == set()


@pytest.mark.parametrize(
    "emit",
    [
        pytest.param({"emit_command": "echo no; exit 3"}, id="command"),
        pytest.param({"emit_command": "no-such-command-here"}, id="no command"),
        pytest.param({"emit_url": "http://127.0.0.1:9/Emit"}, id="refused"),
    ],
)
async def test_messages_that_are_not_accepted_end_as_error(emit):
    async with reference() as api:
        report = await check(api, emit=False, **emit)
    assert stop(report)[0] == "event-refused"


async def test_an_emit_url_that_refuses_events_is_reported_with_its_answer():
    async with reference() as api:
        report = await check(api, emit=False, emit_url=f"{api}/Nowhere")
    assert stop(report)[0] == "event-refused"
    assert report.cause.parameters["text"].startswith("404: ")


async def test_on_https_a_sender_that_trusts_the_certificate_is_judged(certificate):
    cert, key = certificate
    rules = ("sender.https.*", "sender.wire.*")
    async with reference(tls=trusting(cert)) as api:
        report = await check(api, rules, tls_cert=cert, tls_key=key)
    assert report.verdict is Verdict.PASS
    assert having(report, Outcome.SKIP) == set()
    assert {each.request.url[:8] for each in report.trace if each.role == "attempt"} == {"https://"}


async def test_on_https_a_sender_that_does_not_trust_the_certificate_breaks_that_rule(
    certificate, monkeypatch
):
    monkeypatch.setattr("conformance.checks.sender.profile.ARRIVAL", 1.0)
    cert, key = certificate
    async with reference() as api:
        report = await check(
            api, ("sender.https.delivers", "sender.wire.*"), tls_cert=cert, tls_key=key
        )
    assert broken(report) == {"sender.https.delivers"}


async def test_a_certificate_that_cannot_be_used_is_reported(certificate, tmp_path):
    cert, _ = certificate
    (tmp_path / "key.pem").write_text("no key")
    async with reference() as api:
        with pytest.raises(InputError, match=r"--tls-cert and --tls-key: .* cannot be used"):
            await check(api, tls_cert=cert, tls_key=tmp_path / "key.pem")


async def test_one_that_speaks_another_dialect_breaks_one_rule_and_is_judged_in_its_own():
    async with reference(dialect=load("timestamp-body")) as api:
        report = await check(api, (*QUICK, "sender.retry.same-message", "sender.filter.fan-out"))
    assert broken(report) == {"sender.wire.signature"}
    assert report.failures[0].code == "other-scheme"
    assert (report.dialect, report.spoken) == ("guide", "timestamp-body")


async def test_one_that_speaks_the_dialect_that_was_asked_for_is_right():
    async with reference(dialect=load("timestamp-body")) as api:
        report = await check(api, dialect="timestamp-body")
    assert report.verdict is Verdict.PASS


DIALECT = """\
name: house
title: House
summary: milliseconds and Base64
timestamp-header: X-Time
signature-header: X-Sign
string-to-sign: "{body}|{timestamp}"
algorithm: hmac-sha256
encoding: base64
timestamp-unit: milliseconds
success: [200]
deadline: 5
"""


async def test_a_dialect_of_the_users_own_is_judged_by_its_own_words(tmp_path):
    path = tmp_path / "house.yaml"
    path.write_text(DIALECT, encoding="utf-8")
    async with reference(dialect=load(str(path))) as api:
        report = await check(api, dialect=str(path))
    assert broken(report) == set()
    assert report.verdict is Verdict.PASS


async def test_behind_a_public_url_what_cannot_be_seen_is_skipped(unused_tcp_port):
    there = f"http://localhost:{unused_tcp_port}/tunnel"
    rules = ("sender.wire.msgid-unique", "sender.retry.on-connection-fault", "sender.config.test")
    listen = f"127.0.0.1:{unused_tcp_port}"
    async with reference() as api:
        report = await check(api, rules, listen=listen, public_url=there)
    assert report.verdict is Verdict.PASS
    assert having(report, Outcome.SKIP) >= {
        "sender.retry.on-connection-fault[refused]",
        "sender.config.test[unreachable]",
    }
    attempts = [each for each in report.trace if each.role == "attempt"]
    assert all(each.request.url.startswith(f"{there}/h/") for each in attempts)


async def test_a_port_in_use_is_reported(unused_tcp_port):
    async with reference() as api, listening(silent, unused_tcp_port):
        with pytest.raises(
            InputError, match=f"--listen: 127.0.0.1:{unused_tcp_port} is not available"
        ):
            await check(api, listen=f"127.0.0.1:{unused_tcp_port}")


@asynccontextmanager
async def keeping_one():
    """The reference sender behind an API that keeps one configuration, without an ID."""

    async def handle(request):
        name = request.match_info["name"]
        async with ClientSession(api) as client:
            if name == "Config":
                for each in (await (await client.get("List")).json())["data"]:
                    await client.delete("Delete", params={"id": each["ID"]})
            body = await request.read()
            query = {} if name == "Test" else request.query
            answered = await client.request(request.method, name, data=body, params=query)
            said = await answered.json()
        match name, said["data"]:
            case "List", [configuration]:
                said["data"] = {n: v for n, v in configuration.items() if n != "ID"}
            case "Config" | "Update", _:
                said["data"] = None
        return web.json_response(said, status=404 if name == "Delete" else answered.status)

    async with reference() as base:
        api = f"{base}/"
        app = web.Application()
        app.router.add_route("*", "/v1/webhook/{name}", handle)
        async with serving(app) as there:
            yield f"{there}/v1/webhook", base


ONE = (
    "sender.config.update",
    "sender.duplicate.*",
    "sender.filter.disabled",
    "sender.filter.fan-out",
    "sender.retry.on-non-200",
    "sender.retry.isolation",
    "sender.wire.*",
)


async def test_a_sender_that_keeps_one_configuration_is_judged_in_turns():
    async with keeping_one() as (api, _):
        report = await check(api, ONE)
    assert broken(report) == set()
    assert report.verdict is Verdict.PASS
    skipped = having(report, Outcome.SKIP)
    assert skipped == {"sender.filter.fan-out", "sender.retry.isolation"}
    assert {str(each.message) for each in report.having(Outcome.SKIP)} == {
        "does not apply: the sender keeps one configuration"
    }


async def test_where_nothing_can_be_deleted_configurations_are_switched_off():
    async with keeping_one() as (api, base):
        await check(api, ("sender.config.create-list",))
        (left,) = await listed(base)
    assert left["Enabled"] is False


@asynccontextmanager
async def taking_long_timeouts_only(status):
    """The reference sender behind an API that refuses a Timeout below 3."""

    async def handle(request):
        body = await request.read()
        if request.match_info["name"] == "Config" and json.loads(body)["Timeout"] < 3:
            return web.json_response({"code": 400, "message": "Timeout too short"}, status=status)
        async with ClientSession(f"{base}/") as client:
            name, query = request.match_info["name"], request.query
            answered = await client.request(request.method, name, data=body, params=query)
            return web.json_response(await answered.json(), status=answered.status)

    async with reference() as base:
        app = web.Application()
        app.router.add_route("*", "/v1/webhook/{name}", handle)
        async with serving(app) as there:
            yield f"{there}/v1/webhook"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        pytest.param(400, Outcome.SKIP, id="for what it is"),
        pytest.param(429, Outcome.ERROR, id="for now"),
    ],
)
async def test_a_case_whose_configuration_is_refused_is_not_judged(status, outcome):
    async with taking_long_timeouts_only(status) as api:
        report = await check(api, ("sender.retry.on-timeout", "sender.config.create-list"))
    (refused,) = of(report, "sender.retry.on-timeout")
    assert refused.outcome is outcome
    assert refused.code == "configuration-refused"
    assert refused.parameters == {"detail": f"{status}: Timeout too short"}
    assert broken(report) == set()


OWN = "rules: [{rule: sender.own.it, level: MUST, title: T, steps: [{emit: {}, expect: {check: %s}}]}]"


RESTART = """\
kill -9 $(cat {pid})
{python} -m conformance serve sender --port {port} --db {db} --backoff-base 0.1 >{log} 2>&1 &
echo $! >{pid}
for i in $(seq 200); do curl -s -o {log} {api}/List && exit 0; sleep 0.05; done; exit 1
"""


@needs_curl
async def test_a_kill_and_a_restart_lose_nothing(tmp_path, unused_tcp_port, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    api = f"http://127.0.0.1:{unused_tcp_port}/v1/webhook"
    pid = tmp_path / "pid"
    pid.write_text("")
    words = {"pid": pid, "db": tmp_path / "queue.db", "log": tmp_path / "log"}
    quoted = {name: shlex.quote(str(each)) for name, each in words.items()}
    python = shlex.quote(sys.executable)
    script = RESTART.format(**quoted, python=python, port=unused_tcp_port, api=api)
    started = await asyncio.create_subprocess_shell(script)
    assert await started.wait() == 0
    try:
        report = await check(api, ("sender.loss.survives-restart",), restart_command=script)
    finally:
        os.kill(int(pid.read_text()), 9)
    (result,) = report.results
    assert result.outcome is Outcome.PASS, str(result.message)
    tries = Counter(each.msg_id for each in report.trace if each.rule and each.role == "attempt")
    assert len(tries) == 30


async def test_a_restart_that_fails_is_an_error_and_no_verdict(tmp_path):
    (tmp_path / "own.yaml").write_text(
        OWN.replace("steps: [", "steps: [{restart: true}, ") % "prompt"
    )
    async with reference() as api:
        report = await check(
            api, ("sender.own.it",), scenarios=[tmp_path], restart_command="exit 4"
        )
    assert report.verdict is Verdict.ERROR
    (result,) = report.results
    assert (result.code, result.parameters) == ("step-failed", {"status": 4})


@pytest.mark.parametrize("runs", [2, pytest.param(10, marks=pytest.mark.soak)])
async def test_runs_with_one_seed_find_the_same(runs):
    async def run():
        async with reference() as api:
            return await check(
                api, ("sender.wire.*", "sender.config.update", "sender.filter.fan-out")
            )

    reports = await asyncio.gather(*(run() for _ in range(runs)))
    found = {json.dumps(_timeless(report)) for report in reports}
    assert len(found) == 1


def _timeless(report):
    data = report.as_json()
    kept = ("rule", "case", "level", "outcome", "message", "reproduce")
    return [{name: each[name] for name in kept} for each in data["results"]] + [data["summary"]]


async def test_a_rule_of_the_users_own_is_judged(tmp_path):
    (tmp_path / "own.yaml").write_text(OWN % "prompt")
    async with reference() as api:
        report = await check(api, ("sender.own.*",), scenarios=[tmp_path])
    assert having(report, Outcome.PASS) == {"sender.own.it"}


@pytest.mark.parametrize(
    ("check_named", "said"),
    [
        pytest.param("faithfull", "did you mean faithful", id="a typo"),
        pytest.param("zzz", "there are ", id="anything"),
    ],
)
async def test_an_unknown_check_is_reported_before_the_run(tmp_path, check_named, said):
    (tmp_path / "own.yaml").write_text(OWN % check_named)
    with pytest.raises(InputError, match=rf"own\.yaml:1: .*{said}"):
        await check("http://127.0.0.1:9/", (), scenarios=[tmp_path])


async def test_a_glob_that_fits_nothing_names_one_of_this_side():
    with pytest.raises(InputError, match=r"did you mean sender\.retry\.\*"):
        await check("http://127.0.0.1:9/", ("retry.*",))
