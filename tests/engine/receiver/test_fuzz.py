"""Fuzzing: what it finds, how the result reads, and how a campaign ends.

Most receivers are functions; faulty ones of the gallery are fuzzed over HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import pytest
from aiohttp import web

from conformance import check_receiver
from conformance.engine.receiver import example_runner
from conformance.engine.receiver.side import ReceiverSide
from conformance.engine.runner import Runner
from conformance.fuzz.campaign import campaign as campaign
from conformance.gallery.receivers import program
from conformance.gallery.receivers.fuzz import (
    id_noted_before_check,
    last_digits_left_out,
    third_time_new,
)
from conformance.gallery.receivers.serve import change, two_processes
from conformance.model.clock import Clock
from conformance.model.exchange import Fault
from conformance.model.rules import Level, Outcome, Verdict
from conformance.options.receiver import Options
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.signing import Signer
from conformance.protocol.validation import problems
from conformance.receiver import behaviour as behaviour
from conformance.receiver.app import ENDPOINT, serving
from conformance.receiver.behaviour import ReceiverBehaviour, Response, authenticate, read
from conformance.receiver.inbox import Inbox
from conformance.reporting.languages import in_chinese
from conformance.scenario.dialects import load
from tests.engine.receiver.memory import KEY, NOW, OBSERVER, URL, Receiver, take
from tests.patience import PATIENCE, RUN

SECRET = bytes(KEY).decode()
GUIDE = load("guide")
EVERY = ("receiver.fuzz.*",)
MESSAGES = ("receiver.fuzz.valid", "receiver.fuzz.malformed", "receiver.fuzz.forged")
SEQUENCE = ("receiver.fuzz.sequence",)


@contextlib.asynccontextmanager
async def receiver(behaviour=None):
    signer = Signer(GUIDE, KEY)
    async with (
        Inbox(":memory:") as inbox,
        serving(behaviour or ReceiverBehaviour(), inbox, signer) as base,
    ):
        yield base


@dataclass
class Ticking(Clock):
    """A clock on which time passes whenever it is read: a campaign ends, and stops to shrink, after as many
    requests on a busy machine as on an idle one."""

    tick: float = 0.0001
    seconds: float = 0.0

    def monotonic(self):
        self.seconds += self.tick
        return self.seconds

    def now(self):
        return NOW + self.seconds


async def fuzz(behaviour=None, rules=EVERY, *, kind=Receiver, observer=True, **more):
    """The report of a run with only the fuzz rules, without HTTP and without a folder of examples."""
    clock, first = more.pop("clock", None) or Ticking(), more.pop("first", take)
    target = kind(first, behaviour or ReceiverBehaviour(), clock)
    options = Options(
        url=URL,
        secret=KEY,
        dialect=GUIDE,
        rules=rules,
        observer_url=OBSERVER if observer else None,
        **{"timeout": RUN, **more},
    )
    return await Runner(ReceiverSide(options, target.send), clock=clock).report()


def result(report, name):
    return next(each for each in report.results if each.rule.id == f"receiver.fuzz.{name}")


def refusing(wrong, answer=None):
    """A receiver that answers 500, or `answer`, to the messages for which `wrong` is true."""

    def process(message):
        return (answer or Response(500)) if wrong(message) else None

    return ReceiverBehaviour(process=process)


async def test_a_correct_receiver_passes_and_the_result_says_how_much_was_tried():
    report = await fuzz(fuzz=20, seed=7)
    assert report.verdict is Verdict.PASS
    assert {tuple(each.parameters.items()) for each in report.results} == {
        (("attempted", 20), ("seed", 7))
    }


@pytest.mark.soak
async def test_five_thousand_examples_raise_no_alarm_at_a_correct_receiver():
    report = await fuzz(rules=MESSAGES, fuzz=1_700, timeout=300)
    assert {each.parameters["attempted"] for each in report.results} == {1_700}
    assert {each.outcome for each in report.results} == {Outcome.PASS}


async def test_fuzzing_can_be_turned_off():
    report = await fuzz(fuzz=0)
    assert {(each.outcome, each.code) for each in report.results} == {(Outcome.SKIP, "fuzz-off")}


def test_hypothesis_is_imported_only_to_fuzz():
    code = (
        "import sys, conformance.cli.main, conformance.engine.receiver.side, conformance.api; "
        "sys.exit(any(name.startswith('hypothesis') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_a_failure_shows_the_body_the_bytes_a_line_and_the_seed():
    broken = refusing(lambda m: "\u202e" in str(m["content"]))
    report = await fuzz(broken, MESSAGES[:1], fuzz=500)
    rule_result = result(report, "valid")
    assert rule_result.outcome is Outcome.FAIL
    text = str(rule_result.message)
    assert text.startswith("answered 500; expected 200 (MUST), with content with right-to-left")
    assert r"\u202e" in text  # as text, with what would not be seen spelled out
    assert r"\xe2\x80\xae" in text  # as bytes
    assert text.endswith("500 examples, seed 1")
    assert "openssl dgst" in rule_result.reproduce
    assert report.trace.exchanges[rule_result.exchanges[0] - 1].status == 500
    assert problems("report", report.as_json()) == []
    assert "由右至左的文字或方向標記" in in_chinese(rule_result.message)


async def test_the_smallest_example_has_one_oddity_and_nothing_else():
    report = await fuzz(
        refusing(lambda m: m["msgType"] == 10002 and len(m["content"]) > 40), MESSAGES[:1]
    )
    rule_result = result(report, "valid")
    body = report.trace.exchanges[rule_result.exchanges[0] - 1].request.body
    assert re.search(rb'"msgType":10002,"content":"(.)\1{40}"', body)
    assert b'"isHistory":false}' in body


async def test_failures_are_distinguished_by_status_and_place():
    def process(message):
        if "\0" in message.get("fromUser", ""):
            return Response(500)
        if message.get("isHistory"):
            return Response(500)
        return Response(400) if message.get("msgType") == 49 else None

    rule_result = result(
        await fuzz(ReceiverBehaviour(process=process), MESSAGES[:1], fuzz=400), "valid"
    )
    assert "(1)" in str(rule_result.message)
    assert "with fromUser with U+0000" in str(rule_result.message)
    assert "isHistory" in str(rule_result.message)
    assert "answered 400; expected 200 (MUST), with content of msgType 49" in str(
        rule_result.message
    )
    assert len(rule_result.reproduce.splitlines()) == 3
    assert len(rule_result.exchanges) == 3


DOCUMENTED = (1, 3, 34, 43, 47, 49, 10000, 10002)


@pytest.mark.parametrize(
    ("wrong", "level"),
    [
        pytest.param(lambda m: "\0" in str(m["content"]), Level.SHOULD, id="an escaped NUL"),
        pytest.param(lambda m: m["msgType"] not in DOCUMENTED, Level.SHOULD, id="an unlisted type"),
        pytest.param(lambda m: m["msgType"] == 49, Level.MUST, id="a documented type"),
        pytest.param(lambda m: m["timestamp"] < 0, Level.MAY, id="an odd time of the push"),
    ],
)
async def test_a_finding_weighs_as_much_as_the_fixed_rule_of_its_shape(wrong, level):
    rule_result = result(await fuzz(refusing(wrong), MESSAGES[:1], fuzz=300), "valid")
    assert (rule_result.outcome, rule_result.level) == (BROKEN[level], level)


BROKEN = {Level.MUST: Outcome.FAIL, Level.SHOULD: Outcome.WARN, Level.MAY: Outcome.NOTE}


async def test_the_same_seed_makes_the_same_requests_but_for_ids_and_times():
    first, again, other = [await fuzz(rules=MESSAGES, fuzz=16, seed=s) for s in (3, 3, 4)]
    assert bodies(first) == bodies(again)
    assert bodies(first) != bodies(other)


def bodies(report):
    """What was sent, without ids and times."""
    sent = [e.request.body for e in report.trace if (e.rule or "") in MESSAGES]
    # A digit in front of a body is the timestamp's last; one within an id may have been tampered with.
    return [re.sub(rb"\d{4,}[^\d\"]\d{4,}|\d{10,}|^\d(?={)", b"#", body) for body in sent]


async def test_every_message_has_an_id_of_its_own():
    report = await fuzz(rules=MESSAGES[:1], fuzz=300)
    ids = [each.msg_id for each in report.trace if each.rule]
    assert len(set(ids)) == len(ids)


async def test_time_that_is_too_short_is_reported_and_the_rest_is_judged():
    rules = (*MESSAGES, "receiver.http.alive")
    report = await fuzz(rules=rules, clock=Ticking(0.05), fuzz=100_000, timeout=120.0)
    assert report.verdict is Verdict.PASS
    text = str(result(report, "malformed").message)
    assert re.match(r"cut short by the time: \d+ of 100000 examples, seed 1", text)


async def test_a_run_that_is_stopped_leaves_no_thread_behind():
    report = await fuzz(rules=MESSAGES, fuzz=100_000, timeout=1.0)
    for thread in threading.enumerate():
        if thread.name.startswith("hookproof fuzz"):  # it may be about to end
            thread.join(PATIENCE)
            assert not thread.is_alive()
    assert report.verdict in (Verdict.PASS, Verdict.ERROR)


async def test_an_unsteady_failure_is_counted_and_no_finding():
    seen = 0

    def process(message):
        nonlocal seen
        seen += 1
        return Response(500) if seen % 40 == 0 else None

    rule_result = result(await fuzz(ReceiverBehaviour(process=process), MESSAGES[:1]), "valid")
    assert rule_result.outcome is Outcome.PASS
    assert rule_result.parameters["unsteady"] >= 1


@pytest.mark.parametrize(
    ("kind", "status"), [("valid", 429), ("malformed", 429), ("forged", 429), ("forged", 503)]
)
async def test_a_rate_limit_is_not_judged(kind, status):
    async def limited(request, number):
        return status if number % 60 > 40 else None

    rule_result = result(await fuzz(rules=[f"receiver.fuzz.{kind}"], first=limited), kind)
    assert rule_result.outcome is Outcome.ERROR
    assert (rule_result.code, rule_result.parameters) == ("rate-limit", {"status": status})


@pytest.mark.parametrize(
    ("observer", "text"),
    [
        pytest.param(
            False,
            "40 examples, seed 1; 1 could not be judged, because requests got no answer",
            id="nothing shows that it was refused",
        ),
        pytest.param(
            True, "40 examples, seed 1", id="a later message had its effect, and it had none"
        ),
    ],
)
async def test_a_forgery_without_an_answer_leaves_the_others_judged(observer, text):
    async def silent(request, number):
        # One forgery, twice; between them a plain message shows it alive.
        return Fault.TIMEOUT if number in (30, 32) else None

    report = await fuzz(rules=MESSAGES[2:], fuzz=40, observer=observer, first=silent)
    assert str(result(report, "forged").message) == text


async def test_rewritten_json_is_no_second_finding_of_the_fuzz_rules():
    def rewritten(body):
        parsed = read(body)
        return body if isinstance(parsed, Response) else ENCODINGS["spaced-ascii"](parsed)

    behaviour = ReceiverBehaviour(authenticate=partial(authenticate, signed=rewritten))
    report = await fuzz(behaviour, (*MESSAGES[:2], "receiver.signature.raw-bytes"))
    assert {result(report, name).outcome for name in ("valid", "malformed")} == {Outcome.PASS}


async def test_a_receiver_that_refuses_every_text_fails_once():
    report = await fuzz(refusing(lambda m: m["msgType"] == 1, Response(400)), MESSAGES[:1])
    parameters = result(report, "valid").parameters
    assert parameters["msg_type"] == 1
    assert "number" not in parameters  # of several failures


async def test_a_hang_must_not_be_whatever_the_body():
    async def hanging(request, number):
        return Fault.TIMEOUT if b"NaN" in request.body else None

    rule_result = result(await fuzz(rules=MESSAGES[1:2], first=hanging, fuzz=500), "malformed")
    assert (rule_result.outcome, rule_result.level) == (Outcome.FAIL, Level.MUST)
    assert "NaN" in rule_result.parameters["body"]


class Late(Receiver):
    """Answers messages of the history after the deadline."""

    async def send(self, request, options):
        reply = await super().send(request, options)
        late = GUIDE.deadline + 1 if b'"isHistory":true' in request.body else 0
        return replace(reply, ended=reply.ended + late)


async def test_a_late_answer_to_a_valid_message_is_a_finding():
    rule_result = result(await fuzz(rules=MESSAGES[:1], kind=Late), "valid")
    assert (rule_result.outcome, rule_result.level) == (Outcome.FAIL, Level.MUST)
    assert rule_result.parameters["limit"] == 5.0
    assert rule_result.parameters["seconds"] == pytest.approx(6.0, abs=0.01)


async def test_a_target_that_dies_ends_the_run_with_the_example_that_killed_it():
    async with two_processes(program.process_dies_of_nesting) as options:
        rules = (*EVERY, "receiver.http.alive")
        report = await Runner(ReceiverSide(replace(options, rules=rules, fuzz=500))).report()
    killed = result(report, "malformed")
    assert (killed.outcome, killed.level) == (Outcome.FAIL, Level.MUST)
    assert re.match(
        r"the target stopped answering \(MUST\), with deeply nested (arrays|objects)",
        str(killed.message),
    )
    assert "gunzip" in killed.reproduce
    assert {result(report, name).outcome for name in ("forged", "sequence")} == {Outcome.ERROR}
    assert [each.rule.id for each in report.failures] == [
        "receiver.fuzz.malformed",
        "receiver.http.alive",
    ]


async def test_a_target_that_refuses_everything_afterwards_is_as_good_as_dead():
    poisoned = False

    def process(message):
        nonlocal poisoned
        poisoned = poisoned or message.get("msgType") == 9999
        return Response(500) if poisoned else None

    # The run waits a while for the target to recover.
    report = await fuzz(ReceiverBehaviour(process=process), MESSAGES[:1], clock=Clock(), fuzz=500)
    rule_result = result(report, "valid")
    assert (rule_result.outcome, rule_result.level) == (Outcome.FAIL, Level.MUST)
    assert '"msgType":9999' in rule_result.parameters["body"]


async def test_the_trace_stays_small_however_many_examples(monkeypatch):
    monkeypatch.setattr(example_runner, "MOST_RECORDED", 50)
    report = await fuzz(rules=MESSAGES[:1], fuzz=150)
    assert result(report, "valid").parameters["attempted"] == 150
    assert len(report.trace) < 100


async def test_no_result_holds_the_secret():
    report = await fuzz(change("matches", last_digits_left_out), MESSAGES[2:], fuzz=60)
    assert report.verdict is Verdict.FAIL
    assert SECRET not in str(report.as_json())


def scenario_file(rule_result):
    """The first scenario file in a result's lines, and the rule in it."""
    text = re.findall(r"<<'END'\n(.*?)END\n", rule_result.reproduce, re.DOTALL)[0]
    return text, re.search(r"rule: (\S+)", text)[1]


def noting():
    return change("authenticate", partial(id_noted_before_check, set()))


@pytest.fixture(scope="module")
def noted():
    """The result for a receiver that stores ids before it verifies signatures."""
    # An observer is asked again for a while.
    report = asyncio.run(fuzz(noting(), SEQUENCE, clock=Clock(), fuzz=40))
    return result(report, "sequence")


async def test_a_sequence_that_was_found_can_be_saved_and_run_again(noted, tmp_path):
    text, rule = scenario_file(noted)
    (tmp_path / "sequence.yaml").write_text(text, encoding="utf-8")
    for one, outcome in ((noting(), Outcome.FAIL), (ReceiverBehaviour(), Outcome.PASS)):
        files = (tmp_path / "sequence.yaml",)
        report = await fuzz(one, (rule,), clock=Clock(), scenarios=files)
        assert [each.outcome for each in report.results] == [outcome]


def test_a_sequence_is_as_short_as_it_can_be(noted):
    assert re.search(
        r"send: \{as: m\d+, tampering: [\w-]+\}; send: \{again: m\d+\}", str(noted.message)
    )


async def test_without_an_observer_the_answers_tell_sequences_too():
    counting = change("store", partial(third_time_new, Counter()))
    report = await fuzz(counting, SEQUENCE, observer=False, fuzz=20)
    rule_result = result(report, "sequence")
    assert rule_result.outcome in (Outcome.FAIL, Outcome.WARN)
    assert "judged by the answers" in str(rule_result.message)


async def test_without_any_observer_sequences_are_skipped():
    alike = ReceiverBehaviour(acknowledge=lambda arrival, new: Response(200))
    report = await fuzz(alike, SEQUENCE, observer=False)
    assert result(report, "sequence").outcome is Outcome.SKIP


async def test_restarts_are_part_of_sequences_where_they_can_be_done():
    async with two_processes(program.correct) as options:
        rules = SEQUENCE
        report = await Runner(ReceiverSide(replace(options, rules=rules, fuzz=10))).report()
    assert report.verdict is Verdict.PASS


async def test_python_callers_choose_how_much_and_where_it_is_kept(tmp_path):
    broken = refusing(lambda m: m["msgType"] == 49)
    async with receiver(broken) as base:
        report = await check_receiver(
            base + ENDPOINT, secret=SECRET, rules=MESSAGES[:1], fuzz=40, examples=tmp_path / "kept"
        )
    assert result(report, "valid").outcome is Outcome.FAIL
    assert (tmp_path / "kept" / ".gitignore").read_text().endswith("*\n")


@pytest.mark.parametrize(("encoding", "language"), [("ascii", "en"), ("cp1252", "zh-Hant")])
def test_whatever_was_found_is_printed_in_any_terminal(encoding, language, tmp_path):
    async def run():
        async with receiver(
            refusing(lambda m: max(str(m["content"]), default="") > "\uffff")
        ) as base:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "conformance", "check", "receiver", base + ENDPOINT,
                "--secret", SECRET, "--rules", "receiver.fuzz.valid", "--fuzz", "60", "--lang", language,
                env={**os.environ, "PYTHONIOENCODING": encoding}, cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            return await process.communicate(), process.returncode

    (out, err), status = asyncio.run(run())
    assert (err, status) == (b"", 1)
    assert b"U+FFFF" in out
    assert (tmp_path / ".hookproof" / "examples").is_dir()
    assert [each.name for each in tmp_path.iterdir()] == [".hookproof"]


async def test_an_endpoint_of_another_make_is_fuzzed_as_well():
    async def handler(request):
        await request.read()
        return web.Response(status=401)

    app = web.Application()
    app.router.add_post("/hook", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        report = await check_receiver(url, secret=SECRET, rules=EVERY, examples=None)
    finally:
        await runner.cleanup()
    assert report.verdict is Verdict.ERROR
