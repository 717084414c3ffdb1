"""Sequences are drawn in any order, and Hypothesis makes the failing ones as short and simple as it can."""

from __future__ import annotations

from functools import cache

import pytest

from conformance.fuzz.campaign.campaign import Campaign
from conformance.fuzz.campaign.model import Action
from conformance.fuzz.campaign.outcomes import Failure
from conformance.fuzz.strategies.sequences import OTHERS, sequences

FIRST = Action("send", "m1")
NAMES = {"m1", "m2", "m3"}


def search(fails=lambda actions: False, *, restarts=False):
    """The sequences of a campaign in which those fail for which `fails` is true, and its failures."""
    tried = []

    def attempt(batch):
        (actions,) = batch
        tried.append(actions)
        failure = Failure("lost", frozenset(), len(actions), actions)
        return 1, failure if fails(actions) else None

    campaign = Campaign(
        rule="rule",
        target="target",
        seed=1,
        until=60.0,
        monotonic=lambda: 0.0,
        attempt=attempt,
        confirm=lambda failure: failure,
        batch=1,
        example_limit=60,
    )
    campaign.search(sequences(restarts=restarts))
    return tried, [failure.evidence for failure in campaign.failures]


def shrunk(fails):
    (actions,) = search(fails)[1]
    return actions


def test_every_kind_of_action_is_drawn_on_every_message():
    tried, _ = search(restarts=True)
    found = {(action.kind, action.name) for actions in tried for action in actions}
    kinds = {"send", "forge", "mutate", "give-up"}
    assert found == {(k, n) for k in kinds for n in NAMES} | {("others", ""), ("restart", "")}


@cache
def drawn():
    """What is drawn for a correct target that cannot be restarted."""
    return search()[0]


def test_restarts_are_drawn_only_where_the_target_can_be_restarted():
    assert "restart" not in {action.kind for actions in drawn() for action in actions}


def test_many_others_come_after_a_message_which_is_then_repeated():
    places = [(s, at) for s in drawn() for at, action in enumerate(s) if action.kind == "others"]
    assert places
    for actions, at in places:
        before = [action.name for action in actions[:at] if action.kind == "send"]
        after = [action.name for action in actions[at + 1 :] if action.kind == "send"]
        assert before
        assert set(before) <= set(after)


def test_as_a_rule_there_are_as_many_others_as_may_be():
    counts = [a.count for actions in drawn() for a in actions if a.kind == "others"]
    assert counts.count(OTHERS) > len(counts) / 2


def repeated(actions):
    """Whether a message is sent twice."""
    sends = [action for action in actions if action.kind == "send"]
    return len(sends) > len({action.name for action in sends})


def test_the_shortest_sequence_has_no_superfluous_action():
    assert shrunk(repeated) == (FIRST, FIRST)


def test_the_actions_that_remain_are_simplified():
    assert shrunk(lambda actions: len(actions) > 2) == (FIRST, FIRST, FIRST)


@pytest.mark.parametrize("copies", [2, 3, 5])
def test_no_more_copies_are_left_than_it_takes(copies):
    (burst,) = shrunk(lambda actions: any(action.copies >= copies for action in actions))
    assert burst == Action("send", "m1", copies=copies)


def test_the_least_number_of_others_is_found():
    def fails(actions):
        return any(action.kind == "others" and action.count >= 300 for action in actions)

    assert shrunk(fails) == (FIRST, Action("others", count=300), FIRST)


def test_a_valid_message_after_its_forgery_stays_in_order():
    def fails(actions):
        forged = set()
        for action in actions:
            if action.kind == "forge":
                forged.add(action.name)
            if action.kind == "send" and action.name in forged:
                return True
        return False

    assert shrunk(fails) == (Action("forge", "m1", "wrong-secret"), FIRST)
