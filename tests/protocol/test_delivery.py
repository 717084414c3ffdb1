"""The life of a delivery as tables, and the laws of waits."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.protocol.delivery import (
    NEXT,
    Backoff,
    DeliveryEvent,
    State,
    deadline,
    outcome,
)


@pytest.mark.parametrize(
    ("timeout", "effective"),
    [pytest.param(10, 5.0, id="the guide's"), pytest.param(2, 2, id="the configured one")],
)
def test_the_effective_deadline_is_the_smaller(timeout, effective):
    assert deadline(timeout) == effective


@pytest.mark.parametrize("status", [201, 204, 302, 400, 404, 500, 503, None])
def test_anything_but_200_is_refused_while_retries_are_left(status):
    assert outcome(status, 0.1, timeout=10, attempt=3, retry_count=3) is DeliveryEvent.REFUSED


def test_a_late_200_is_refused():
    assert outcome(200, 5.1, timeout=10, attempt=1, retry_count=1) is DeliveryEvent.REFUSED


def test_200_in_time_is_accepted():
    assert outcome(200, 4.9, timeout=10, attempt=1, retry_count=0) is DeliveryEvent.ACCEPTED


@given(st.integers(0, 100))
def test_retry_count_is_the_number_of_retries_after_the_first_attempt(retries):
    attempts = itertools.count(1)
    for attempt in attempts:
        event = outcome(500, 0.1, timeout=10, attempt=attempt, retry_count=retries)
        if event is DeliveryEvent.EXHAUSTED:
            break
    assert attempt == retries + 1


def test_a_delivered_message_goes_nowhere():
    assert all(state is not State.DELIVERED for state, _ in NEXT)


@given(st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
def test_a_wait_stays_within_jitter_and_cap(attempt, draw):
    backoff = Backoff()
    wait = backoff.wait(attempt, draw)
    plain = min(60.0, 2.0 ** min(attempt - 1, 64))
    assert plain * 0.8 <= wait <= plain * 1.2


@given(st.integers(1, 4), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_waits_grow_whatever_the_jitter(attempt, one, other):
    backoff = Backoff()
    assert backoff.wait(attempt + 1, one) > backoff.wait(attempt, other)
