"""How often a message must be attempted, by how its attempts were answered."""

from __future__ import annotations

import pytest

from conformance.checks.sender.case import judge
from conformance.model.exchange import Exchange, Fault
from conformance.model.rules import Finding, Unjudged
from tests.engine.hand_made import PROFILE, attempt, broken, case, given, message, told


def came(*answers: int | Fault) -> list[Exchange]:
    return [
        attempt(at=n, status=answer)
        if isinstance(answer, int)
        else attempt(at=n, status=None, fault=answer, detail=str(answer))
        for n, answer in enumerate(answers)
    ]


def judged(*answers: int | Fault, retry_count: int = 2):
    words = {
        "configure": {"RetryCount": retry_count},
        "steps": [{"emit": {"drawn": "answers"}, "expect": {"check": "as-answered"}}],
    }
    return broken(judge(case(**words), [given(), *came(*answers)], PROFILE))


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param((200,), id="at once"),
        pytest.param((201, Fault.CLOSED, 200), id="at the last"),
        pytest.param((500, Fault.TIMEOUT, 302), id="never"),
    ],
)
def test_a_message_is_attempted_until_it_is_answered_200_or_the_retries_are_used_up(answers):
    assert judged(*answers) == []


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        pytest.param((), "did not arrive within 10 s", id="none"),
        pytest.param((200, 200), "1 attempts expected, 2 seen", id="after a 200"),
        pytest.param(
            (500, Fault.TIMEOUT),
            "2 attempts, and no more, for RetryCount 2 and the answers 500, none (given up after 0.0 s)",
            id="too few",
        ),
        pytest.param((Fault.CLOSED, 500, 500, 200), "3 attempts expected, 4 seen", id="too many"),
    ],
)
def test_too_few_and_too_many_attempts_are_findings_with_the_answers(answers, said):
    (found,) = judged(*answers)
    assert isinstance(found, Finding)
    assert told([found])[0].startswith(said)


def test_a_200_that_broke_off_is_none():
    cut = attempt(status=200, fault=Fault.TIMEOUT)
    words = {
        "configure": {"RetryCount": 0},
        "steps": [{"emit": {"drawn": "answers"}, "expect": {"check": "as-answered"}}],
    }
    assert broken(judge(case(**words), [given(), cut], PROFILE)) == []


def test_an_attempt_that_is_not_given_up_is_for_another_rule():
    words = {
        "configure": {"RetryCount": 2},
        "steps": [{"emit": {"drawn": "answers"}, "expect": {"check": "as-answered"}}],
    }
    waiting = attempt(answer=None)
    (found,) = judge(case(**words), [given(), waiting], PROFILE)
    assert (type(found), found.code) == (Unjudged, "not-given-up")


DRAWN = {"steps": [{"emit": {"drawn": "contents"}, "expect": {"check": "faithful"}}]}


def drawn(refused: int, changed: bool):
    """Three messages, of which the first were refused, and the last perhaps changed."""
    events, arrivals = [], []
    for n in range(3):
        status = 400 if n < refused else 202
        events.append(given(message(msgId=str(n), content="\u2028"), msg_id=str(n), status=status))
        if n >= refused:
            content = "\n" if changed and n == 2 else "\u2028"
            arrivals.append(attempt(message(msgId=str(n), content=content)))
    return broken(judge(case(**DRAWN), [*events, *arrivals], PROFILE))


def test_what_was_refused_does_not_hide_what_was_changed():
    (found,) = drawn(1, changed=True)
    assert told([found])[0].startswith(
        r'1 of 2 messages: content was "\u2028", and arrived as "\n"'
    )
    assert drawn(1, changed=False) == []


def test_where_most_were_refused_nothing_is_judged():
    (found,) = drawn(2, changed=False)
    assert isinstance(found, Unjudged)
