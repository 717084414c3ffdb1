"""`hookproof trace` as a user sees it: on failing runs, and on files that are not traces."""

import asyncio
import json
import re
import sqlite3

import pytest
from click.testing import CliRunner

from conformance.cli.main import main
from conformance.model.exchange import Answer, Fault, Request, Role
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.trace import Trace
from tests.trace.parts import SECRET, attempt, exchange, judged
from tests.trace.test_store import UNREADABLE

RULES = ["receiver.accepts.documented-type", "receiver.signature.wrong-secret"]


def hookproof_trace(*words, status=0):
    result = CliRunner().invoke(main, ["trace", *map(str, words)])
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run against a correct receiver, and one against a receiver that accepts everything."""
    place = tmp_path_factory.mktemp("traces")
    for name, behaviour in (
        ("good.db", None),
        ("bad.db", ReceiverBehaviour(authenticate=lambda *_: None)),
    ):
        report = asyncio.run(judged(behaviour, rules=RULES))
        report.trace.save(place / name)
    return place


@pytest.fixture
def bad(folder):
    return folder / "bad.db"


@pytest.fixture
def good(folder):
    return folder / "good.db"


def test_without_an_option_it_prints_a_summary(bad):
    output = hookproof_trace(bad)
    assert output.startswith("receiver http://127.0.0.1")
    assert "FAIL" in output
    assert "fail   receiver.signature.wrong-secret[json]  answered 200" in output
    assert "answered in" in output


def test_it_lists_what_the_filters_select(bad):
    lines = hookproof_trace(bad, "--rule", "receiver.signature.*", "--status", "200").splitlines()
    assert all("receiver.signature.wrong-secret" in line for line in lines)
    assert any("fail" in line for line in lines)
    assert hookproof_trace(bad, "--status", "418") == "nothing fits\n"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        pytest.param(
            "receiver.signature.truncatd", "did you mean receiver.signature.truncated?", id="a typo"
        ),
        pytest.param("signature.*", "did you mean receiver.signature.*?", id="a glob"),
        pytest.param(
            "receiver.body.emtpy[x]", "did you mean receiver.body.empty?", id="with a case"
        ),
        pytest.param("nothing-like-it-42", "no rule fits 'nothing-like-it-42'", id="nothing near"),
    ],
)
def test_an_unknown_rule_is_reported_with_a_suggestion(bad, rule, message):
    output = hookproof_trace(bad, "--rule", rule, status=2)
    assert message in output
    assert output.count("\n") == 1


def test_a_rule_that_was_not_run_lists_nothing(bad):
    for rule in ("receiver.body.empty", "sender.wire.*", "receiver.signature.truncated[half]"):
        assert hookproof_trace(bad, "--rule", rule) == "nothing fits\n"


def test_a_long_list_is_cut_with_a_note(bad):
    *lines, last = hookproof_trace(bad, "--rule", "*", "--limit", "3").splitlines()
    assert len(lines) == 3
    assert last.startswith("… ")
    assert "--limit 0" in last
    assert "…" not in hookproof_trace(bad, "--rule", "*", "--limit", "0")


def test_it_shows_one_exchange(bad):
    listed = hookproof_trace(bad, "--rule", "receiver.signature.wrong-secret[json]")
    number = next(line for line in listed.splitlines() if "probe" in line).split()[0][1:]
    output = hookproof_trace(bad, "--show", number)
    assert "tampered with on purpose" in output
    assert "POST http://127.0.0.1" in output
    assert "X-Webhook-Signature: " in output
    assert "fail   receiver.signature.wrong-secret[json]" in output


def test_control_characters_of_a_target_never_reach_the_terminal(tmp_path):
    evil = Answer(200, ((b"X-A", b"\x1b[2J"),), b"\x1b]0;owned\x07\xe2\x80\xae")
    path = tmp_path / "run.db"
    Trace([exchange(answer=evil, msg_id="\x1b[31m", detail="\x1b[1m", fault=Fault.CLOSED)]).save(
        path
    )
    for words in (["--show", "1"], ["--rule", "*"], ["--follow", "\x1b[31m"], []):
        output = hookproof_trace(path, *words)
        assert "\x1b" not in output
        assert "\u202e" not in output


def test_it_follows_one_message(tmp_path):
    path = tmp_path / "run.db"
    sent = [
        attempt(1, status=500, begin=0.0, seconds=0.5),
        attempt(2, status=None, begin=1.5, seconds=1.0),
        attempt(3, begin=4.5, seconds=0.25),
    ]
    Trace(sent).save(path)
    lines = hookproof_trace(path, "--follow", "7").splitlines()
    assert lines[0] == "http://127.0.0.1:1/h/a"
    assert "waited    1.000 s" in lines[2]
    assert "timeout" in lines[2]
    assert "waited    2.000 s" in lines[3]
    assert lines[4].strip() == "delivered after 4.750 s"


def test_an_undelivered_message_is_reported(tmp_path):
    path = tmp_path / "run.db"
    Trace([attempt(1, status=500)]).save(path)
    assert hookproof_trace(path, "--follow", "7").splitlines()[-1].strip() == "not delivered"


@pytest.mark.parametrize(
    ("counts", "ending"),
    [
        pytest.param([1], "delivered after 0.100 s", id="once"),
        pytest.param([0, 1], "delivered after 0.100 s", id="late"),
        pytest.param([1, 2], "delivered after 0.100 s, and took effect 2 times", id="twice"),
        pytest.param(
            [0], "answered 200 after 0.100 s, and lost: the observer counted 0", id="lost"
        ),
        pytest.param([None], "delivered after 0.100 s", id="no number"),
    ],
)
def test_it_reports_how_often_a_message_took_effect(tmp_path, counts, ending):
    path = tmp_path / "run.db"
    observations = [
        exchange(
            id=number,
            role=Role.OBSERVE,
            answer=Answer(200, (), json.dumps({"count": effects}).encode()),
            started=float(number),
        )
        for number, effects in enumerate(counts, 2)
    ]
    Trace([attempt(1), *observations]).save(path)
    lines = hookproof_trace(path, "--follow", "7").splitlines()
    assert lines[2].strip() == ending
    listed = [line.partition("count ")[2] for line in lines if " observe  " in line]
    assert listed == ["" if each is None else str(each) for each in counts]


@pytest.mark.parametrize("kind", ["jsonl", "har", "parquet", "trace"])
def test_it_exports(bad, tmp_path, kind):
    out = tmp_path / "out"
    assert hookproof_trace(bad, "--export", kind, out).startswith(f"{out}: ")
    assert out.stat().st_size > 0


@pytest.mark.parametrize("kind", ["jsonl", "har"])
def test_a_text_is_exported_to_standard_output_as_to_a_file(bad, tmp_path, kind):
    out = tmp_path / "out"
    hookproof_trace(bad, "--export", kind, out)
    assert hookproof_trace(bad, "--export", kind, "-") == out.read_text(encoding="utf-8")


def test_an_export_can_be_redacted(bad, tmp_path):
    out = tmp_path / "out.jsonl"
    hookproof_trace(bad, "--redact", "--export", "jsonl", out)
    assert "測試訊息" not in out.read_text(encoding="utf-8")
    hookproof_trace(bad, "--export", "jsonl", tmp_path / "whole.jsonl")
    assert "測試訊息" in (tmp_path / "whole.jsonl").read_text(encoding="utf-8")


def test_it_judges_again(bad, good, tmp_path):
    output = hookproof_trace("--judge", bad, "--secret", SECRET, status=1)
    assert "FAIL  receiver.signature.wrong-secret" in output
    hookproof_trace(
        good, "--judge", "--secret", SECRET, "--quiet", "--json", tmp_path / "report.json"
    )
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "pass"


def test_a_wrong_secret_is_reported(bad):
    assert "--secret: not the one" in hookproof_trace(
        bad, "--judge", "--secret", "another-one", status=2
    )


def test_it_shows_what_changed_between_two_runs(good, bad):
    output = hookproof_trace("--diff", good, bad, status=1)
    assert "Regressed: 3" in output
    assert "receiver.signature.wrong-secret[json]  pass → fail  answered 200" in output
    fixed = hookproof_trace("--diff", bad, good)
    assert "Fixed: 3" in fixed
    assert hookproof_trace("--diff", good, good) == (
        "0 regressed, 0 appeared, 0 still, 0 unjudged, 0 fixed\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{bad}", "{good}"], "only --diff takes two traces"),
        (["--diff", "{bad}"], "--diff: give two traces"),
        (["{bad}", "--show", "1", "--follow", "2"], "give one of them"),
        (["{bad}", "--show", "99999"], "no exchange in .* has the id 99999"),
        (["{bad}", "--follow", "nobody"], "has the msgId nobody"),
        (["{bad}", "--secret", "x"], "--secret needs --judge"),
        (["{bad}", "--status", "odd"], "--status: 'odd' is not a status"),
        (["{bad}", "--export", "har", "{bad}"], "exists already: choose another name"),
        (["{bad}", "--export", "parquet", "-"], "parquet is not a text format"),
        (["{bad}", "--judge", "--secret", "env:NOT_SET_ANYWHERE"], "is not set"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(bad, good, words, message):
    arguments = [word.format(bad=bad, good=good) for word in words]
    before = bad.read_bytes()
    output = hookproof_trace(*arguments, status=2)
    assert len(output.splitlines()) == 1
    assert output.startswith("hookproof: ")
    assert re.search(message, output)
    assert bad.read_bytes() == before


@pytest.mark.parametrize(("make", "message"), UNREADABLE)
def test_a_file_that_is_not_a_trace_is_one_line_and_status_2(tmp_path, make, message):
    path = tmp_path / "run.db"
    make(path)
    output = hookproof_trace(path, "--rule", "*", "--limit", "0", status=2)
    assert len(output.splitlines()) == 1
    assert output.startswith("hookproof: ")


def test_a_trace_of_a_receiver_is_not_compared_with_one_of_a_sender(good, tmp_path):
    other = tmp_path / "sender.db"
    other.write_bytes(good.read_bytes())
    with sqlite3.connect(other) as store:
        store.execute("UPDATE meta SET value = '\"sender\"' WHERE key = 'side'")
    assert "the other of a sender" in hookproof_trace("--diff", good, other, status=2)


def test_a_capture_can_be_summed_up_and_judged(tmp_path):
    path = tmp_path / "capture.jsonl"
    line = {"headers": {"X-Webhook-Timestamp": "1700000000"}, "body": '{"msgId":"7"}'}
    path.write_text(json.dumps(line) + "\n")
    assert "1 exchange, 1 message" in hookproof_trace(path)
    output = hookproof_trace("--judge", path, status=1)
    assert "sender.wire.always-signed" in output
    assert "needs --secret" in output


def test_a_run_can_be_recorded_redacted(tmp_path):
    path = tmp_path / "run.db"
    words = ["check", "receiver", "http://127.0.0.1:9/", "--secret", SECRET, "--quiet"]
    output = CliRunner().invoke(main, [*words, "--redact"])
    assert output.exit_code == 2
    assert "--redact needs --trace" in output.output
    output = CliRunner().invoke(main, [*words, "--trace", str(path), "--redact"])
    assert output.exit_code == 3, output.output
    with Trace.open(path) as stored:
        assert stored.run is not None
        assert stored.run["redacted"] is True
        assert all(b"wxid" not in each.request.body for each in stored)


def test_a_trace_without_a_run_cannot_be_compared(tmp_path):
    for name in ("a.db", "b.db"):
        Trace([exchange()]).save(tmp_path / name)
    assert "holds no results of a run" in hookproof_trace(
        "--diff", tmp_path / "a.db", tmp_path / "b.db", status=2
    )


def test_a_path_with_characters_of_a_query_is_read(tmp_path):
    path = tmp_path / "a?b#c%20.db"
    Trace([exchange(request=Request("POST", "http://a/", (), b""))]).save(path)
    assert "1 exchange," in hookproof_trace(path)


def test_findings_can_be_in_chinese(bad):
    assert "響應 200" in hookproof_trace(bad, "--lang", "zh-Hant")
