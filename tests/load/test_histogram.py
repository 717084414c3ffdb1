"""Percentiles from buckets: within one per cent of the true ones, and never above them."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.load import histogram

DURATIONS = st.lists(st.floats(1e-5, 100), min_size=1, max_size=200)


def filled(durations):
    times = {}
    for seconds in durations:
        histogram.record(times, seconds)
    return times


@given(DURATIONS, st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_within_one_per_cent_of_the_true_one(durations, share):
    true = sorted(durations)[ceil(share * len(durations)) - 1]
    measured = histogram.percentile(filled(durations), share)
    assert true * 0.989 <= measured <= true * (1 + 1e-9)


@given(DURATIONS, DURATIONS)
def test_merging_is_counting_both(one, other):
    merged = filled(one)
    histogram.merge(merged, filled(other))
    assert merged == filled(one + other)


def test_an_empty_histogram_has_no_percentile():
    assert histogram.percentile({}, 0.99) is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9])
def test_a_tiny_duration_falls_into_the_lowest_bucket(seconds):
    assert histogram.bucket(seconds) == histogram.bucket(1e-6)


def test_a_coarse_histogram_counts_the_same_durations():
    coarse = histogram.coarse(filled([0.1, 0.1001, 4.0]))
    assert [number for _, number in coarse] == [2, 1]
    assert [least for least, _ in coarse] == pytest.approx([0.1, 4.0], rel=0.11)
