"""What a case's exchanges show against what it expects: when it holds, and in which words it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.checks.sender.case import describe_pass, judge
from conformance.model.exchange import Fault, Role
from conformance.model.rules import Finding, Held, Level, Unjudged
from tests.engine.hand_made import (
    PROFILE,
    attempt,
    attempts,
    broken,
    called,
    case,
    given,
    message,
    told,
)

PROFILE = replace(PROFILE, waits=((1.0,), (2.0,)))
SECOND = message(msgId="2")


def judged(*exchanges, profile=PROFILE, **words):
    return broken(judge(case(**words), exchanges, profile))


def says(*exchanges, profile=PROFILE, **words):
    """What the only finding says."""
    (found,) = judged(*exchanges, profile=profile, **words)
    assert isinstance(found, Finding)
    return told([found])[0]


def emitting(expect, **emit):
    return [{"emit": emit, "expect": expect}]


# Attempts at 0, 1, 3, 7, … that fail at once.
def failing(count, **more):
    return attempts(*(2**n - 1 for n in range(count)), **more)


@pytest.mark.parametrize(
    ("attempts", "came"),
    [
        pytest.param(4, failing(4), id="exactly"),
        pytest.param("2+", failing(2), id="so many at least"),
        pytest.param("2+", failing(7), id="more than at least"),
        pytest.param(1, [attempt()], id="one"),
    ],
)
def test_as_many_attempts_as_expected_hold(attempts, came):
    assert judged(given(), *came, steps=emitting({"attempts": attempts})) == []


def test_a_finding_stands_when_a_later_event_is_refused():
    steps = emitting({"arrives": False}) + emitting({"arrives": True})
    refused = given(SECOND, step=1, status=503)
    found = judged(given(), attempt(), refused, steps=steps)
    assert [each.code for each in found] == ["delivered", "event-refused"]
    assert found[1].error


def test_no_stall_explains_more_attempts_than_retry_count_allows():
    came = [attempt(at=at, status=500, ended=at + 2.1) for at in (0, 5, 10, 15)]
    came[1] = attempt(at=5, fault=Fault.TIMEOUT, ended=7.1)
    words = {"configure": {"RetryCount": 2, "Timeout": 2}, "steps": emitting({"attempts": 3})}
    (found,) = judged(given(), *came, **words)
    assert (found.code, found.slack) == ("too-many-attempts", None)


@pytest.mark.parametrize(
    ("answer", "seconds", "slack"),
    [
        pytest.param({"delay": 2.5}, 2.1, None, id="before the answer was due"),
        pytest.param({"delay": 2.5}, 2.9, pytest.approx(0.4), id="after it"),
        pytest.param({"fault": "drip", "delay": 3}, 2.1, 2, id="after the head was due"),
        pytest.param({"fault": "hang"}, 2.1, None, id="where none was due"),
    ],
)
def test_a_sender_that_gives_up_is_believed_only_as_far_as_no_answer_was_held_up(
    answer, seconds, slack
):
    given_up = attempt(fault=Fault.TIMEOUT, ended=seconds)
    words = {"configure": {"Timeout": 2}, "answers": [answer, 200]}
    later, words = attempt(at=4), words | {"steps": emitting({"attempts": "2+"})}
    (holds,) = judge(case(**words), [given(), given_up, later], PROFILE)
    assert holds == Held(Level.MUST, (given_up.id, later.id), slack)


@pytest.mark.parametrize(
    ("words", "came", "said"),
    [
        pytest.param(
            {"steps": emitting({"attempts": 1})}, [], "did not arrive within 10 s", id="none at all"
        ),
        pytest.param(
            {"configure": {"RetryCount": 3}, "steps": emitting({"attempts": 4})},
            failing(3),
            "4 attempts expected, 3 seen (none in the 9.0 s after the last): "
            "RetryCount is treated as the number of attempts",
            id="RetryCount for attempts",
        ),
        pytest.param(
            {"configure": {"RetryCount": 3}, "steps": emitting({"attempts": 4})},
            failing(2),
            "4 attempts expected, 2 seen (none in the 5.0 s after the last)",
            id="fewer still",
        ),
        pytest.param(
            {"configure": {"RetryCount": 3}, "steps": emitting({"attempts": 4})},
            failing(5),
            "4 attempts expected, 5 seen for RetryCount 3",
            id="one too many",
        ),
        pytest.param(
            {"configure": {"RetryCount": 0}, "steps": emitting({"attempts": 1})},
            failing(4),
            "1 attempts expected, 4 seen for RetryCount 0",
            id="0 replaced by a default",
        ),
        pytest.param(
            {"configure": {"RetryCount": 2}, "steps": emitting({"attempts": 3})},
            attempts(0, took=1.4),
            "3 attempts expected, 1 seen (none in the 5.0 s after the last): given up 1.4 s after the first, "
            "as if all attempts shared one deadline",
            id="one deadline for all",
        ),
        pytest.param(
            {"steps": emitting({"attempts": "2+"})},
            [attempt(status=404)],
            "answered 404, and not sent again within 5.0 s",
            id="a final 4xx",
        ),
        pytest.param(
            {"steps": emitting({"attempts": "2+"})},
            [attempt(fault=Fault.CLOSED, detail="reset")],
            "the connection was reset, and not sent again within 5.0 s",
            id="reset",
        ),
        pytest.param(
            {"steps": emitting({"attempts": "2+"})},
            [attempt(fault=Fault.CLOSED, detail="half")],
            "the answer broke off in the middle, and not sent again",
            id="half an answer",
        ),
        pytest.param(
            {"steps": emitting({"attempts": "2+"})},
            [attempt(fault=Fault.TIMEOUT, detail="the sender left")],
            "no whole answer (the sender left), and not sent again",
            id="timed out",
        ),
        pytest.param(
            {"answers": [{"fault": "hang"}], "steps": emitting({"attempts": "2+"})},
            [replace(attempt(), answer=None)],
            "still waits for an answer 8 s after attempt 1: it does not give up",
            id="no deadline",
        ),
        pytest.param(
            {"steps": emitting({"attempts": 1})},
            [attempt(), attempt(at=4.2)],
            "answered 200 at attempt 1, and sent again 4.2 s later",
            id="again after 200",
        ),
        pytest.param(
            {"steps": emitting({"attempts": 2})},
            [*failing(1), attempt(at=1), attempt(at=3.5)],
            "answered 200 at attempt 2, and sent again 2.5 s later",
            id="again after a later 200",
        ),
        pytest.param(
            {"answers": [{"delay": 4.5}], "steps": emitting({"attempts": 1})},
            [attempt(fault=Fault.TIMEOUT, ended=3.0), attempt(at=4)],
            "given up after 3.0 s, before the deadline, and sent again",
            id="given up too soon",
        ),
    ],
)
def test_another_number_of_attempts_is_a_finding_with_its_likely_cause(words, came, said):
    assert said in says(given(), *came, **words)


def test_a_finding_counts_the_messages_that_show_it():
    late = failing(1, fields=SECOND)
    found = says(given(), given(SECOND), *failing(2), *late, steps=emitting({"attempts": 2}))
    assert found.startswith("1 of 2 messages: 2 attempts expected, 1 seen")


def test_what_arrives_holds():
    assert judged(given(), attempt(), steps=emitting({"arrives": True})) == []


def test_a_message_that_does_not_arrive_is_a_finding():
    assert says(given(), steps=emitting({"arrives": True})) == "did not arrive within 10 s"


def test_a_finding_counts_the_messages_that_did_not_arrive():
    assert says(given(), given(SECOND), attempt(), steps=emitting({"arrives": True})) == (
        "1 of 2 messages: did not arrive within 10 s"
    )


def test_a_finding_of_a_slow_sender_states_the_time_allowed():
    slow = replace(PROFILE, latency=7.0)
    assert "within 21 s" in says(given(), profile=slow, steps=emitting({"arrives": True}))


def test_a_message_that_must_not_arrive_and_does_is_a_finding():
    assert says(given(), attempt(), steps=emitting({"arrives": False})) == "arrived, but must not"


def test_what_must_not_arrive_and_does_not_holds():
    assert judged(given(), attempt(SECOND), steps=emitting({"arrives": False})) == []


def test_what_arrives_elsewhere_is_looked_for_there():
    steps = emitting([{"arrives": True, "at": "other"}])
    copy = attempt(role=Role.ELSEWHERE)
    assert judged(given(), copy, also={}, steps=steps) == []
    assert (
        says(given(), attempt(), also={}, steps=steps)
        == "did not arrive within 10 s at the other endpoint"
    )


@pytest.mark.parametrize(
    "followed",
    [
        pytest.param(
            {"method": "GET", "body": b"", "msg_id": None}, id="as GET, without the message"
        ),
        pytest.param({}, id="as POST"),
    ],
)
def test_a_redirect_that_is_followed_is_a_finding(followed):
    steps = emitting([{"arrives": True}, {"arrives": False, "at": "other"}])
    followed = attempt(role=Role.ELSEWHERE, **followed)
    found = says(given(), attempt(), followed, also={"configured": False}, steps=steps)
    assert found == "arrived at the other endpoint, but must not"


TESTS = [{"call": "Test", "expect": {"arrives": True}}]


def test_a_test_that_arrives_holds_whatever_its_id():
    assert judged(called("Test"), attempt(SECOND, at=1), steps=TESTS) == []


def test_an_attempt_before_the_call_is_not_its_effect():
    assert says(attempt(), called("Test", at=5), steps=TESTS) == "did not arrive within 10 s"


def test_an_attempt_after_the_next_call_is_not_the_effect_of_this_one():
    calls = [called("Test"), called("Test", at=5, step=1)]
    assert len(judged(*calls, attempt(at=6), steps=[*TESTS, *TESTS])) == 1


@pytest.mark.parametrize(
    ("wanted", "said", "status"),
    [
        pytest.param("ok", {"code": 0}, 200, id="success"),
        pytest.param("error", {"code": 400}, 400, id="an error"),
        pytest.param("error", {"success": False}, 200, id="an error with 200"),
    ],
)
def test_a_call_that_ends_as_expected_holds(wanted, said, status):
    steps = [{"call": "List", "expect": {"call": wanted}}]
    assert judged(called("List", said, status=status), steps=steps) == []


@pytest.mark.parametrize(
    ("wanted", "said", "status", "words"),
    [
        pytest.param(
            "ok", {"message": "no such ID"}, 404, "reported an error (404: no such ID)", id="error"
        ),
        pytest.param(
            "ok", {"success": False, "msg": "no"}, 200, "an error (200: no)", id="error with 200"
        ),
        pytest.param("error", {"code": 0}, 200, "reported success (200)", id="success"),
    ],
)
def test_a_call_that_ends_otherwise_is_a_finding(wanted, said, status, words):
    steps = [{"call": "List", "expect": {"call": wanted}}]
    assert words in says(called("List", said, status=status), steps=steps)


@pytest.mark.parametrize("wanted", ["ok", "error"])
def test_a_call_without_an_answer_is_neither(wanted):
    steps = [{"call": "List", "expect": {"call": wanted}}]
    assert says(called("List", fault=Fault.TIMEOUT), steps=steps) == "no answer (timeout)"


def test_a_message_that_the_sender_does_not_take_is_not_judged():
    (found,) = judged(given(status=400), steps=emitting({"arrives": True}))
    assert isinstance(found, Unjudged)
    assert told([found]) == ["not judged: it was not accepted by the sender (answered 400)"]


def test_a_finding_counts_the_messages_that_were_not_accepted():
    (found,) = judged(given(), given(SECOND, fault=Fault.REFUSED), steps=emitting({"attempts": 1}))
    assert "1 of 2 messages were not accepted by the sender (refused)" in told([found])[0]


def test_a_message_that_is_accepted_at_the_second_try_is_judged():
    assert (
        judged(given(status=503), given(at=1), attempt(at=2), steps=emitting({"attempts": 1})) == []
    )


def test_every_word_of_an_expectation_counts():
    expect = {"attempts": "1+", "check": "prompt", "level": "MAY"}
    (found,) = judged(given(), attempt(at=5), steps=emitting(expect))
    assert (found.level, told([found])) == (
        Level.MAY,
        ["the first attempt came 5.0 s after the message was accepted"],
    )


def test_every_step_is_judged_by_its_own_messages():
    steps = [*emitting({"attempts": 1}), *emitting({"attempts": 2})]
    came = [attempt(), *failing(2, fields=SECOND)]
    assert judged(given(), given(SECOND, step=1), *came, steps=steps) == []


def test_a_message_emitted_twice_is_judged_by_all_of_its_attempts():
    steps = [
        {"emit": {"as": "it"}, "expect": {"arrives": True}},
        {"emit": {"again": "it"}, "expect": {"attempts": 1}},
    ]
    twice = [given(), attempt(at=0.1), given(at=1, step=1), attempt(at=1.1)]
    assert says(*twice, steps=steps) == "answered 200 at attempt 1, and sent again 1.0 s later"


def told_of(*exchanges, profile=PROFILE, **words):
    return str(describe_pass(case(**words), exchanges, profile))


@pytest.mark.parametrize(
    ("expect", "came", "said"),
    [
        pytest.param(
            {"attempts": 4}, failing(4), "4 attempts seen, then none for 10.5 s", id="exactly"
        ),
        pytest.param({"attempts": "2+"}, failing(3), "3 attempts seen", id="at least"),
        pytest.param({"attempts": 1}, [attempt()], "1 attempt seen, then none for 1.8 s", id="one"),
        pytest.param(
            {"check": "exponential-waits"}, failing(4), "waits were 1.0, 2.0, 4.0 s", id="waits"
        ),
        pytest.param({"check": "prompt"}, [attempt(at=0.25)], "came after 0.25 s", id="prompt"),
        pytest.param({"arrives": True}, [attempt()], "", id="nothing to measure"),
    ],
)
def test_what_holds_names_its_evidence(expect, came, said):
    assert told_of(given(), *came, steps=emitting(expect)).endswith(said)


def test_of_many_messages_the_fewest_and_the_most_attempts_are_evidence():
    came = [*failing(2), *failing(3, fields=SECOND)]
    steps = emitting({"attempts": "2+"})
    assert told_of(given(), given(SECOND), *came, steps=steps) == "2 to 3 attempts seen"


def test_a_message_that_never_arrived_is_no_evidence():
    assert told_of(given(), steps=emitting({"attempts": 1})) == ""
