"""A check of one message at a time: what its judgements on many messages add up to."""

from __future__ import annotations

import random

import pytest

from conformance.checks.check import Check, Scope
from conformance.checks.messages import MOST_EVIDENCE, MOST_SHOWN, Tally, by_message, judge
from conformance.model.exchange import Role
from conformance.model.rules import NO_EVIDENCE, Finding, Held, Level, Unjudged
from conformance.model.sentence import Sentence
from tests.trace.parts import attempt, exchange

ODD = Unjudged("odd", Sentence("odd"))


def by_status(over, profile, level):
    """A finding on each answer 500, `ODD` for a message that was answered 404 alone."""
    wrong = [each for each in over if each.status == 500]
    right = tuple(each.id for each in over if each.status == 200)
    judgements = [Held(level, right)] if right else []
    if wrong:
        text = Sentence("answered {msg_id}", msg_id=wrong[0].msg_id)
        judgements.append(Finding(level, "wrong", text, tuple(each.id for each in wrong)))
    return judgements or ([ODD] if over else [])


CHECK = Check(
    "status",
    Scope.MESSAGE,
    by_status,
    counted=lambda count, total: Sentence("{count} of {total}: ", count=count, total=total),
)


def deliveries(*statuses):
    """A delivery for each status, two of each message."""
    return [
        attempt(number, str(number // 2), status=status)
        for number, status in enumerate(statuses, 1)
    ]


@pytest.mark.parametrize(
    ("statuses", "judgement"),
    [
        pytest.param([], NO_EVIDENCE, id="no message"),
        pytest.param([404, 404], ODD, id="none shows anything"),
        pytest.param([404, 200, 404], Held(Level.MUST, (2,)), id="some hold"),
    ],
)
def test_without_a_finding_what_holds_counts_before_what_is_not_judged(statuses, judgement):
    assert judge(CHECK, deliveries(*statuses), None, Level.MUST) == [judgement]


def test_what_may_break_the_rule_is_not_outweighed_by_what_holds():
    doubts = Check(
        "doubts",
        Scope.MESSAGE,
        lambda over, profile, level: [
            Unjudged("doubt", ODD.reason, exchanges=(each.id,)) if each.status == 404 else held
            for each in over
            for held in by_status([each], profile, level)
        ],
    )
    (doubt,) = judge(doubts, deliveries(200, 200, 404, 200, 404), None, Level.MUST)
    assert (doubt.code, doubt.exchanges) == ("doubt", (3,))


def test_findings_are_counted_over_all_messages_and_the_first_is_described():
    over = deliveries(200, 404, 500, 200, 500, 500)
    (finding,) = judge(CHECK, over, None, Level.MUST)
    assert (finding.code, finding.exchanges) == ("wrong", (3, 5, 6))
    assert str(finding.message) == "3 of 5: answered 1"


def test_the_order_of_the_messages_does_not_matter():
    over = deliveries(*random.Random(1).choices([200, 404, 500], k=60))
    messages = list(by_message(over))
    tallies = [Tally(CHECK, None, Level.MUST) for _ in range(5)]
    for tally in tallies:
        random.Random(id(tally)).shuffle(messages)
        for message in messages:
            tally.add(message)
    assert [tally.judgements() for tally in tallies] == [judge(CHECK, over, None, Level.MUST)] * 5


def test_the_first_is_that_of_the_order_in_which_exchanges_are_given():
    (finding,) = judge(CHECK, deliveries(500, 500, 500)[::-1], None, Level.MUST)
    assert finding.exchanges == (3, 2, 1)


def test_memory_is_bounded_however_many_exchanges_there_are():
    (finding,) = judge(CHECK, deliveries(*[500] * 100), None, Level.MUST)
    assert len(finding.exchanges) == MOST_SHOWN
    (holds,) = judge(CHECK, deliveries(*[200] * 100), None, Level.MUST)
    assert len(holds.evidence) == MOST_EVIDENCE


def test_each_message_comes_after_the_calls_that_configured_the_sender():
    call = exchange(id=3, role=Role.API, msg_id=None)
    one, other = attempt(1, "7"), attempt(2, "8")
    assert list(by_message([one, other, call])) == [[call, one], [call, other]]
