"""How a run keeps its results until it ends."""

from __future__ import annotations

import pytest

from conformance.engine.plan import Plan
from conformance.model.result import Result
from conformance.model.rules import Outcome
from conformance.model.sentence import Sentence
from conformance.options.receiver import Options
from conformance.protocol.dialect import Secret
from conformance.scenario.dialects import load
from tests.reporting.html_parts import result


@pytest.fixture
def plan() -> Plan:
    options = Options(url="http://localhost:1/", secret=Secret(b"k"), dialect=load("guide"))
    return Plan("receiver", options)


def late(outcome: Outcome) -> Result:
    return result(outcome, message=Sentence("it was late"))


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.WARN, Outcome.NOTE])
def test_a_provisional_finding_ends_as_an_error(plan, outcome):
    plan.settle_provisionally(late(outcome))
    (settled,) = plan.settle_provisional()
    assert settled.outcome is Outcome.ERROR
    assert str(settled.message) == (
        "the time ran out before this was run by itself (--timeout); beside others: it was late"
    )
    assert plan.results() == (settled,)


def test_a_provisional_skip_is_settled_as_it_is(plan):
    plan.settle_provisionally(late(Outcome.SKIP))
    assert plan.settle_provisional() == [late(Outcome.SKIP)]


def test_a_settled_result_is_not_settled_again(plan):
    plan.settle_provisionally(late(Outcome.WARN))
    plan.settle(late(Outcome.FAIL))
    assert plan.settle_provisional() == []
    assert plan.results() == (late(Outcome.FAIL),)
