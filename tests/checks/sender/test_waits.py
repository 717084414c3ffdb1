"""The waits between attempts are named by their kind, whatever their length and their jitter."""

from __future__ import annotations

import random
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.checks.sender.waits import (
    BLUR,
    are_too_short,
    figures,
    kind_of,
    mean_waits,
    slack_of,
    slack_of_growth,
    waits,
)
from conformance.reporting.languages import in_chinese
from tests.engine.hand_made import attempts

NO_SCATTER, JITTER, WILD = 0.0, 0.115, 0.58
"""Of no jitter, of ±20 %, and of waits drawn from 0 up to twice their mean."""


def kind(*means, scatter=NO_SCATTER):
    found = kind_of(means, scatter)
    assert found is None or in_chinese(found.text)
    return None if found is None else str(found.text).partition(",")[0].partition(" not")[0]


@pytest.mark.parametrize(
    "means",
    [
        pytest.param((1, 2, 4, 8, 16), id="doubling"),
        pytest.param((0.1, 0.2, 0.4, 0.8, 1.6), id="doubling from a tenth"),
        pytest.param((1, 1.5, 2.25, 3.375, 5.06), id="by a half more"),
        pytest.param((1, 3, 9, 27, 81), id="threefold"),
        pytest.param((1.5, 2.5, 4.5, 8.5, 16.5), id="doubling, and as much again for the poll"),
        pytest.param((1, 2, 4, 8, 10), id="cut short at the fifth by a cap"),
        pytest.param((1, 1.5, 2.25, 3.375, 4), id="by a half more, cut short at the fifth"),
        pytest.param((1, 2, 4, 8, 8), id="a cap from the fourth"),
        pytest.param((1, 2, 4, 5, 5), id="a cap from the fourth, which it cuts short"),
        pytest.param((1, 2, 4, 4, 4), id="a cap from the third"),
        pytest.param((1, 2, 3, 3, 3), id="a cap from the third, which it cuts short"),
        pytest.param((1, 1.5, 2.25, 2.9, 2.9), id="by a half more, a cap from the fourth"),
        pytest.param((1, 2, 4, 8, 16, 32, 60, 60), id="many, a cap at the end"),
        pytest.param((1, 2, 4, 8), id="few"),
        pytest.param((0, 1, 2, 4, 8), id="at once, then doubling"),
        pytest.param((0, 1, 2, 2, 2), id="at once, then doubling up to a cap"),
        pytest.param((1, 2, 4, 5), id="few, cut short by a cap"),
        pytest.param((0.16, 0.30, 0.43, 0.82), id="few, the first ones blurred by a busy machine"),
        pytest.param((0.42, 0.38, 0.46, 0.9, 1.8), id="from a tenth, blurred by a busy machine"),
    ],
)
def test_exponential_waits_are_known_with_a_cap_and_without(means):
    assert kind(*means) is None


@pytest.mark.parametrize(
    ("means", "said"),
    [
        pytest.param((1, 2, 3, 4, 5), "linear", id="linear"),
        pytest.param((5, 10, 15, 20, 25), "linear", id="linear from five"),
        pytest.param((1, 2, 3, 4, 4), "linear", id="linear, a cap from the fourth"),
        pytest.param((1, 2, 3, 3.5, 3.5), "linear", id="linear, a cap that cuts the fourth short"),
        pytest.param((2, 3, 4, 5, 6), "linear", id="linear with a floor"),
        pytest.param((1, 2, 3, 4, 5, 6, 7), "linear", id="linear, many"),
        pytest.param((1, 2, 3, 4), "linear", id="linear, few"),
        pytest.param((0, 1, 2, 3, 4), "linear", id="linear from nothing"),
        pytest.param((1, 1.2, 1.44, 1.73, 2.07), "linear", id="growing too little"),
        pytest.param((1, 1, 1, 1, 1), "constant", id="constant"),
        pytest.param((1, 1.02, 0.99, 1.01, 1), "constant", id="constant, about"),
        pytest.param((0.8, 1, 1, 1, 1), "constant", id="constant, the first a little shorter"),
        pytest.param((0, 5, 5, 5, 5), "constant", id="at once, then constant"),
        pytest.param((8, 4, 2, 1, 0.5), "shrinking", id="shrinking"),
        pytest.param((3, 1, 4, 1.5, 5), "random", id="random"),
        pytest.param((1, 2, 4, 1, 2), "random", id="starting over"),
        pytest.param((0.4, 0.2, 0.4, 0.9, 1.8), "random", id="falling by more than a blur"),
        pytest.param((0, 0, 0, 0, 0), "there is no wait at all", id="none"),
        pytest.param((0.001, 0.002, 0.004, 0.008, 0.016), "there is no wait at all", id="as good as none"),
    ],
)  # fmt: skip
def test_waits_are_named_by_their_kind(means, said):
    assert kind(*means) == said


@pytest.mark.parametrize(
    ("means", "slack"),
    [
        pytest.param((1, 2, 3, 4, 5), 1.25, id="linear"),
        pytest.param((0.1, 0.1, 0.1, 0.1, 0.1), BLUR, id="short"),
        pytest.param((8, 4, 2, 1, 0.5), 7.5, id="shrinking"),
        pytest.param((1, 1, 3, 0.5, 1), 2.5, id="one drop"),
    ],
)
def test_other_waits_are_as_sure_as_exponential_ones_must_be_held_up_to_look_like_them(
    means, slack
):
    assert slack_of(means) == slack


@pytest.mark.parametrize(
    ("means", "slack"),
    [
        pytest.param((1, 2, 4, 8, 16), 8, id="doubling"),
        pytest.param((0.3, 0.6, 1.2, 2.4, 4.8), 2.4, id="doubling from less"),
        pytest.param((1, 2, 4, 8, 8), 2, id="capped"),
        pytest.param((1, 2, 3, 3, 3), BLUR, id="capped so early that linear waits look the same"),
        pytest.param((0.6, 1, 1.5, 2, 2.1), BLUR, id="linear waits that a stall has bent"),
        pytest.param((0, 1, 2, 4, 8), 2, id="at once, then doubling"),
        pytest.param((0.1, 0.2, 0.3, 0.3, 0.3), 0.075, id="short, and capped as early"),
    ],
)
def test_growth_is_as_sure_as_linear_waits_must_be_held_up_to_look_like_it(means, slack):
    assert slack_of_growth(means) == pytest.approx(slack, abs=0.01)


@given(
    st.floats(0, 2),
    st.floats(0.1, 2),
    st.integers(2, 5),
    st.lists(st.floats(0, 3), min_size=5, max_size=5),
)
def test_no_stall_makes_linear_waits_look_more_surely_exponential_than_it_is_long(
    start, slope, free, stalls
):
    linear = [start + slope * min(place, free) for place in range(5)]
    bent = [wait + stall for wait, stall in zip(linear, stalls, strict=True)]
    assert slack_of_growth(bent) <= max(BLUR, *stalls) + 1e-6


@pytest.mark.parametrize(
    ("means", "short"),
    [
        pytest.param((0.01, 0.02, 0.04, 0.08, 0.14), True, id="hundredths of a second"),
        pytest.param((0.01, 0.02, 0.04, 0.08, 0.16), False, id="a longer one"),
    ],
)
def test_waits_that_a_busy_machine_may_have_made_are_too_short(means, short):
    assert are_too_short(means) is short


def test_waits_that_scatter_around_one_mean_are_random():
    assert kind(1, 1.1, 0.95, 1.05, 1, scatter=WILD) == "random"


@pytest.mark.parametrize(
    "means",
    [
        pytest.param((0.5, 1, 2, 2.5, 2.2), id="a cap whose means differ"),
        pytest.param((0.5, 1.1, 1.7, 2.5, 2.5), id="a cap, and a factor that seems to fall"),
    ],
)
def test_means_of_waits_that_scatter_are_given_the_benefit_of_the_doubt(means):
    assert kind(*means, scatter=WILD) is None


def jittered(waits, seed, messages=60, jitter=0.2):
    """The means and the scatter of `waits`, where each message has its own jitter."""
    draw = random.Random(seed)
    columns = [
        [wait * (1 + jitter * (2 * draw.random() - 1)) for _ in range(messages)] for wait in waits
    ]
    means = [fmean(column) for column in columns]
    return means, fmean(pstdev(c) / m for c, m in zip(columns, means, strict=True))


@pytest.mark.parametrize(
    "published",
    [
        [1, 10, 30, 60, 60],
        [1, 5, 15, 60, 60],
        [1, 4, 9, 10, 10],
        [1, 2, 3, 5, 8],
        [1, 4, 9, 16, 25],
    ],
    ids=str,
)
def test_a_schedule_whose_steps_grow_is_not_linear(published):
    assert all(kind_of(*jittered(published, seed)) is None for seed in range(20))


SEEDS = st.integers(0, 2**32)
BASES = st.floats(0.05, 30)


@given(BASES, st.floats(1.45, 6), SEEDS)
def test_any_factor_is_exponential_whatever_the_jitter(base, factor, seed):
    assert kind_of(*jittered([base * factor**n for n in range(5)], seed)) is None


@given(BASES, st.floats(1.45, 6), st.floats(1.6, 10), SEEDS)
def test_any_cap_above_the_first_waits_is_left_out(base, factor, cap, seed):
    waits = [base * min(cap, factor**n) for n in range(5)]
    assert kind_of(*jittered(waits, seed)) is None


@given(BASES, st.floats(0.2, 1), SEEDS)
def test_linear_is_never_exponential_whatever_the_jitter(base, slope, seed):
    means, scatter = jittered([base * (1 + slope * n) for n in range(5)], seed)
    assert kind_of(means, scatter) is not None


@given(BASES, SEEDS)
def test_few_linear_ones_are_never_exponential_whatever_the_jitter(base, seed):
    means, scatter = jittered([base * n for n in range(1, 5)], seed)
    assert kind_of(means, scatter) is not None


@given(BASES, SEEDS)
def test_constant_is_never_exponential_whatever_the_jitter(base, seed):
    means, scatter = jittered([base] * 5, seed)
    assert kind_of(means, scatter).code == "waits-constant"


def test_a_wait_is_from_the_end_of_an_attempt_to_the_beginning_of_the_next():
    assert waits(attempts(0, 3, 9, took=1)) == [2, 5]


def test_an_attempt_that_begins_before_the_last_one_has_ended_did_not_wait():
    assert waits(attempts(0, 0.5, took=1)) == [0]


def test_means_go_as_far_as_all_messages_have_waits():
    means, scatter = mean_waits([attempts(0, 1, 3), attempts(0, 3, 7, 20)])
    assert means == [2, 3]
    assert scatter == pytest.approx((1 / 2 + 1 / 3) / 2)


@pytest.mark.parametrize(
    ("means", "said"),
    [
        pytest.param([1, 2, 3.04], "1.0, 2.0, 3.0", id="seconds"),
        pytest.param([0.1, 0.201, 0.4], "0.10, 0.20, 0.40", id="below a second"),
    ],
)
def test_figures_are_as_exact_as_they_need_to_be(means, said):
    assert figures(means) == said
