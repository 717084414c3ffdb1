"""A recorded run is judged again by the same checks, with the same verdicts and without a target."""

import asyncio
import json
import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import pytest

from conformance import check_receiver
from conformance.engine.receiver.side import ReceiverSide
from conformance.engine.rejudge import judge_again
from conformance.engine.runner import Runner
from conformance.engine.sender.side import SenderSide
from conformance.gallery.matrix import chosen
from conformance.model.errors import InputError
from conformance.model.exchange import Masked, Request
from conformance.model.rules import Outcome, Verdict
from conformance.options.receiver import Options
from conformance.protocol.dialect import Secret, sign
from conformance.protocol.validation import problems
from conformance.receiver.behaviour import ReceiverBehaviour, Response, read
from conformance.scenario import dialects
from conformance.trace import Trace
from tests.patience import RUN
from tests.trace.parts import FEW, SECRET, attempt, judged, receiver

KEY = Secret(SECRET.encode())
GUIDE = dialects.load("guide")

# One of each kind: correct, refusing too little, wrong effects, slow, hostile answers, root causes.
RECEIVERS = [
    "reference", "never-verifies", "dedup-in-memory", "path-told", "secret-told", "no-colon",
    "json-stringify", "second-request-refused", "answers-202",
]  # fmt: skip
SENDERS = ["secret-listed", "colon-missing", "one-secret-for-all", "text-plain"]
RULES = {
    "reference-sender": (
        "sender.wire.*",
        "sender.retry.same-message",
        "sender.config.secret-hidden",
        "sender.filter.fan-out",
        "sender.filter.update-applies",
    ),
}
"""The rules that a peer is judged by, where it is not by those of the gallery."""


async def _report(peer):
    async with peer.serve() as options:
        rules = RULES.get(peer.name) or peer.rules()
        options = replace(options, rules=rules, timeout=RUN)
        if isinstance(options, Options):
            side = ReceiverSide(replace(options, fuzz=FEW, examples=None))
        else:
            side = SenderSide(replace(options, fuzz=FEW))
        return await Runner(side).report(), options.secret


@cache
def run_against(name):
    """The report of a peer of the gallery, and the secret of the run."""
    (peer,) = chosen([name])
    if peer.missing() is not None:
        pytest.skip(peer.missing())
    return asyncio.run(_report(peer))


@contextmanager
def recorded(report, path):
    report.trace.save(path)
    with Trace.open(path) as stored:
        yield stored


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


def test_a_correct_receiver_keeps_every_rule():
    report, _ = run_against("reference")
    assert report.verdict is Verdict.PASS
    assert report.having(Outcome.FAIL, Outcome.WARN, Outcome.NOTE) == []


@pytest.mark.parametrize("name", [*RECEIVERS, *SENDERS])
def test_a_recorded_run_gets_the_verdicts_of_the_live_one(name, path):
    report, secret = run_against(name)
    with recorded(report, path) as stored:
        assert problems("run", stored.run) == []
        again = judge_again(stored, secret)
    assert again.verdict is report.verdict
    assert list(again.results) == list(report.trace.results)
    assert replace(again, results=report.results) == report
    assert bytes(secret) not in path.read_bytes()


@pytest.mark.parametrize(
    ("name", "needing"),
    [
        ("reference", {"receiver.http.reveals-nothing"}),
        (
            "reference-sender",
            {
                "sender.wire.signature",
                "sender.retry.same-message",
                "sender.config.secret-hidden",
                "sender.filter.fan-out",
                "sender.filter.update-applies[secret]",
            },
        ),
    ],
)
def test_what_needs_the_secret_or_a_body_is_skipped_without_it(name, needing, path):
    report, secret = run_against(name)
    with recorded(report, path) as stored:
        without, whole = judge_again(stored, None), stored.results
    changed = {
        each.name: each.outcome
        for each, was in zip(without.results, whole, strict=True)
        if each.outcome is not was.outcome
    }
    assert changed == dict.fromkeys(needing, Outcome.SKIP)
    with recorded(replace(report, trace=report.trace.redacted()), path) as stored:
        masked = judge_again(stored, secret)
    for each, was in zip(masked.results, whole, strict=True):
        assert each.outcome in (was.outcome, Outcome.SKIP)
        if each.outcome is not was.outcome:
            assert "masked" in str(each.message)


def test_a_leak_in_masked_answers_is_not_judged_by_the_others(path):
    report, secret = run_against("path-told")
    assert "receiver.http.reveals-nothing" in {each.rule.id for each in report.having(Outcome.WARN)}
    with recorded(replace(report, trace=report.trace.redacted()), path) as stored:
        masked = judge_again(stored, secret)
    outcomes = {each.rule.id: each.outcome for each in masked.results}
    assert outcomes["receiver.http.reveals-nothing"] is Outcome.SKIP


async def test_drawn_examples_whose_exchanges_are_missing_show_nothing(path):
    report = await judged(rules=["receiver.fuzz.forged"], fuzz=20)
    assert report.verdict is Verdict.PASS
    report.trace.exchanges = [each for each in report.trace if each.rule is None]
    with recorded(report, path) as stored:
        again = judge_again(stored, KEY)
    assert again.verdict is Verdict.ERROR
    assert {each.code for each in again.results} == {"exchanges-missing"}


async def test_results_of_drawn_examples_stay_as_they_were(path):
    answers_5xx = ReceiverBehaviour(
        read=lambda body: Response(500, "no JSON") if b'"' not in body else read(body)
    )
    report = await judged(answers_5xx, rules=["receiver.fuzz.malformed"], fuzz=40, strict=True)
    assert report.verdict is Verdict.FAIL
    with recorded(report, path) as stored:
        again = judge_again(stored, KEY)
    assert list(again.results) == list(report.trace.results)


async def test_another_secret_is_refused(path):
    report = await judged(rules=["receiver.accepts.*"])
    with recorded(report, path) as stored, pytest.raises(InputError, match="--secret: not the one"):
        judge_again(stored, Secret(b"another-secret"))


async def test_a_secret_that_was_decoded_first_is_decoded_again(path):
    given = "00ff10aa00ff10aa00ff"
    async with receiver(secret=bytes.fromhex(given)) as there:
        told = {**there, "secret": given}
        report = await check_receiver(**told, rules=["receiver.signature.*"])
    assert [each.rule.id for each in report.failures] == ["receiver.signature.dialect"]
    with recorded(report, path) as stored:
        again = judge_again(stored, Secret(given.encode()))
    assert list(again.results) == list(report.trace.results)


def test_strict_is_as_in_the_run_unless_it_is_given(path):
    report, secret = run_against("closed-enum-of-types")
    with recorded(report, path) as stored:
        assert judge_again(stored, secret).verdict is Verdict.PASS
        assert judge_again(stored, secret, strict=True).verdict is Verdict.FAIL


async def test_a_skipped_rule_keeps_its_reason(path):
    report = await judged(rules=["receiver.duplicate.survives-restart", "receiver.accepts.*"])
    with recorded(report, path) as stored:
        again = judge_again(stored, KEY)
    (told,) = (each for each in again.results if each.rule.id.endswith("survives-restart"))
    assert told.outcome is Outcome.SKIP
    assert told.code == "needs-restart"


async def test_an_unreachable_target_keeps_its_cause(path):
    report = await check_receiver("http://127.0.0.1:9/", secret=SECRET, rules=["receiver.http.*"])
    with recorded(report, path) as stored:
        again = judge_again(stored, KEY)
    assert again.verdict is Verdict.ERROR
    assert list(again.results) == list(report.trace.results)
    assert again.cause == report.cause


async def test_a_rule_of_one_s_own_is_judged_again_without_its_file(path, tmp_path):
    (tmp_path / "house.yaml").write_text(
        "rules:\n  - rule: receiver.house.teapot\n    level: MUST\n    title: A teapot\n"
        "    steps: [{send: {}, expect: {status: 418}}]\n"
    )
    report = await judged(scenarios=[tmp_path / "house.yaml"], rules=["receiver.house.*"])
    (tmp_path / "house.yaml").unlink()
    with recorded(report, path) as stored:
        again = judge_again(stored, KEY)
    assert [each.outcome for each in again.results] == [Outcome.FAIL]
    assert again.results[0].rule.title.en == "A teapot"


async def test_effects_that_were_read_off_the_answers_are_read_again(path):
    report = await judged(observer=False, rules=["receiver.duplicate.processed-once"])
    assert any("judged by the answers" in str(each.message) for each in report.results)
    with recorded(report, path) as stored:
        assert list(judge_again(stored, KEY).results) == list(report.trace.results)
    with recorded(replace(report, trace=report.trace.redacted()), path) as stored:
        masked = judge_again(stored, KEY)
    assert {each.outcome for each in masked.results} == {Outcome.SKIP}


async def test_a_secret_that_an_answer_holds_is_a_finding_and_stands_nowhere(path):
    behaviour = ReceiverBehaviour(authenticate=lambda *_: Response(401, SECRET))
    report = await judged(behaviour, rules=["receiver.http.reveals-nothing"])
    with recorded(report, path) as stored:
        assert SECRET.encode() not in path.read_bytes()
        marks = {mark for each in stored for mark in each.masked}
        again = judge_again(stored, KEY)
    assert marks == {Masked.SECRET}
    assert list(again.results) == list(report.trace.results)


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        ("UPDATE meta SET value = '1' WHERE key = 'target'", "damaged: target must be a string"),
        ("DELETE FROM meta WHERE key = 'profile'", "damaged: profile is missing"),
        ("UPDATE meta SET value = '{' WHERE key = 'profile'", "damaged"),
        ("UPDATE rules SET record = '{}'", "rule"),
        ("UPDATE results SET outcome = 'odd'", "damaged: 'odd' is not a valid Outcome"),
    ],
)
async def test_a_damaged_trace_is_not_judged(path, break_it, said):
    report = await judged(rules=["receiver.accepts.documented-type"])
    report.trace.save(path)
    with sqlite3.connect(path) as store:
        store.execute(break_it)
    with Trace.open(path) as stored, pytest.raises(InputError, match=said) as raised:
        judge_again(stored, KEY)
    assert "\n" not in str(raised.value)


def delivery(number, *, secret=KEY, stamp=1_700_000_000, change=None, **changed):
    """A captured delivery that is correct except for what the arguments change."""
    fields = {
        "key": "wxid_a", "msgId": str(number), "timestamp": stamp, "fromUser": "wxid_b",
        "toUser": "wxid_a", "msgType": 1, "content": "hi", "isSelfMsg": False,
        "createTime": stamp - 1, "isHistory": False,
    }  # fmt: skip
    body = json.dumps(fields).encode()
    text = b"%d" % stamp
    headers = {
        b"Content-Type": b"application/json",
        b"X-Webhook-Timestamp": text,
        b"X-Webhook-Signature": sign(GUIDE, secret, text, body),
    } | (change or {})
    request = Request("POST", "http://a/hook", tuple(headers.items()), body)
    return attempt(number, msg_id=str(number), request=request, **changed)


def captured(*deliveries, secret=KEY, **options):
    with Trace(list(deliveries)).stored() as stored:
        return judge_again(stored, secret, **options)


def outcomes(report, *wanted):
    return {each.rule.id for each in report.results if each.outcome in wanted}


def test_a_capture_that_is_right_passes():
    report = captured(delivery(1), delivery(2))
    assert outcomes(report, Outcome.FAIL, Outcome.WARN, Outcome.ERROR) == set()
    assert "sender.wire.signature" in outcomes(report, Outcome.PASS)
    assert (report.side, report.verdict, report.spoken) == ("sender", Verdict.PASS, "guide")


def test_a_captured_delivery_that_breaks_a_rule_is_found():
    report = captured(delivery(1), delivery(2, change={b"Content-Type": b"text/plain"}))
    assert outcomes(report, Outcome.FAIL) == {"sender.wire.content-type"}
    (found,) = report.failures
    assert found.exchanges == (2,)


def test_a_captured_signature_that_does_not_fit_is_found_where_others_do():
    report = captured(delivery(1), delivery(2, change={b"X-Webhook-Signature": b"ab" * 32}))
    assert outcomes(report, Outcome.FAIL) == {"sender.wire.signature"}


def test_a_capture_that_no_signature_fits_accuses_nobody():
    """A wrong secret is more likely than a sender of which no signature is valid."""
    report = captured(delivery(1), secret=Secret(b"another-secret"))
    assert outcomes(report, Outcome.FAIL) == set()
    assert outcomes(report, Outcome.ERROR) == {"sender.wire.signature"}
    assert report.verdict is Verdict.ERROR


def test_a_capture_in_another_dialect_is_judged_in_it():
    other = dialects.load("timestamp-body")
    one = delivery(1)
    stamp = one.header(b"x-webhook-timestamp")
    signed = {b"X-Webhook-Signature": sign(other, KEY, stamp, one.request.body)}
    assert outcomes(captured(delivery(1, change=signed)), Outcome.FAIL) == {"sender.wire.signature"}
    report = captured(delivery(1, change=signed), dialect=other)
    assert outcomes(report, Outcome.FAIL) == set()


def test_what_a_capture_does_not_show_is_skipped():
    report = captured(delivery(1, clock=None), secret=None)
    assert outcomes(report, Outcome.SKIP) >= {
        "sender.wire.signature",
        "sender.wire.timestamp-fresh",
    }
    masked = captured(delivery(1, masked=frozenset({Masked.CONTENT})))
    assert {"sender.wire.signature", "sender.wire.schema"} <= outcomes(masked, Outcome.SKIP)
    assert outcomes(masked, Outcome.FAIL) == set()


def test_a_captured_message_that_is_old_is_found():
    report = captured(delivery(1, clock=1_700_000_500.0))
    assert outcomes(report, Outcome.FAIL) == {"sender.wire.timestamp-fresh"}


def test_a_judged_capture_can_be_kept_as_a_trace(path):
    with Trace([delivery(1)]).stored() as capture:
        report = judge_again(capture, KEY)
        report.trace.save(path)
    with Trace.open(path) as stored:
        assert problems("run", stored.run) == []
        assert judge_again(stored, KEY).results == report.results


def test_a_trace_without_deliveries_is_not_judged():
    with (
        Trace([]).stored() as stored,
        pytest.raises(InputError, match="neither a run nor deliveries"),
    ):
        judge_again(stored, KEY)
