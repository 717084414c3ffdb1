"""What a run keeps of its results until it ends."""

from __future__ import annotations

import pytest

from conformance.checks.sender.step_checks import STEP_CHECKS
from conformance.engine.plan import Plan
from conformance.engine.sender.run import CHECKS
from conformance.model.rules import Outcome
from conformance.model.text import Text
from conformance.options.sender import SenderOptions
from conformance.protocol.dialect import Secret
from conformance.scenario.dialects import load
from tests.reporting.html_parts import result


def kept(outcome: Outcome, *, tell: bool) -> list[tuple[Outcome, str]]:
    """What is told of a result with the run's end."""
    told: list[tuple[Outcome, str]] = []
    options = SenderOptions(
        api_url="http://localhost:1/v1", secret=Secret(b"k"), dialect=load("guide")
    )
    plan = Plan("sender", options, CHECKS, STEP_CHECKS, lambda each: None)
    plan.settle(result(outcome, message=Text("it was late", "晚了")), tell=tell)
    plan.listener = lambda each: told.append((each.outcome, each.message.en))
    plan.tell_the_rest()
    return told


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.WARN, Outcome.NOTE])
def test_what_was_found_beside_others_alone_accuses_nobody(outcome):
    ((told, said),) = kept(outcome, tell=False)
    assert told is Outcome.ERROR
    assert said == (
        "the time ran out before this was run by itself (--timeout); beside others: it was late"
    )


def test_what_was_not_judged_beside_others_is_told_as_it_is():
    assert kept(Outcome.SKIP, tell=False) == [(Outcome.SKIP, "it was late")]


def test_what_was_told_already_stands():
    assert kept(Outcome.FAIL, tell=True) == []
