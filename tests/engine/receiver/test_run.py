"""Whole runs over real HTTP: what preflight finds out, what is judged after it, how a run ends."""

import asyncio
import contextlib
import gzip
import json
import re
from dataclasses import replace
from functools import partial

import pytest
from aiohttp import web

from conformance import check_receiver
from conformance.engine.judge import TIME_RAN_OUT
from conformance.model.errors import InputError
from conformance.model.exchange import Fault
from conformance.model.rules import Outcome, Verdict
from conformance.protocol.dialect import Secret, parse_template
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.signing import Signer
from conformance.protocol.validation import problems
from conformance.receiver.app import ENDPOINT, OBSERVER, serving
from conformance.receiver.behaviour import ReceiverBehaviour, Response, authenticate, read
from conformance.receiver.inbox import Inbox
from conformance.reporting import languages
from conformance.scenario import dialects
from tests.patience import PATIENCE, RUN

SECRET = "5ecret-for-the-tests"
KEY = SECRET.encode()
GUIDE = dialects.load("guide")
SOME = ("receiver.accepts.*", "receiver.signature.*", "receiver.http.alive")


@contextlib.asynccontextmanager
async def receiver(behaviour=None, dialect=GUIDE, secret=KEY):
    signer = Signer(dialect, Secret(secret))
    async with (
        Inbox(":memory:") as inbox,
        serving(behaviour or ReceiverBehaviour(), inbox, signer) as base,
    ):
        yield base


async def check(base, rules=SOME, observer=False, **options):
    return await check_receiver(
        base + ENDPOINT,
        secret=options.pop("secret", SECRET),
        rules=rules,
        observer_url=base + OBSERVER if observer else None,
        **{"timeout": RUN, **options},
    )


def broken(report):
    return {r.name for r in report.results if r.outcome in (Outcome.FAIL, Outcome.WARN)}


def stop(report):
    """What the one error says, and about which status or fault."""
    (stopped,) = report.having(Outcome.ERROR)
    assert report.verdict is Verdict.ERROR
    assert report.cause == stopped.message
    return stopped.code, stopped.parameters


def refusing(status):
    """A receiver that answers everything `status`."""
    return ReceiverBehaviour(authenticate=lambda headers, body, signer, now: Response(status))


async def test_the_report_fits_its_schema():
    async with receiver(refusing(401)) as base:
        report = await check(base)
    assert problems("report", report.as_json()) == []
    assert problems("report", report.as_json(languages.load("zh-Hant"))) == []


@pytest.mark.parametrize(
    ("dialect", "spoken"),
    [
        pytest.param(dialects.load("timestamp-body"), "timestamp-body", id="timestamp-body"),
        *(
            pytest.param(replace(GUIDE, parts=parse_template(template)), template, id=name)
            for name, template in (
                ("dot", "{timestamp}.{body}"),
                ("body only", "{body}"),
                ("body first", "{body}{timestamp}"),
            )
        ),
        pytest.param(replace(GUIDE, encoding="base64"), "guide in base64", id="base64 digest"),
    ],
)
async def test_another_scheme_is_one_finding_and_the_rest_is_judged_in_it(dialect, spoken):
    async with receiver(dialect=dialect) as base:
        report = await check(base)
    assert [each.rule.id for each in report.failures] == ["receiver.signature.dialect"]
    assert report.failures[0].code == "other-dialect"
    assert report.failures[0].parameters["spoken"] == spoken
    assert report.summary()[Outcome.ERROR] == 0


@pytest.mark.parametrize(
    ("given", "key", "source"),
    [
        pytest.param("00ff10aa00ff10aa", bytes.fromhex("00ff10aa00ff10aa"), "hex", id="hex"),
        pytest.param("c2VjcmV0LXNlY3JldA==", b"secret-secret", "Base64", id="Base64"),
    ],
)
async def test_a_secret_that_was_decoded_first_is_found_out(given, key, source):
    async with receiver(secret=key) as base:
        report = await check(base, secret=given)
    assert [each.rule.id for each in report.failures] == ["receiver.signature.dialect"]
    assert report.failures[0].parameters["source"] == source


@pytest.mark.parametrize(
    "form", ["compact", "spaced", "spaced-ascii", "ascii-only", "sorted-keys", "html-escaped"]
)
async def test_a_signature_over_rewritten_json_is_one_failure(form):
    def rewritten(body):
        parsed = read(body)
        return body if isinstance(parsed, Response) else ENCODINGS[form](parsed)

    behaviour = ReceiverBehaviour(authenticate=partial(authenticate, signed=rewritten))
    async with receiver(behaviour) as base:
        report = await check(base)
    assert [each.rule.id for each in report.failures] == ["receiver.signature.raw-bytes"]
    assert report.failures[0].code == "body-rewritten"


@pytest.mark.parametrize("status", [401, 403, 400, 404, 405, 429, 302])
async def test_refusals_without_a_known_cause_end_as_error(status):
    async with receiver(refusing(status)) as base:
        report = await check(base)
    code, parameters = stop(report)
    assert (code, parameters["status"]) == ("plain-refused", status)
    assert report.summary()[Outcome.FAIL] == 0


async def test_a_wrong_secret_is_reported_as_a_refusal():
    async with receiver() as base:
        report = await check(base, secret="not-the-secret")
    code, parameters = stop(report)
    assert (code, parameters["status"]) == ("plain-refused", 401)


async def test_5xx_for_every_plain_message_is_one_failure():
    async with receiver(refusing(500)) as base:
        report = await check(base)
    assert [each.name for each in report.failures] == ["receiver.accepts.documented-type[1]"]


async def test_a_receiver_that_warms_up_is_not_taken_for_one_of_another_scheme():
    seen = 0

    def warming(headers, body, signer, now):
        nonlocal seen
        seen += 1
        # Ready just when compact JSON is tried, which is what was sent in the first place.
        return Response(503) if seen <= 4 else authenticate(headers, body, signer, now)

    async with receiver(ReceiverBehaviour(authenticate=warming)) as base:
        report = await check(base, rules=("receiver.accepts.*", "receiver.signature.raw-bytes"))
    assert broken(report) == set()


async def test_another_2xx_is_one_failure_and_counts_as_accepted():
    behaviour = ReceiverBehaviour(acknowledge=lambda arrival, new: Response(204))
    async with receiver(behaviour) as base:
        report = await check(base)
    assert [each.rule.id for each in report.failures] == ["receiver.accepts.status-exactly-200"]


async def test_a_receiver_that_accepts_everything_cannot_pass():
    async with receiver(
        ReceiverBehaviour(authenticate=lambda headers, body, signer, now: None)
    ) as base:
        report = await check(base)
    assert report.verdict is Verdict.FAIL
    assert {each.code for each in report.failures} == {"unexpected-answer"}


async def test_a_receiver_that_begins_to_refuse_is_no_pass_for_refusals():
    seen = 0

    def tired(headers, body, signer, now):
        nonlocal seen
        seen += 1
        return Response(403) if seen > 40 else authenticate(headers, body, signer, now)

    async with receiver(ReceiverBehaviour(authenticate=tired)) as base:
        report = await check(base, rules=("receiver.signature.*", "receiver.http.alive"))
    assert report.verdict is not Verdict.PASS
    forged = [r for r in report.results if r.rule.id == "receiver.signature.missing-both"]
    assert [each.outcome for each in forged] == [Outcome.ERROR]


async def test_a_receiver_that_dies_is_a_failure_of_alive():
    dead = False

    async def receive(request):
        nonlocal dead
        body = await ReceiverBehaviour().receive(request)
        dead = dead or body.startswith(b"msgId=")
        if dead:
            request.transport.abort()
        return body

    async with receiver(ReceiverBehaviour(receive=receive)) as base:
        report = await check(base, rules=("receiver.body.*", "receiver.http.alive"))
    assert "receiver.http.alive" in broken(report)


@contextlib.asynccontextmanager
async def listening(connected):
    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def silent(reader, writer):
    await asyncio.sleep(60)


async def test_an_answer_longer_than_it_says_is_an_answer():
    async def connected(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nlonger")
        writer.close()

    async with listening(connected) as base:
        report = await check(base)
    (failed,) = report.failures
    assert (failed.code, failed.parameters["status"]) == ("plain-refused", 500)


async def garbage(reader, writer):
    writer.write(b"\x16\x03\x01garbage\r\n\r\n")
    writer.close()


async def close(reader, writer):
    writer.close()


@pytest.mark.parametrize(
    ("connected", "fault"),
    [
        pytest.param(silent, Fault.TIMEOUT, id="silent"),
        pytest.param(garbage, Fault.GARBAGE, id="garbage"),
        pytest.param(close, Fault.CLOSED, id="closes"),
    ],
)
async def test_a_target_that_is_no_receiver_ends_as_error(connected, fault):
    async with listening(connected) as base:
        report = await check(base, timeout=20)
    assert stop(report)[0] == "unreached"
    assert {each.fault for each in report.trace} == {fault}
    assert report.summary()[Outcome.FAIL] == 0


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        pytest.param("http://127.0.0.1:9/webhook", Fault.REFUSED, id="refused"),
        pytest.param("http://nowhere.invalid/webhook", Fault.DNS, id="unresolvable"),
    ],
)
async def test_a_target_that_cannot_be_reached_ends_as_error(url, fault):
    report = await check_receiver(url, secret=SECRET)
    assert stop(report)[0] == "unreached"
    assert {each.fault for each in report.trace} == {fault}


async def test_a_run_ends_within_its_timeout():
    async def slow(request, answer):
        await asyncio.sleep(0.4)
        return await ReceiverBehaviour().respond(request, answer)

    async with receiver(ReceiverBehaviour(respond=slow)) as base:
        report = await asyncio.wait_for(check(base, rules=(), timeout=3), PATIENCE)
    assert report.verdict is not Verdict.PASS
    assert report.cause == TIME_RAN_OUT.reason


async def test_the_same_seed_sends_the_same_requests():
    async with receiver() as base:
        runs = [await check(base, observer=True) for _ in range(2)]
    one, other = ([_settled(each) for each in run.trace] for run in runs)
    assert one == other


def _settled(exchange):
    """A request without what is fresh in every run."""
    # A moved digit is the last one of the time, at the front of the body.
    fresh = rb"[0-9a-f]{64}|\d{9,19}|^\d"
    request = exchange.request
    headers = tuple(
        (name, len(value) if name == b"X-Webhook-Signature" else re.sub(fresh, b"#", value))
        for name, value in request.headers
    )
    body = re.sub(fresh, b"#", request.body)
    return exchange.id, exchange.rule, exchange.case, request.method, headers, body


async def test_reports_of_equal_runs_are_equal_but_for_times():
    async with receiver() as base:
        one, other = [_timeless(await check(base, observer=True)) for _ in range(2)]
    assert one == other


def _timeless(report):
    data = report.as_json()
    del data["started"], data["seconds"]
    for each in data["results"]:
        del each["seconds"]
    return json.dumps(data)


async def test_a_scenario_of_the_users_that_changes_nothing_is_an_error(tmp_path):
    rule = "rules: [{rule: receiver.own.it, level: MUST, title: T, steps: [%s]}]"
    step = "{send: {message: image, mutation: invalid-utf8}, expect: {status: 4xx}}"
    (tmp_path / "own.yaml").write_text(rule % step)
    async with receiver() as base:
        report = await check(base, rules=("receiver.own.*",), scenarios=[tmp_path])
    assert report.results[0].outcome is Outcome.ERROR
    assert report.results[0].code == "step-failed"


async def test_an_unknown_check_is_reported_before_the_run(tmp_path):
    rule = "rules: [{rule: receiver.own.it, level: MUST, title: T, over: ['*'], check: alvie}]"
    (tmp_path / "own.yaml").write_text(rule)
    with pytest.raises(InputError, match=r"own\.yaml.*did you mean alive"):
        await check_receiver("http://127.0.0.1:9/", secret=SECRET, scenarios=[tmp_path])


async def test_a_pass_without_visible_dedup_mentions_the_observer():
    alike = ReceiverBehaviour(acknowledge=lambda arrival, new: Response(200))
    async with receiver(alike) as base:
        report = await check(base, rules=("receiver.duplicate.*", "receiver.accepts.*"))
    assert report.verdict is Verdict.PASS
    assert "--observer-url" in str(report.cause)


async def test_what_a_target_sends_is_not_quoted_in_a_fault(tmp_path):
    async def connected(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-Bad " + KEY + b"\r\n\r\n")
        writer.close()

    async with listening(connected) as base:
        report = await check(base)
    assert SECRET not in json.dumps(report.as_json()) + str(report)
    assert all(SECRET not in each.detail for each in report.trace)


async def test_an_answer_of_newlines_alone_is_searched_quickly():
    async def respond(request, answer):
        return web.Response(status=answer.status, body=b"\n" * 60_000)

    async with receiver(ReceiverBehaviour(respond=respond)) as base:
        report = await asyncio.wait_for(check(base, rules=("receiver.http.*",)), PATIENCE)
    assert "receiver.http.reveals-nothing" not in broken(report)


@pytest.mark.parametrize(
    ("body", "leak"),
    [
        pytest.param(b'Traceback (most recent call last):\n  File "x"', True, id="Python"),
        pytest.param(b'{"trace":"E\\n\\tat com.acme.V.check(V.java:42)"}', True, id="Java in JSON"),
        pytest.param(b"unable to open /srv/app/data/inbox.sqlite3", True, id="a path"),
        pytest.param(b'<script src="/static/js/app.js"></script>', False, id="a page"),
        pytest.param(b"Cannot POST /webhook/receiver", False, id="the path that was asked for"),
        pytest.param(gzip.compress(b"key: " + KEY), True, id="compressed"),
    ],
)
async def test_only_an_answer_that_reveals_internals_is_a_finding(body, leak):
    coding = {"Content-Encoding": "gzip"} if body.startswith(b"\x1f\x8b") else {}

    async def respond(request, answer):
        return web.Response(status=answer.status, body=body, headers=coding)

    async with receiver(ReceiverBehaviour(respond=respond)) as base:
        report = await check(base, rules=("receiver.http.reveals-nothing", "receiver.accepts.*"))
    assert ("receiver.http.reveals-nothing" in broken(report)) is leak


async def test_a_secret_that_json_escapes_is_known_in_an_answer():
    odd = 'of "ä" house/door'
    leaky = ReceiverBehaviour(respond=lambda request, answer: as_json(answer, {"expected": odd}))
    async with receiver(leaky, secret=odd.encode()) as base:
        report = await check(
            base, rules=("receiver.http.reveals-nothing", "receiver.accepts.*"), secret=odd
        )
    assert "receiver.http.reveals-nothing" in broken(report)


async def as_json(answer, data):
    return web.json_response(data, status=answer.status)


async def test_what_no_option_allows_is_skipped_though_the_observer_is_broken():
    async with receiver() as base:
        nowhere = f"{base}/nowhere?msgId={{msgId}}"
        report = await check_receiver(
            base + ENDPOINT, secret=SECRET, rules=("receiver.duplicate.*",), observer_url=nowhere
        )
    across = next(r for r in report.results if r.rule.id == "receiver.duplicate.across-instances")
    assert across.outcome is Outcome.SKIP
    assert across.code == "needs-also-url"


async def test_a_rate_limit_is_an_error_and_no_failure():
    seen = 0

    def limited(headers, body, signer, now):
        nonlocal seen
        seen += 1
        return Response(429) if seen > 30 else authenticate(headers, body, signer, now)

    async with receiver(ReceiverBehaviour(authenticate=limited)) as base:
        report = await check(base)
    assert report.summary()[Outcome.FAIL] == 0
    assert report.verdict is Verdict.ERROR
    assert "rate-limit" in {each.code for each in report.results}


async def test_not_now_is_no_refusal_of_a_forgery():
    def busy(headers, body, signer, now):
        refusal = authenticate(headers, body, signer, now)
        overlong = any(len(value) > 64 for name, value in headers if name.endswith(b"Signature"))
        return Response(503) if refusal and overlong else refusal

    async with receiver(ReceiverBehaviour(authenticate=busy)) as base:
        report = await check(base, rules=("receiver.signature.overlong", "receiver.accepts.*"))
    overlong = [r for r in report.results if r.rule.id == "receiver.signature.overlong"]
    assert {(each.outcome, each.code) for each in overlong} == {(Outcome.ERROR, "busy")}


async def test_no_report_holds_the_secret():
    leaky = ReceiverBehaviour(
        acknowledge=lambda arrival, new: Response(200, f"signed with {SECRET}")
    )
    async with receiver(leaky) as base:
        report = await check(base, rules=("receiver.http.*",))
    assert "receiver.http.reveals-nothing" in broken(report)
    assert SECRET not in json.dumps(report.as_json())
    assert SECRET not in f"{report!r} {report}"
    assert not any(SECRET.encode() in each.answer.body for each in report.trace if each.answer)


async def test_without_an_observer_the_answers_tell_and_the_result_says_so():
    async with receiver() as base:
        report = await check(base, rules=("receiver.duplicate.processed-once",))
    assert (report.verdict, report.spoken) == (Verdict.PASS, "guide")
    assert all("judged by the answers" in str(each.message) for each in report.results)


async def test_without_any_observer_the_rule_is_skipped_with_what_it_needs():
    alike = ReceiverBehaviour(acknowledge=lambda arrival, new: Response(200))
    async with receiver(alike) as base:
        report = await check(base, rules=("receiver.duplicate.*",))
    once = [r for r in report.results if r.rule.id == "receiver.duplicate.processed-once"]
    assert {(each.outcome, each.code) for each in once} == {(Outcome.SKIP, "needs-observer")}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        pytest.param("/nowhere?msgId={msgId}", "answered 404", id="not there"),
        pytest.param("/deliveries?m={msgId}", '{"count": N}', id="another answer"),
    ],
)
async def test_an_observer_that_cannot_be_used_is_an_error(template, text):
    async with receiver() as base:
        report = await check_receiver(
            base + ENDPOINT,
            secret=SECRET,
            observer_url=base + template,
            rules=("receiver.duplicate.processed-once",),
        )
    assert report.verdict is Verdict.ERROR
    assert text in str(report.results[0].message)
