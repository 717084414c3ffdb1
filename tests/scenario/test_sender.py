"""A sender's case: what is read of its words, how a case completes its rule, and what makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.checks import registry
from conformance.checks.check import Scope
from conformance.model.errors import InputError
from conformance.model.rules import Level
from conformance.protocol.message import TYPES
from conformance.protocol.validation import problems, validator
from conformance.receiver.script import Scripted
from conformance.scenario import load as scenarios
from conformance.scenario import sender as emission
from conformance.scenario.sender import Call, Emit, Endpoint, ScriptedAnswer, SenderCase

RULE = """\
rules:
  - rule: sender.house.it
    level: SHOULD
    title: It holds
    {words}
"""


@pytest.fixture
def read(tmp_path: Path):
    """Reads a rule of which only the given lines differ, as from a user's file."""

    def from_file(*lines: str) -> scenarios.Scenario:
        path = tmp_path / "own.yaml"
        path.write_text(RULE.format(words="\n    ".join(lines)), encoding="utf-8")
        (found,) = scenarios.read(path)
        return found

    return from_file


@pytest.fixture
def sender_case(read):
    """Reads the only case of such a rule."""
    return lambda *lines: read(*lines).cases[0].sender_case


def test_what_is_left_out_is_one_plain_message_to_one_endpoint_that_answers_200(sender_case):
    read = sender_case("steps: [{emit: {}, expect: {arrives: true}}]")
    assert read.endpoint == Endpoint()
    assert read.endpoint.answers == (ScriptedAnswer(200),)
    assert read.actions[0].emit == Emit(message="any", messages=1)
    assert read.other is None


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        pytest.param("503", ScriptedAnswer(503), id="a number"),
        pytest.param(
            "{status: 302, to-other: true}", ScriptedAnswer(302, to_other=True), id="redirect"
        ),
        pytest.param("{fault: hang}", ScriptedAnswer(fault="hang"), id="fault"),
        pytest.param("{delay: 1.5}", ScriptedAnswer(delay=1.5), id="delay"),
        pytest.param('{body: ""}', ScriptedAnswer(body=""), id="empty body"),
        pytest.param(
            '{status: 503, headers: {Retry-After: "3"}}',
            ScriptedAnswer(503, headers={"Retry-After": "3"}),
            id="headers",
        ),
    ],
)
def test_an_answer_is_a_status_or_says_what_differs(sender_case, words, reply):
    read = sender_case(
        f"answers: [{words}]", "also: {}", "steps: [{emit: {}, expect: {attempts: 1}}]"
    )
    assert read.endpoint.answers == (reply,)


@pytest.mark.parametrize(
    ("words", "emit"),
    [
        pytest.param("{message: link}", Emit("link"), id="kind"),
        pytest.param("{with: {content: hi}}", Emit(fields={"content": "hi"}), id="fields"),
        pytest.param("{content-size: 20}", Emit(content_size=20), id="size"),
        pytest.param("{messages: 60}", Emit(messages=60), id="many"),
        pytest.param("{long-id: true}", Emit(long_id=True), id="long id"),
        pytest.param("{as: first}", Emit(name="first"), id="name"),
    ],
)
def test_emit_says_which_messages_are_emitted(sender_case, words, emit):
    assert (
        sender_case(f"steps: [{{emit: {words}, expect: {{arrives: true}}}}]").actions[0].emit
        == emit
    )


@pytest.mark.parametrize(
    ("words", "call"),
    [
        pytest.param("List", Call("List"), id="its name"),
        pytest.param("{Update: {Timeout: 9}}", Call("Update", {"Timeout": 9}), id="with fields"),
        pytest.param("{Config: {URL: null}}", Call("Config", {"URL": None}), id="one left out"),
    ],
)
def test_a_call_is_named_or_says_what_differs(sender_case, words, call):
    assert sender_case(f"steps: [{{call: {words}, expect: {{call: ok}}}}]").actions[0].call == call


@pytest.mark.parametrize(
    ("words", "attempts"),
    [
        pytest.param("4", (4, 4), id="exactly"),
        pytest.param("2+", (2, None), id="at least"),
        pytest.param('"3"', (3, 3), id="quoted"),
    ],
)
def test_attempts_are_a_number_or_so_many_at_least(sender_case, words, attempts):
    read = sender_case(f"steps: [{{emit: {{}}, expect: {{attempts: {words}}}}}]")
    assert read.actions[0].expectations[0].attempts == attempts


def test_an_expectation_has_the_level_of_its_case_unless_it_has_its_own(sender_case):
    steps = "steps: [{emit: {}, expect: [{arrives: true}, {level: MAY, check: prompt}]}]"
    assert [seen.level for seen in sender_case(steps).actions[0].expectations] == [
        Level.SHOULD,
        Level.MAY,
    ]


def test_a_case_completes_the_configuration_that_all_cases_share(read):
    scenario = read(
        "configure: {RetryCount: 2, Timeout: 3}",
        "cases: {one: {configure: {Timeout: 9}}}",
        "steps: [{emit: {}, expect: {arrives: true}}]",
    )
    assert scenario.cases[0].sender_case.endpoint.configure == {"RetryCount": 2, "Timeout": 9}


def test_a_case_completes_the_first_emit(read):
    scenario = read(
        "cases: {group: {emit: {message: group}}}",
        "steps:",
        "  - {emit: {as: first}, expect: {arrives: true}}",
        "  - {emit: {}, expect: {arrives: true}}",
    )
    first, second = scenario.cases[0].sender_case.actions
    assert first.emit == Emit("group", name="first")
    assert second.emit == Emit()


def test_the_call_of_a_case_stands_in_place_of_the_first_one(read):
    scenario = read(
        "cases: {ftp: {call: {Config: {URL: 'ftp://h'}}}}",
        "steps: [{call: {Config: {Timeout: 1}}, expect: {call: error}}]",
    )
    assert scenario.cases[0].sender_case.actions[0].call == Call("Config", {"URL": "ftp://h"})


@pytest.mark.parametrize(
    ("words", "of"),
    [
        pytest.param(
            "answers: [404, 200]", lambda s: s.endpoint.answers[0].status == 404, id="answers"
        ),
        pytest.param("way: refusing", lambda s: s.endpoint.kind == "refusing", id="way"),
        pytest.param(
            "also: {answers: [500]}",
            lambda s: s.other.answers == (ScriptedAnswer(500),),
            id="also",
        ),
        pytest.param(
            "steps: [{call: Test, expect: {call: ok}}]", lambda s: s.calls and not s.emits, id="steps"
        ),
        pytest.param("level: MAY", lambda s: s.actions[0].expectations[0].level is Level.MAY, id="level"),
    ],
)  # fmt: skip
def test_the_words_of_a_case_stand_in_place_of_those_of_the_rule(read, words, of):
    steps = "steps: [{emit: {}, expect: {arrives: true}}]"
    scenario = read("answers: [200]", f"cases: {{one: {{{words}}}}}", steps)
    assert of(scenario.cases[0].sender_case)


def test_an_endpoint_that_only_listens_is_not_configured(sender_case):
    steps = "steps: [{emit: {}, expect: {arrives: false, at: other}}]"
    read = sender_case("also: {configured: false}", steps)
    assert read.endpoint.configured
    assert not read.other.configured


@pytest.mark.parametrize(
    ("lines", "needs"),
    [
        pytest.param(["steps: [{emit: {}, expect: {arrives: true}}]"], ("emit",), id="emit"),
        pytest.param(["steps: [{call: Test, expect: {call: ok}}]"], (), id="call"),
        pytest.param(
            ["also: {}", "steps: [{emit: {}, expect: {arrives: true, at: other}}]"],
            ("emit", "several"),
            id="another configuration",
        ),
        pytest.param(
            ["also: {configured: false}", "steps: [{call: Test, expect: {arrives: true}}]"],
            (),
            id="an endpoint that only listens",
        ),
        pytest.param(
            ["way: https", "steps: [{call: Test, expect: {arrives: true}}]"], ("tls",), id="https"
        ),
        pytest.param(
            ["way: untrusted", "steps: [{call: Test, expect: {arrives: false}}]"],
            ("openssl",),
            id="untrusted",
        ),
        pytest.param(
            ["steps: [{emit: {}}, {restart: true}, {expect: {check: not-sent-again}}]"],
            ("emit", "restart"),
            id="restart",
        ),
    ],
)
def test_a_case_implies_what_it_needs(read, lines, needs):
    assert read(*lines).needs == needs


EMIT = "{emit: {}, expect: {arrives: true}}"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param(
            ["steps: [{emit: {}, call: List}]"], "one of `emit`, `call` and `restart`", id="two verbs"
        ),
        pytest.param(
            ["steps: [{emit: {again: it}, expect: {attempts: 1}}]"], "is called 'it'", id="unknown name"
        ),
        pytest.param(
            ["steps: [{emit: {as: it}}, {emit: {again: it, message: text}}]"], "unchanged", id="again"
        ),
        pytest.param(
            ["steps: [{emit: {drawn: answers, message: text}}]"], "`drawn` generates", id="drawn"
        ),
        pytest.param(
            ["steps: [{emit: {drawn: answers}, expect: {check: as-answered}}]"],
            "need `configure: {RetryCount",
            id="no RetryCount",
        ),
        pytest.param(
            ["steps: [{emit: {}, expect: {arrives: true, at: other}}]"], "goes with `also`", id="no other"
        ),
        pytest.param(
            ["answers: [{status: 302, to-other: true}]", f"steps: [{EMIT}]"], "goes with `also`", id="nowhere"
        ),
        pytest.param(["steps: [{emit: {}, expect: {level: MAY}}]"], "needs one of", id="nothing expected"),
        pytest.param(["steps: [{call: Test, expect: {attempts: 2}}]"], "for an `emit`", id="attempts"),
        pytest.param(["steps: [{restart: true, expect: {arrives: true}}]"], "in the same step", id="arrives"),
        pytest.param(["steps: [{emit: {}, expect: {call: ok}}]"], "goes with a `call`", id="call"),
        pytest.param(
            ["cases: {one: {call: List}}", f"steps: [{EMIT}]"], "no step has one", id="nothing to complete"
        ),
    ],
)  # fmt: skip
def test_a_senseless_case_is_reported_with_file_and_line(read, tmp_path, lines, message):
    with pytest.raises(InputError, match=message) as raised:
        read(*lines)
    assert str(raised.value).startswith(f"{tmp_path / 'own.yaml'}:2: sender.house.it: ")
    assert "\n" not in str(raised.value)


def built_in() -> list[SenderCase]:
    return [case.sender_case for each in scenarios.built_in("sender") for case in each.cases]


def test_every_named_check_of_the_built_in_rules_exists_and_none_goes_unused():
    every = scenarios.built_in("sender")
    over = {each.check for each in every if each.check is not None}
    of_steps = {
        s.check for each in built_in() for a in each.actions for s in a.expectations if s.check
    }
    assert over == set(registry.names("sender", Scope.RUN, Scope.MESSAGE))
    assert of_steps == set(registry.names("sender", Scope.STEP))


def test_the_schema_lists_what_the_code_can_do():
    words = validator("scenario").schema["$defs"]
    assert set(words["emit"]["properties"]["message"]["enum"]) == {"any", *TYPES}
    answer = words["answer"]["oneOf"][1]["properties"]
    for fault in answer["fault"]["enum"]:
        assert Scripted(fault=fault)


def test_a_built_in_rule_needs_no_more_than_its_cases_imply():
    for each in scenarios.built_in("sender"):
        implied = [need for case in each.cases for need in case.sender_case.needs]
        assert set(each.needs) == set(implied)


def test_a_case_that_is_null_is_the_rule_as_it_stands(read):
    scenario = read("cases: {one: null}", f"steps: [{EMIT}]")
    assert scenario.cases[0].sender_case.emits


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param(["steps: [{emti: {}}]"], "did you mean emit", id="verb"),
        pytest.param(["steps: [{emit: {messgae: text}}]"], "did you mean message", id="emit"),
        pytest.param(["steps: [{emit: {message: txt}}]"], "did you mean text", id="kind"),
        pytest.param(["steps: [{emit: {}, expect: {atempts: 1}}]"], "did you mean attempts", id="expect"),
        pytest.param(["steps: [{call: Lsit}]"], "did you mean List", id="call"),
        pytest.param(["steps: [{call: {Upadte: {}}}]"], "did you mean Update", id="call with fields"),
        pytest.param(["answers: [{status: 99}]", f"steps: [{EMIT}]"], "at least 200", id="status"),
        pytest.param(["configure: {Timeout: soon}", f"steps: [{EMIT}]"], "integer", id="setting"),
        pytest.param(["configure: {timeout: 3}", f"steps: [{EMIT}]"], "did you mean Timeout", id="case"),
        pytest.param(["way: tunnel", f"steps: [{EMIT}]"], "refusing", id="way"),
        pytest.param(["steps: [{send: {message: text}}]"], "send is not", id="a word of the other side"),
        pytest.param(["needs: [observer]", f"steps: [{EMIT}]"], "emit", id="a need of the other side"),
        pytest.param(["steps: [{emit: {messages: 1}}]"], "2", id="too few"),
        pytest.param(["steps: [{emit: {}, expect: {attempts: 0}}]"], "at least 1", id="no attempts"),
    ],
)  # fmt: skip
def test_an_unknown_word_is_reported_with_file_and_line(read, tmp_path, lines, message):
    with pytest.raises(InputError, match=message) as raised:
        read(*lines)
    assert str(raised.value).startswith(f"{tmp_path / 'own.yaml'}:5: rules[0].")
    assert "\n" not in str(raised.value)


def test_a_rule_without_steps_and_without_a_check_is_reported(read):
    with pytest.raises(InputError, match="every case needs `steps`"):
        read("configure: {RetryCount: 1}")


def test_the_example_of_the_schema_is_one():
    (example,) = validator("scenario").schema["examples"]
    assert problems("scenario", example) == []
    assert emission.read({}, example["rules"][1], Level.SHOULD).retried


def test_a_rule_that_comes_after_one_that_does_not_exist_is_refused(tmp_path):
    (tmp_path / "own.yaml").write_text(
        "rules: [{rule: sender.own.it, level: MUST, title: T, after: [sender.own.other], "
        "steps: [{emit: {}, expect: {arrives: true}}]}]"
    )
    with pytest.raises(
        InputError, match=r"sender\.own\.it refers to sender\.own\.other, which is no rule"
    ):
        scenarios.load("sender", [tmp_path])
