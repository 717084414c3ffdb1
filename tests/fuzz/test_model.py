"""The model of "processed exactly once": which effects the actions of a sequence must have."""

from __future__ import annotations

import pytest

from conformance.fuzz.campaign.model import Action, Model, one_by_one
from conformance.model.rules import Level
from conformance.protocol.validation import problems
from conformance.scenario.receiver import parse_step


def scenario_steps(*actions, accepted=True):
    model = Model()
    for action in actions:
        success = accepted and action.kind == "send"
        model.note(action, model.steps(action), accepted=success)
    return model.scenario_steps()


FIRST = Action("send", "m1")
FORGED = Action("forge", "m1", "wrong-secret")
MUTATED = Action("mutate", "m1", "trailing-comma")
GIVEN_UP = Action("give-up", "m1")
ACCEPTED, ONCE = {"status": "accepted"}, {"processed": 1}


@pytest.mark.parametrize(
    ("actions", "steps"),
    [
        pytest.param([FIRST], [{"send": {"as": "m1"}, "expect": [ACCEPTED, ONCE]}], id="a message"),
        pytest.param(
            [FIRST, FIRST],
            [
                {"send": {"as": "m1"}, "expect": [ACCEPTED]},
                {"send": {"again": "m1"}, "expect": [ACCEPTED, ONCE]},
            ],
            id="a repeat: once in total",
        ),
        pytest.param(
            [FORGED],
            [
                {
                    "send": {"as": "m1", "tampering": "wrong-secret"},
                    "expect": [{"status": "refused"}, {"processed": 0}],
                }
            ],
            id="a forgery: never",
        ),
        pytest.param(
            [FORGED, FIRST],
            [
                {
                    "send": {"as": "m1", "tampering": "wrong-secret"},
                    "expect": [{"status": "refused"}],
                },
                {"send": {"again": "m1"}, "expect": [ACCEPTED, ONCE]},
            ],
            id="valid after a forgery: once",
        ),
        pytest.param(
            [MUTATED],
            [{"send": {"as": "m1", "mutation": "trailing-comma"}}],
            id="a malformed body: for other rules",
        ),
        pytest.param(
            [GIVEN_UP],
            [{"send": {"as": "m1", "transport": "give-up"}}, {"pause": 0.1}],
            id="given up: unknown",
        ),
        pytest.param(
            [GIVEN_UP, FIRST],
            [
                {"send": {"as": "m1", "transport": "give-up"}},
                {"pause": 0.1},
                {"send": {"again": "m1"}, "expect": [ONCE]},
            ],
            id="accepted after it was given up: once, and a busy answer is ignored",
        ),
        pytest.param(
            [Action("send", "m1", copies=5)],
            [
                {
                    "send": {"as": "m1", "copies": 5},
                    "expect": [
                        {"status": "accepted", "level": "SHOULD"},
                        {"processed": 1, "level": "SHOULD"},
                    ],
                }
            ],
            id="copies at once weigh less",
        ),
        pytest.param(
            [FIRST, Action("send", "m1", how="exact"), Action("send", "m1", how="fresh")],
            [
                {"send": {"as": "m1"}, "expect": [ACCEPTED]},
                {"send": {"again": "m1", "exact": True}, "expect": [ACCEPTED]},
                {
                    "send": {"again": "m1", "with": {"timestamp": "{now}"}},
                    "expect": [ACCEPTED, ONCE],
                },
            ],
            id="ways of repeating",
        ),
        pytest.param(
            [FORGED, Action("send", "m1", how="exact")],
            [
                {
                    "send": {"as": "m1", "tampering": "wrong-secret"},
                    "expect": [{"status": "refused"}],
                },
                {"send": {"again": "m1"}, "expect": [ACCEPTED, ONCE]},
            ],
            id="a forgery is not repeated exactly",
        ),
    ],
)
def test_actions_become_steps_with_expectations(actions, steps):
    assert scenario_steps(*actions).steps == steps


def test_a_message_that_was_never_accepted_promises_nothing():
    assert "processed" not in str(scenario_steps(GIVEN_UP, FIRST, accepted=False).steps)


@pytest.mark.parametrize(
    ("actions", "level"),
    [
        pytest.param([FIRST, FIRST], Level.MUST, id="a repeat"),
        pytest.param([GIVEN_UP, FIRST], Level.MUST, id="after a time-out"),
        pytest.param(
            [FIRST, Action("others", count=300), FIRST], Level.SHOULD, id="after many others"
        ),
        pytest.param([FIRST, Action("restart"), FIRST], Level.SHOULD, id="after a restart"),
    ],
)
def test_effects_weigh_as_much_as_in_the_fixed_rules(actions, level):
    steps = [parse_step(words, Level.MUST) for words in scenario_steps(*actions).steps]
    (effect,) = [e for step in steps for e in step.expects if e.processed is not None]
    assert effect.level is level


def test_the_kinds_of_a_message_are_those_of_all_actions_on_it():
    model = scenario_steps(FORGED, FIRST, Action("others", count=2), FIRST)
    assert model.kinds[-1] == {"forged", "sent", "others", "repeated"}


def test_the_steps_fit_the_schema_of_a_scenario_file():
    steps = scenario_steps(
        FIRST, FORGED, MUTATED, Action("give-up", "m2"), Action("others", count=9),
        Action("restart"), Action("send", "m2", copies=2), Action("send", "m1", how="exact"),
    ).steps  # fmt: skip
    rule = {"rule": "receiver.a.b", "level": "MUST", "title": "x", "steps": steps}
    assert problems("scenario", {"rules": [rule]}) == []


def test_sequential_copies_are_separate_sends():
    burst = Action("send", "m1", copies=3)
    assert one_by_one((burst, Action("restart"))) == (
        *[Action("send", "m1")] * 3,
        Action("restart"),
    )


def test_one_by_one_every_answer_is_waited_for():
    assert one_by_one((GIVEN_UP, FIRST)) == (FIRST, FIRST)
