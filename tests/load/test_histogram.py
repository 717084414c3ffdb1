"""Percentiles from buckets: within one per cent of the true ones, and never above them."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.load import histogram

DURATIONS = st.lists(st.floats(1e-5, 100), min_size=1, max_size=200)


def drawn(durations):
    times = {}
    for each in durations:
        histogram.count(times, each)
    return times


@given(DURATIONS, st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_within_one_per_cent_of_the_true_one(durations, share):
    true = sorted(durations)[ceil(share * len(durations)) - 1]
    found = histogram.percentile(drawn(durations), share)
    assert true * 0.989 <= found <= true * (1 + 1e-9)


@given(DURATIONS, DURATIONS)
def test_merging_is_counting_both(one, other):
    merged = drawn(one)
    histogram.add(merged, drawn(other))
    assert merged == drawn(one + other)


def test_nothing_has_no_percentile():
    assert histogram.percentile({}, 0.99) is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9])
def test_a_duration_of_nothing_falls_into_the_least_bucket(seconds):
    assert histogram.bucket(seconds) == histogram.bucket(1e-6)


def test_what_is_longer_is_counted():
    assert histogram.above(drawn([0.1, 4.0, 5.5, 9.0]), 5.0) == 2
