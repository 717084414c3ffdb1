"""The scenario format: what is read, and how a mistake is reported."""

import re
from dataclasses import replace

import pytest

from conformance.checks.registry import CHECKS
from conformance.model.errors import InputError
from conformance.model.exchange import Transport
from conformance.model.rules import Level
from conformance.model.text import Text
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.message import TYPES
from conformance.protocol.mutations import MUTATIONS
from conformance.protocol.resources import folder
from conformance.protocol.tampering import TAMPERINGS
from conformance.protocol.validation import problems, validator
from conformance.scenario import load as scenarios
from tests.engine.hand_made import attempt

RULE = """\
rules:
  - rule: receiver.house.nickname
    level: SHOULD
    source: null
    title: {en: A nickname is taken, zh-Hant: 接受暱稱}
    why: {en: We send it., zh-Hant: 我們會發送它。}
    fix: {en: Ignore it., zh-Hant: 忽略它。}
    cases:
      short: {send: {with: {nickname: A}}}
      long: {level: MAY, send: {content-size: 5000}}
    steps:
      - send: {message: text}
        expect: {status: accepted}
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "own.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_every_built_in_file_fits_the_schema():
    import yaml

    for path in folder("scenarios").glob("*/*.yaml"):
        assert problems("scenario", yaml.safe_load(path.read_text(encoding="utf-8"))) == []


def test_built_in_steps_speak_only_of_named_messages():
    for each in scenarios.built_in("receiver"):
        scenarios._check_steps(each)


def test_every_named_check_exists():
    named = {each.check for each in scenarios.built_in("receiver") if each.check is not None}
    assert named == set(CHECKS["receiver"])


@pytest.mark.parametrize(
    ("word", "table"),
    [
        pytest.param("form", ENCODINGS, id="form"),
        pytest.param("mutation", MUTATIONS, id="mutation"),
        pytest.param("tampering", TAMPERINGS, id="tampering"),
        pytest.param("message", {"plain", *TYPES}, id="message"),
        pytest.param("transport", {*Transport} - {Transport.POOLED, Transport.RAW}, id="transport"),
    ],
)
def test_the_schema_lists_what_the_code_can_do(word, table):
    schema = validator("scenario").schema
    assert set(schema["$defs"]["send"]["properties"][word]["enum"]) == set(table)


def test_no_built_in_word_goes_unused():
    sends = [
        step.send
        for each in scenarios.built_in("receiver")
        for case in each.cases
        for step in case.steps
        if step.send is not None
    ]
    assert {send.tampering for send in sends} >= set(TAMPERINGS)
    assert {send.mutation for send in sends} >= set(MUTATIONS)


def test_a_cases_words_complete_the_last_send(written):
    short, long = scenarios.read(written(RULE))[0].cases
    assert short.steps[0].send.fields == {"nickname": "A"}
    assert short.steps[0].send.message == "text"
    assert long.steps[0].send.content_size == 5000


def test_a_case_may_have_a_level_of_its_own(written):
    short, long = scenarios.read(written(RULE))[0].cases
    assert [short.level, long.level] == [Level.SHOULD, Level.MAY]
    assert long.steps[0].expects[0].level is Level.MAY


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(("level: SHOULD", "level: SHALL"), r":3: .*SHOULD", id="level"),
        pytest.param(
            ("- send: {message", "- sned: {message"), r":12: .*did you mean send", id="key"
        ),
        pytest.param(("message: text", "message: txt"), r":12: .*did you mean text", id="word"),
        pytest.param(("status: accepted", "status: ok"), r":13: ", id="status"),
        pytest.param(("rule: receiver.house.nickname", "rule: nickname"), r":2: ", id="id"),
        pytest.param(
            ("{message: text}", "{again: it}"), "no earlier step is called 'it'", id="name"
        ),
        pytest.param(("    level: SHOULD\n", ""), "level is missing", id="missing"),
        pytest.param(("{en: A nickname", "{en: [A nickname"), r":\d+: not YAML", id="yaml"),
        pytest.param(("short:", "1:"), r":9: the key '1' is not read as a string", id="case 1"),
        pytest.param(("short:", "no:"), r":9: the key 'no' is not read as a string", id="case no"),
        pytest.param(("short:", "[a, b]:"), r":9: the key of more than one", id="case of several"),
        pytest.param(
            ("    steps:", "    level: MUST\n    steps:"),
            r":11: the key 'level' is already in line 3",
            id="level twice",
        ),
        pytest.param(
            ("steps:\n", "steps: []\nrules:\n  - steps:\n"),
            r":12: the key 'rules' is already in line 1",
            id="rules twice",
        ),
        pytest.param(
            ("status: accepted", "within: .nan"), r":13: '.nan' is not a finite", id="not a number"
        ),
        pytest.param(
            ("status: accepted", "within: 1.0e+999"), r":13: '1.0e\+999' is no", id="too large"
        ),
    ],
)
def test_a_mistake_is_reported_with_file_and_line(written, change, message):
    path = written(RULE.replace(*change))
    with pytest.raises(InputError, match=message) as raised:
        scenarios.read(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_what_is_merged_in_is_not_there_twice(written):
    text = RULE.replace("short: {send", "short: &a {<<: {level: MUST}, level: MAY, send").replace(
        "long: {", "long: {<<: *a, "
    )
    assert [each.level for each in scenarios.read(written(text))[0].cases] == [Level.MAY] * 2


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(r'A: "b\r\nX: y"', id="a second header"),
        pytest.param(r'A: "b\n"', id="a line feed at the end"),
        pytest.param(r'A: "b\r"', id="a carriage return"),
        pytest.param(r'A: "b\0"', id="NUL"),
        pytest.param(r'"A\r\nX": b', id="a name of two lines"),
        pytest.param(r'"A\n": b', id="a name that ends a line"),
        pytest.param(r'"A\0": b', id="a name with NUL"),
    ],
)
@pytest.mark.parametrize(
    ("side", "words"),
    [
        pytest.param("receiver", "steps: [{send: {headers: {%s}}}]", id="sent"),
        pytest.param(
            "sender", "answers: [{headers: {%s}}]\n    steps: [{emit: {}}]", id="answered"
        ),
    ],
)
def test_a_header_may_not_break_out_of_its_line(written, header, side, words):
    rule = f"rules:\n  - rule: {side}.house.thing\n    level: MAY\n    title: It works\n    "
    scenarios.read(written(rule + words % "A: b"))
    with pytest.raises(InputError, match=r":5: .*must be a header (name|value in one line)"):
        scenarios.read(written(rule + words % header))


SEND = "- send: {message: text}\n        expect: {status: accepted}"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        pytest.param("- expect: {status: accepted}", "a step has one of", id="no verb"),
        pytest.param("- send: {}\n        pause: 1", "a step has one of", id="two verbs"),
        pytest.param("- pause: 1\n        expect: {status: 200}", "show nothing", id="pause"),
        pytest.param("- observe: it", "no earlier step is called 'it'", id="observe"),
        pytest.param("- send: {exact: true}", "go with `again`", id="exact"),
        pytest.param(
            "- send: {body: '[]', mutation: empty}", "`body` is sent unchanged", id="body"
        ),
        pytest.param("- send: {without: [nickname]}", "not a field of a message", id="without"),
        pytest.param(
            "- send: {with: {day: 2024-01-01}}", "JSON cannot represent: quote it", id="date"
        ),
    ],
)
def test_steps_that_make_no_sense_are_reported(written, steps, message):
    path = written(RULE.replace(SEND, steps))
    with pytest.raises(InputError, match=message) as raised:
        scenarios.read(path)
    assert str(raised.value).startswith(f"{path}:2: receiver.house.nickname: ")


@pytest.mark.parametrize(
    "with_",
    [
        pytest.param("&a [&b [*a]]", id="itself"),
        pytest.param("[" * 200 + "]" * 200, id="deep"),
        pytest.param(
            "{a: &a [1,1,1,1,1,1,1,1,1], b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a],"
            " c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b], d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c],"
            " e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d], f: [*e,*e,*e,*e,*e,*e,*e,*e,*e]}",
            id="laughs",
        ),
    ],
)
def test_a_file_that_unfolds_without_end_is_refused(written, with_):
    with pytest.raises(InputError, match="expands to more than"):
        scenarios.read(written(RULE.replace("{nickname: A}", f"{{x: {with_}}}")))


def test_texts_may_be_plain_and_most_may_be_left_out(written):
    rule = scenarios.read(
        written(
            "rules:\n  - rule: receiver.house.thing\n    level: MAY\n    title: It works\n"
            "    steps: [{send: {}, expect: {status: accepted}}]\n"
        )
    )[0].rule
    assert rule.title == Text("It works")
    assert (rule.source, rule.why.en) == (None, "")


def test_a_step_implies_what_it_needs(written):
    text = RULE.replace(SEND, "- restart: true\n      - send: {to: other-instance}")
    assert scenarios.read(written(text))[0].needs == ("restart", "also-url")


def test_a_single_file_is_a_folder_of_one(written):
    ids = {each.rule.id for each in scenarios.load("receiver", [written(RULE)])}
    assert "receiver.house.nickname" in ids


def test_a_rule_may_not_take_a_built_in_id(written, tmp_path):
    written(RULE.replace("receiver.house.nickname", "receiver.body.empty"))
    with pytest.raises(
        InputError, match=r"receiver\.body\.empty is already defined in .*body\.yaml"
    ):
        scenarios.load("receiver", [tmp_path])


def test_an_empty_folder_is_reported(tmp_path):
    with pytest.raises(InputError, match="no YAML file, or folder"):
        scenarios.load("receiver", [tmp_path])


def test_a_glob_that_fits_nothing_names_the_nearest():
    with pytest.raises(InputError, match=r"did you mean receiver\.body\.empty"):
        scenarios.select(scenarios.built_in("receiver"), ["receiver.body.emtpy"])


@pytest.mark.parametrize(
    ("side", "glob", "meant"),
    [
        pytest.param("receiver", "body.empty", "receiver.body.empty", id="a receiver's"),
        pytest.param("sender", "wire.*", "sender.wire.*", id="a sender's"),
        pytest.param("sender", "retry", "sender.retry.*", id="a group"),
        pytest.param("sender", "sender.retry", "sender.retry*", id="a group of a side"),
    ],
)
def test_a_glob_without_its_side_names_the_one_that_is_judged(side, glob, meant):
    with pytest.raises(InputError, match=f"did you mean {re.escape(meant)}\\?"):
        scenarios.select(scenarios.built_in(side), [glob])


@pytest.mark.parametrize(
    ("globs", "runs"),
    [
        pytest.param([], False, id="nothing named"),
        pytest.param(["receiver.*"], False, id="a glob over all"),
        pytest.param(["receiver.duplicate.window-long"], True, id="its name"),
    ],
)
def test_a_rule_on_request_runs_only_when_it_is_named(globs, runs):
    chosen = scenarios.select(scenarios.built_in("receiver"), globs)
    assert ("receiver.duplicate.window-long" in {each.rule.id for each in chosen}) is runs


def test_a_check_leaves_out_the_exchanges_of_what_is_exempt():
    scenario = replace(
        scenarios.built_in("sender")[0], over=("*",), exempt=("sender.a.b[c]", "sender.d.e")
    )
    ids = [("sender.a.b", "c"), ("sender.a.b", "d"), ("sender.d.e", "f"), (None, None)]
    covered = [scenario.covers(attempt(rule=rule, case=case)) for rule, case in ids]
    assert covered == [False, True, False, True]
