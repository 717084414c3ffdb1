"""A recorded run from which exchanges were removed is never judged better than it was."""

import random

import pytest

from conformance.engine.rejudge import judge_again
from conformance.model.rules import Outcome, Verdict
from conformance.trace import Trace
from tests.engine.test_rejudge import captured, delivery, run_against

SOME = 6
"""Exchanges of a run that are removed, one at a time."""
PEERS = ["never-verifies", "text-plain"]
BEST_FIRST = [
    Outcome.PASS,
    Outcome.NOTE,
    Outcome.WARN,
    Outcome.FAIL,
    Outcome.SKIP,
    Outcome.ERROR,
]


def judged_without(report, secret, removed):
    """The recorded run judged again without the exchanges whose ids are in `removed`."""
    whole = report.trace
    trace = Trace(each for each in whole if each.id not in removed)
    trace.run, trace.rules, trace.results = whole.run, whole.rules, whole.results
    with trace.stored() as stored:
        return judge_again(stored, secret)


@pytest.mark.parametrize("name", PEERS)
def test_nothing_is_judged_when_all_exchanges_are_missing(name):
    report, secret = run_against(name)
    rest = judged_without(report, secret, {each.id for each in report.trace})
    assert rest.verdict is Verdict.ERROR
    assert {each.outcome for each in rest.results} <= {Outcome.SKIP, Outcome.ERROR}


@pytest.mark.parametrize("name", PEERS)
def test_whatever_a_missing_exchange_could_have_changed_is_not_judged(name):
    report, secret = run_against(name)
    whole = {each.name: each for each in report.trace.results}
    every = list(report.trace)
    for exchange in random.Random(1).sample(every, min(SOME, len(every))):
        rest = judged_without(report, secret, {exchange.id})
        assert rest.verdict is not Verdict.PASS
        for result in rest.results:
            was = whole[result.name]
            rests_on_it = exchange.id in was.exchanges or exchange.name == result.name
            if was.judged and rests_on_it and not exchange.superseded:
                assert result.outcome is Outcome.ERROR, (result.name, exchange)
            else:
                assert result.outcome in (was.outcome, Outcome.ERROR)


@pytest.mark.parametrize("name", ["never-verifies", "text-plain"])
def test_a_fault_cannot_be_removed_from_a_trace(name):
    report, secret = run_against(name)
    failed = {number for each in report.failures for number in each.exchanges}
    rest = judged_without(report, secret, failed)
    assert rest.verdict is Verdict.ERROR
    names = {each.name for each in report.failures}
    assert {each.outcome for each in rest.results if each.name in names} == {Outcome.ERROR}


@pytest.mark.parametrize(
    "deliveries",
    [
        pytest.param([delivery(1), delivery(2)], id="right"),
        pytest.param([delivery(1, change={b"X-Webhook-Signature": b""}), delivery(2)], id="bare"),
    ],
)
def test_no_result_of_a_capture_gets_better_without_a_good_delivery(deliveries):
    whole = {each.name: each.outcome for each in captured(*deliveries).results}
    for result in captured(deliveries[0]).results:
        assert BEST_FIRST.index(result.outcome) >= BEST_FIRST.index(whole[result.name])
