"""What a run has seen of a sender, and for how long it is waited for because of that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.checks.sender.profile import (
    ARRIVAL,
    LONGEST,
    PATIENT,
    QUIET,
    SHORTEST,
    UNDER_WAY,
    retry_after,
    under_way,
)
from conformance.model.exchange import Fault
from tests.engine.hand_made import PROFILE, attempt, attempts


def profile(firsts=(), seconds=(), latency=0.0):
    return replace(PROFILE, waits=(firsts, seconds), latency=latency)


@pytest.mark.parametrize(
    ("firsts", "seconds", "attempt", "wait"),
    [
        pytest.param((1.0,), (2.0,), 1, 1, id="the first"),
        pytest.param((1.0,), (2.0,), 4, 8, id="doubling"),
        pytest.param((1.0,), (3.0,), 3, 9, id="threefold"),
        pytest.param((1.0,), (9.0,), 3, 16, id="fourfold at most"),
        pytest.param((1.0,), (1.0,), 3, 4, id="constant waits may be going to double"),
        pytest.param((1.0,), (), 3, 4, id="the second was not seen"),
        pytest.param((0.8, 1.2), (2.0,), 1, 1.2, id="the longest that was seen"),
        pytest.param((30.0,), (60.0,), 3, LONGEST, id="no longer than can be waited for"),
        pytest.param((0.0,), (2.0,), 2, 0, id="no first wait"),
        pytest.param((), (), 5, 0, id="none was seen"),
    ],
)
def test_the_next_wait_is_worked_out_from_those_that_were_seen(firsts, seconds, attempt, wait):
    assert profile(firsts, seconds).wait(attempt) == pytest.approx(wait)


@pytest.mark.parametrize(
    ("firsts", "attempt", "patience", "quiet"),
    [
        pytest.param((2.0,), 1, 5, 3, id="after the first"),
        pytest.param((2.0,), 3, 17, 10.5, id="after the third"),
        pytest.param((0.01,), 1, PATIENT, SHORTEST, id="not too little"),
        pytest.param((), 4, PATIENT, SHORTEST, id="of a sender that was not seen to retry"),
    ],
)
def test_a_required_attempt_gets_more_time_than_a_forbidden_one(firsts, attempt, patience, quiet):
    seen = profile(firsts)
    assert (seen.patience(attempt), seen.quiet_after(attempt)) == (patience, quiet)


def test_an_attempt_that_must_come_is_waited_for_however_steep_the_waits_grow():
    seen = profile((0.2,), (1.6,))
    assert seen.patience(3) > 2 * 12.8 > 2 * seen.quiet_after(3)


@pytest.mark.parametrize("attempt", range(1, 12))
def test_patience_outlasts_every_jitter_of_doubling_waits(attempt):
    seen = profile((0.82, 1.0, 1.19), (1.6, 2.0, 2.4))
    longest = min(60.0, 1.2 * 2 ** (attempt - 1))
    assert seen.patience(attempt) > seen.quiet_after(attempt) > longest


@pytest.mark.parametrize(
    ("latency", "arrival", "quiet"),
    [
        pytest.param(0.01, ARRIVAL, QUIET + 0.03, id="a quick one"),
        pytest.param(6.0, 18.0, QUIET + 18.0, id="one that polls"),
    ],
)
def test_a_first_attempt_is_waited_for_as_long_as_the_sender_takes(latency, arrival, quiet):
    seen = profile(latency=latency)
    assert (seen.arrival, seen.quiet) == pytest.approx((arrival, quiet))


EMITTED = 100.0


def due(*came, most=None, **seen):
    return profile(**({"firsts": (2.0,), "seconds": (4.0,)} | seen)).due(came, EMITTED, most)


def test_a_first_attempt_is_due_within_the_arrival_time_of_its_event():
    assert due() == EMITTED + ARRIVAL


def test_after_a_failure_the_next_attempt_is_due_within_patience():
    assert due(*attempts(101, took=1)) == 102 + 5


def test_after_a_second_failure_it_is_due_later():
    assert due(*attempts(101, 104, took=1)) == 105 + 9


def test_an_attempt_under_way_is_watched_beyond_any_deadline():
    hanging = replace(attempt(at=101), answer=None)
    assert due(hanging) == 101 + UNDER_WAY


def test_what_the_answer_asked_for_is_added():
    later = attempt(at=101, status=503, headers=((b"Retry-After", b"3"),))
    assert due(later) == 101 + 3 + 5


def test_after_the_last_attempt_it_is_watched_that_there_is_none():
    assert due(*attempts(101, 104), most=2) == 104 + 5.5


def test_it_is_watched_for_as_long_as_a_message_of_a_slow_sender_takes():
    assert due(*attempts(101), most=1, latency=20.0) == EMITTED + QUIET + 60


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        pytest.param(503, ((b"Retry-After", b"3"),), 3, id="seconds"),
        pytest.param(429, ((b"retry-after", b"30"),), 30, id="any case"),
        pytest.param(503, ((b"Retry-After", b"Fri, 31 Dec 1999 23:59:59 GMT"),), 0, id="a date"),
        pytest.param(503, (), 0, id="none"),
        pytest.param(200, ((b"Retry-After", b"3"),), 0, id="of a success"),
    ],
)
def test_retry_after_is_read_of_failures(status, headers, seconds):
    assert retry_after(attempt(status=status, headers=headers)) == seconds


def test_an_attempt_without_an_end_is_under_way():
    assert under_way(replace(attempt(), answer=None))
    assert not under_way(attempt())
    assert not under_way(attempt(fault=Fault.TIMEOUT))


@pytest.mark.parametrize(
    ("firsts", "retry_count", "outlasts"),
    [
        pytest.param((0.1, 0.12), 10, True, id="enough of them"),
        pytest.param((0.1, 0.12), 2, False, id="too few"),
        pytest.param((0.001,), 10, False, id="without waits"),
        pytest.param((), 10, False, id="none at all"),
    ],
)
def test_retries_that_are_over_at_once_do_not_outlast_a_refusal(firsts, retry_count, outlasts):
    assert profile(firsts).outlasts_refusal(retry_count) is outlasts
