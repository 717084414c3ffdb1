"""How a run keeps its results until it ends."""

from __future__ import annotations

import pytest

from conformance.engine.plan import Plan
from conformance.model.result import Result
from conformance.model.rules import Outcome
from conformance.model.sentence import Sentence
from conformance.options.sender import SenderOptions
from conformance.protocol.dialect import Secret
from conformance.scenario.dialects import load
from tests.reporting.html_parts import result


@pytest.fixture
def reports() -> list[tuple[Outcome, str]]:
    """What the plan's listener hears."""
    return []


@pytest.fixture
def plan(reports) -> Plan:
    options = SenderOptions(
        api_url="http://localhost:1/v1", secret=Secret(b"k"), dialect=load("guide")
    )
    return Plan(
        "sender",
        options,
        lambda it: reports.append((it.outcome, str(it.message))),
    )


def late(outcome: Outcome) -> Result:
    return result(outcome, message=Sentence("it was late"))


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.WARN, Outcome.NOTE])
def test_a_provisional_finding_ends_as_an_error(plan, reports, outcome):
    plan.settle_provisionally(late(outcome))
    assert reports == []
    plan.settle_provisional()
    ((reported, message),) = reports
    assert reported is Outcome.ERROR
    assert message == (
        "the time ran out before this was run by itself (--timeout); beside others: it was late"
    )


def test_a_provisional_skip_is_reported_as_it_is(plan, reports):
    plan.settle_provisionally(late(Outcome.SKIP))
    plan.settle_provisional()
    assert reports == [(Outcome.SKIP, "it was late")]


def test_a_settled_result_is_reported_once(plan, reports):
    plan.settle(late(Outcome.FAIL))
    plan.settle_provisional()
    assert reports == [(Outcome.FAIL, "it was late")]
