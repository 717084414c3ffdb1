"""The hunt: what it finds, tells apart, makes small, remembers and repeats; without any target."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import strategies as st

from conformance.fuzz.campaign.campaign import MAX_FAILURES, Campaign
from conformance.fuzz.campaign.outcomes import Aborted, Failure, TargetDown

NUMBERS = st.integers(0, 10_000)


def failure(what, number, where="here"):
    return Failure(what, frozenset({where}), f"{what} {where}", number, number)


class Target:
    """Breaks on numbers as `rule` says, and counts them."""

    def __init__(self, rule, **campaign):
        self.rule = rule
        self.tried = []
        bounds = {
            "example_limit": 300,
            "seed": 1,
            "until": 60.0,
            "monotonic": lambda: 0.0,
            **campaign,
        }
        confirm = bounds.pop("confirm", lambda each: self.rule(each.evidence))
        self.campaign = Campaign(rule="rule", target="target", confirm=confirm, **bounds)

    def attempt(self, numbers):
        for number in numbers:
            self.tried.append(number)
            self.campaign.tried += not self.campaign.shrinking
            seen = self.rule(number)
            if seen is not None:
                return seen
        return None

    def run(self, strategy=NUMBERS):
        self.campaign.messages(strategy, self.attempt)
        return self.campaign


def over(limit, what="500"):
    return lambda number: failure(what, number) if number > limit else None


def test_what_holds_is_tried_as_often_as_was_wanted():
    campaign = Target(lambda number: None).run()
    assert (campaign.tried, campaign.failures, campaign.short, campaign.stop_reason) == (
        300,
        [],
        False,
        None,
    )


def test_a_failure_is_made_as_small_as_it_goes():
    campaign = Target(over(1234)).run()
    assert [each.evidence for each in campaign.failures] == [1235]


def test_failures_are_told_apart_by_what_was_seen():
    campaign = Target(lambda n: failure("500" if n % 2 else "400", n) if n > 99 else None).run()
    assert sorted((each.what, each.evidence) for each in campaign.failures) == [
        ("400", 100),
        ("500", 101),
    ]


def test_failures_are_told_apart_by_where_they_are():
    campaign = Target(
        lambda n: failure("500", n, "odd" if n % 2 else "even") if n > 99 else None
    ).run()
    assert sorted(each.evidence for each in campaign.failures) == [100, 101]


def test_a_failure_that_covers_another_hides_it():
    wide, narrow = (
        Failure("lost", frozenset(marks), "lost", 1, marks) for marks in ({"a"}, {"a", "b"})
    )
    assert wide.covers(narrow)
    assert not narrow.covers(wide)


def test_a_hunt_ends_with_so_many_failures():
    campaign = Target(lambda n: failure(str(n % 50), n), example_limit=10_000).run()
    assert len(campaign.failures) == MAX_FAILURES
    assert campaign.tried < 10_000
    assert not campaign.short


def test_a_hunt_ends_when_most_of_what_it_tries_is_known():
    campaign = Target(lambda n: failure("500", n), example_limit=10_000).run()
    assert len(campaign.failures) == 1
    assert campaign.tried < 200


def test_the_same_seed_tries_the_same_and_another_one_does_not():
    first, again, other = (Target(lambda n: None, seed=seed) for seed in (1, 1, 2))
    for target in (first, again, other):
        target.run()
    assert first.tried == again.tried != other.tried


def test_most_examples_are_tried_once():
    target = Target(lambda n: None)
    target.run()
    assert len(Counter(target.tried)) > 200


def test_time_that_runs_out_cuts_the_hunt_short():
    clock = itertools.count()
    campaign = Target(lambda n: None, until=10, monotonic=lambda: next(clock)).run()
    assert campaign.short
    assert 0 < campaign.tried < 300


def test_what_was_found_when_time_ran_out_is_told_as_it_is():
    now = [0.0]

    def rule(number):
        now[0] += 1.0 if number > 5000 else 0.0
        return failure("500", number) if number > 5000 else None

    campaign = Target(rule, until=3.0, monotonic=lambda: now[0]).run()
    assert len(campaign.failures) == 1
    assert campaign.failures[0].evidence > 5000


def test_a_death_ends_the_hunt_and_is_told():
    campaign = Target(lambda n: TargetDown(n) if n > 5000 else None).run()
    assert campaign.stop_reason.evidence > 5000
    assert campaign.tried < 300
    assert not campaign.short


def test_a_halt_ends_the_hunt_and_is_told():
    campaign = Target(lambda n: Aborted("rate limit") if n > 5000 else None).run()
    assert campaign.stop_reason == Aborted("rate limit")


def test_what_fails_once_and_not_again_is_counted_and_not_found():
    campaign = Target(over(9000), confirm=lambda each: None).run()
    assert campaign.failures == []
    assert campaign.unsteady > 0


def test_a_failure_that_cannot_be_made_smaller_is_told_as_it_was_met():
    met = []

    def rule(number):
        # Fails once, and then for nothing else.
        if (number > 5000 and not met) or met == [number]:
            met[:] = [number]
            return failure("500", number)
        return None

    campaign = Target(rule).run()
    assert [each.evidence for each in campaign.failures] == met


def test_what_failed_is_tried_first_next_time(tmp_path):
    Target(over(1234), examples=tmp_path).run()
    again = Target(over(1234), examples=tmp_path, seed=2, example_limit=1)
    again.run()
    assert 1235 in again.tried[:8]
    assert len(again.campaign.failures) == 1


def test_what_fails_no_longer_is_forgotten(tmp_path):
    Target(over(1234), examples=tmp_path).run()
    Target(lambda n: None, examples=tmp_path).run()
    again = Target(lambda n: None, examples=tmp_path, seed=2, example_limit=1)
    again.run()
    assert 1235 not in again.tried


def test_what_a_target_died_of_is_kept(tmp_path):
    killed = Target(
        lambda n: TargetDown(n) if n > 9990 else None, example_limit=100_000, examples=tmp_path
    )
    killed.run()
    killer = killed.campaign.stop_reason.evidence
    again = Target(lambda n: None, examples=tmp_path, seed=3, example_limit=8)
    again.run()
    assert killer in again.tried


def test_nothing_is_written_while_nothing_fails(tmp_path):
    Target(lambda n: None, examples=tmp_path / "examples").run()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path):
    place = tmp_path / "file"
    place.write_text("")
    campaign = Target(over(1234), examples=place / "examples").run()
    assert len(campaign.failures) == 1


@pytest.mark.parametrize("limit", [1, 7, 9, 200])
def test_as_many_are_tried_as_the_limit_allows(limit):
    target = Target(lambda n: None, example_limit=limit)
    target.run()
    assert len(target.tried) == limit
