"""Of what a target died, as the times of exchanges tell it."""

import pytest

from conformance.checks.receiver.crash_suspects import MOST, describe_suspects, suspects
from conformance.model.exchange import Fault, Request, Role, Transport
from tests.engine.hand_made import exchange

URL = "http://receiver/webhook"
RESET = "Connection reset by peer"


def probe(case, started, sent, ended, fault=Fault.CLOSED, role=Role.PROBE, **more):
    request = Request("POST", more.pop("url", URL), (), b"{}", Transport.POOLED)
    times = {"started": started, "sent": sent, "ended": ended}
    return exchange(role, request, rule="it", case=case, fault=fault, **times, **more)


def cases(*exchanges):
    return [each.case for each in suspects(exchanges, URL)]


DEATH = probe("death", 2.0, 2.1, 3.0)


def test_one_that_was_taken_in_comes_before_those_whose_connection_was_reset():
    earlier = probe("earlier", 1.0, 1.1, 2.99, detail=RESET)
    assert cases(earlier, DEATH) == ["death", "earlier"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(probe("it", 1.0, 1.0, 3.1), id="still-being-sent"),
        pytest.param(probe("it", 3.1, 3.2, 3.3), id="sent-afterwards"),
        pytest.param(probe("it", 1.0, 1.1, 1.2, Fault.GIVEN_UP), id="given-up"),
        pytest.param(probe("it", 3.1, 3.1, 3.2, Fault.REFUSED), id="refused"),
        pytest.param(probe("it", 2.0, 2.1, 3.1, role=Role.CONTROL), id="plain"),
        pytest.param(probe("it", 2.0, 2.1, 2.9, url="http://other"), id="of-another-instance"),
    ],
)
def test_what_cannot_have_killed_it_is_no_suspect(other):
    assert cases(other, DEATH) == ["death"]


def test_a_connection_that_was_dropped_while_the_target_lived_on_is_no_suspect():
    dropped = probe("dropped", 0.1, 0.2, 0.3)
    assert cases(dropped, probe("answered", 1.0, 1.1, 1.2, None), DEATH) == ["death"]


def test_an_answer_that_was_under_way_at_the_death_hides_no_suspect():
    assert cases(DEATH, probe("answered", 2.0, 2.1, 3.01, None)) == ["death"]


def test_the_observer_may_live_on():
    assert cases(DEATH, probe("asked", 5.0, 5.1, 5.2, None, Role.OBSERVE)) == ["death"]


def test_a_few_are_named_and_the_rest_is_counted():
    many = [probe(str(n), 1.0, 1.1 + n / 100, 3.0) for n in range(MOST + 2)]
    assert str(describe_suspects(suspects(many, URL))).endswith(
        "first: it[0], it[1], it[2], it[3], it[4] +2"
    )
