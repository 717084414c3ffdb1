"""What the observer's counts show of a receiver whose effects come long after its answers."""

from __future__ import annotations

import pytest

from conformance.checks.receiver.case import judge
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.model.exchange import Request, Role
from conformance.model.rules import Finding, Level, Unjudged
from conformance.scenario.receiver import parse_step
from conformance.scenario.records import Case
from tests.engine.hand_made import SCHEME, SIGNER, broken, exchange, told

URL = "http://receiver/webhook"
PROFILE = ReceiverProfile(URL, SIGNER.dialect, SCHEME, frozenset({200}), 5.0, observed=True)
KNOWN = [
    {"send": {"as": "known"}, "expect": {"status": "accepted"}},
    {"send": {"again": "known"}, "expect": {"status": "refused", "processed": "unchanged"}},
]
REPEATED = [
    {"send": {"messages": 2, "as": "known"}, "expect": {"status": "accepted"}},
    {"send": {"again": "known"}, "expect": {"processed": 1}},
]
NO_LATER = (
    "not judged: a plain valid message sent afterwards was accepted, but had no effect within 5 s"
)
BELATED = (
    "not judged: an earlier message with the same msgId was accepted and had no effect by then; "
    "the effect seen now may be its own"
)


def said(role, msg_id, step=1, **more):
    return exchange(role, Request("POST", URL, (), b"{}"), msg_id=msg_id, step=step, **more)


def sent(msg_id="it", step=1, **more):
    return said(Role.PROBE, msg_id, step, **more)


def seen(count, msg_id="it"):
    return said(Role.OBSERVE, msg_id, said=b'{"count": %d}' % count)


def later(*counts):
    """A plain message that was sent afterwards, and what the observer showed of it."""
    return [said(Role.CONTROL, "later"), *(seen(count, "later") for count in counts)]


def judged(steps, *exchanges):
    case = Case(None, Level.MUST, tuple(parse_step(step, Level.MUST) for step in steps))
    return broken(judge(case, exchanges, PROFILE))


def forged(before, after, *, genuine=200, shown=1):
    """A forgery of a msgId, and its effects before and after."""
    first, forgery = sent(step=0, status=genuine), sent(status=401)
    return judged(KNOWN, first, seen(before), forgery, *later(shown), seen(after))


def test_an_effect_that_the_genuine_message_may_have_had_late_is_not_the_forgery_s():
    (found,) = forged(0, 1)
    assert isinstance(found, Unjudged)
    assert found.error
    assert told([found]) == [BELATED]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        pytest.param(1, 2, "took effect 2 times instead of 1", id="after-the-genuine-one-s"),
        pytest.param(0, 2, "took effect 2 times instead of 1", id="both-late"),
    ],
)
def test_an_effect_more_than_the_genuine_message_explains_is_the_forgery_s(before, after, words):
    found = forged(before, after)
    assert isinstance(found[0], Finding)
    assert told(found) == [words]


def test_an_effect_under_an_id_that_was_never_acknowledged_is_the_forgery_s():
    assert (
        told(forged(0, 1, genuine=503))[-1] == "took effect (1×), though it must not be processed"
    )


@pytest.mark.parametrize("count", [0, 1])
def test_a_forgery_that_changes_nothing_holds(count):
    assert forged(count, count) == []


def repeated(*after, first=1):
    known = [sent("a", 0), sent("b", 0), sent("a"), sent("b")]
    return judged(REPEATED, *known, *after, seen(first, "a"), seen(0, "b"))


def test_an_effect_that_is_missing_while_a_later_one_is_too_may_yet_come():
    (found,) = repeated(*later(0, 0))
    assert isinstance(found, Unjudged)
    assert told([found]) == [NO_LATER]


@pytest.mark.parametrize(
    ("first", "words"),
    [
        pytest.param(
            1, "1 of 2 messages: answered 200, but had no effect within 5 s", id="one-of-two"
        ),
        pytest.param(
            0, "2 of 2 messages: answered 200, but had no effect within 5 s", id="none-of-two"
        ),
    ],
)
def test_an_effect_that_is_missing_after_a_later_one_is_lost(first, words):
    found = repeated(*later(1), first=first)
    assert isinstance(found[0], Finding)
    assert told(found) == [words]


def test_an_effect_too_many_needs_no_later_one():
    assert told(repeated(*later(0), first=2)) == [
        "1 of 2 messages: took effect 2 times instead of 1"
    ]


def test_nothing_is_missed_while_plain_messages_are_refused():
    found = repeated(said(Role.CONTROL, "later", status=503))
    assert all(isinstance(each, Unjudged) for each in found)
    assert found[-1].error
