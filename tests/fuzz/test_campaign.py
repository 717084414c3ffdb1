"""Campaigns find, distinguish, shrink, remember and repeat failures; shown without a real target."""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import strategies as st

from conformance.fuzz.campaign.campaign import MAX_FAILURES, Campaign
from conformance.fuzz.campaign.outcomes import Aborted, Failure, TargetDown

NUMBERS = st.integers(0, 10_000)


def failure(what, number, where="here"):
    return Failure(what, frozenset({where}), number, number)


class Target:
    """Fails on numbers as `rule` says, and records them."""

    def __init__(self, rule, **campaign):
        self.rule = rule
        self.tried = []
        bounds = {
            "example_limit": 300,
            "seed": 1,
            "until": 60.0,
            "monotonic": lambda: 0.0,
            "attempt": self.attempt,
            "confirm": lambda failure: self.rule(failure.evidence),
            **campaign,
        }
        self.campaign = Campaign(rule="rule", target="target", **bounds)

    def attempt(self, numbers):
        for count, number in enumerate(numbers, 1):
            self.tried.append(number)
            result = self.rule(number)
            if result is not None:
                return count, result
        return len(numbers), None

    def run(self, strategy=NUMBERS):
        self.campaign.search(strategy)
        return self.campaign


def over(limit, what="500"):
    return lambda number: failure(what, number) if number > limit else None


def test_a_correct_target_gets_all_examples():
    campaign = Target(lambda number: None).run()
    assert (campaign.tried, campaign.failures, campaign.short, campaign.stop_reason) == (
        300,
        [],
        False,
        None,
    )


def test_a_failure_is_shrunk_as_far_as_possible():
    campaign = Target(over(1234)).run()
    assert [each.evidence for each in campaign.failures] == [1235]


def test_failures_are_distinguished_by_what_was_observed():
    campaign = Target(lambda n: failure("500" if n % 2 else "400", n) if n > 99 else None).run()
    assert sorted((each.what, each.evidence) for each in campaign.failures) == [
        ("400", 100),
        ("500", 101),
    ]


def test_failures_are_distinguished_by_where_they_lie():
    campaign = Target(
        lambda n: failure("500", n, "odd" if n % 2 else "even") if n > 99 else None
    ).run()
    assert sorted(each.evidence for each in campaign.failures) == [100, 101]


def test_a_failure_that_covers_another_hides_it():
    wide, narrow = (Failure("lost", frozenset(marks), 1, marks) for marks in ({"a"}, {"a", "b"}))
    assert wide.covers(narrow)
    assert not narrow.covers(wide)


def test_a_failure_is_not_shrunk_to_another_one():
    campaign = Target(
        lambda n: failure("500", n, "large" if n > 5000 else "small") if n > 99 else None
    ).run()
    assert sorted(each.evidence for each in campaign.failures) == [100, 5001]


def test_a_campaign_ends_after_a_number_of_failures():
    campaign = Target(lambda n: failure(str(n % 50), n), example_limit=10_000).run()
    assert len(campaign.failures) == MAX_FAILURES
    assert campaign.tried < 10_000
    assert not campaign.short


def test_a_campaign_ends_when_most_examples_fail_in_a_known_way():
    campaign = Target(lambda n: failure("500", n), example_limit=10_000).run()
    assert len(campaign.failures) == 1
    assert campaign.tried < 200


def test_the_same_seed_tries_the_same_and_another_one_does_not():
    first, same, other = (Target(lambda n: None, seed=seed) for seed in (1, 1, 2))
    for target in (first, same, other):
        target.run()
    assert first.tried == same.tried != other.tried


def test_most_examples_are_tried_once():
    target = Target(lambda n: None)
    target.run()
    assert len(Counter(target.tried)) > 200


def test_a_campaign_is_cut_short_when_its_time_is_up():
    clock = itertools.count()
    campaign = Target(lambda n: None, until=10, monotonic=lambda: next(clock)).run()
    assert campaign.short
    assert 0 < campaign.tried < 300


def test_a_failure_found_when_time_runs_out_is_reported_unshrunk():
    now = [0.0]

    def rule(number):
        now[0] += 1.0 if number > 5000 else 0.0
        return failure("500", number) if number > 5000 else None

    campaign = Target(rule, until=3.0, monotonic=lambda: now[0]).run()
    assert len(campaign.failures) == 1
    assert campaign.failures[0].evidence > 5000


def test_a_target_that_goes_down_ends_the_campaign():
    campaign = Target(lambda n: TargetDown(n) if n > 5000 else None).run()
    assert campaign.stop_reason.evidence > 5000
    assert campaign.tried < 300
    assert not campaign.short


def test_an_abort_ends_the_campaign():
    campaign = Target(lambda n: Aborted("rate limit") if n > 5000 else None).run()
    assert campaign.stop_reason == Aborted("rate limit")


def test_a_fault_of_the_suite_is_no_failing_example_and_ends_the_campaign():
    def rule(number):
        if number > 5000:
            raise LookupError
        return

    target = Target(rule)
    with pytest.raises(LookupError):
        target.run()
    assert sum(number > 5000 for number in target.tried) == 1
    assert target.campaign.failures == []


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(Aborted("rate limit"), id="an abort"),
        pytest.param(LookupError(), id="a fault of the suite"),
    ],
)
def test_what_does_not_fail_is_not_stored(end, tmp_path):
    def rule(number):
        if isinstance(end, Exception):
            raise end
        return end

    with suppress(LookupError):
        Target(rule, examples=tmp_path).run()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_that_is_not_confirmed_is_counted_but_not_reported():
    campaign = Target(over(9000), confirm=lambda failure: None).run()
    assert campaign.failures == []
    assert campaign.unsteady > 0


def test_a_failure_that_cannot_be_shrunk_is_reported_as_it_was():
    failing = []

    def rule(number):
        # Fails on one number, and on no other after that.
        if (number > 5000 and not failing) or failing == [number]:
            failing[:] = [number]
            return failure("500", number)
        return None

    campaign = Target(rule).run()
    assert [each.evidence for each in campaign.failures] == failing


def test_a_stored_failure_is_tried_first_next_time(tmp_path):
    Target(over(1234), examples=tmp_path).run()
    second = Target(over(1234), examples=tmp_path, seed=2, example_limit=1)
    second.run()
    assert 1235 in second.tried[:8]
    assert len(second.campaign.failures) == 1


def test_an_example_that_no_longer_fails_is_forgotten(tmp_path):
    Target(over(1234), examples=tmp_path).run()
    Target(lambda n: None, examples=tmp_path).run()
    second = Target(lambda n: None, examples=tmp_path, seed=2, example_limit=1)
    second.run()
    assert 1235 not in second.tried


def test_the_example_that_took_a_target_down_is_stored(tmp_path):
    down = Target(
        lambda n: TargetDown(n) if n > 9990 else None, example_limit=100_000, examples=tmp_path
    )
    down.run()
    culprit = down.campaign.stop_reason.evidence
    second = Target(lambda n: None, examples=tmp_path, seed=3, example_limit=8)
    second.run()
    assert culprit in second.tried


def test_nothing_is_written_while_nothing_fails(tmp_path):
    Target(lambda n: None, examples=tmp_path / "examples").run()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_ignored(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    campaign = Target(over(1234), examples=file / "examples").run()
    assert len(campaign.failures) == 1


@pytest.mark.parametrize("limit", [1, 7, 9, 200])
def test_exactly_the_limit_is_tried(limit):
    target = Target(lambda n: None, example_limit=limit)
    target.run()
    assert len(target.tried) == limit
