"""The report's charts: their figures, and that every one can be seen."""

from __future__ import annotations

import re

import pytest

from conformance.model.exchange import Answer, Exchange, Request, Role
from conformance.model.rules import Outcome
from conformance.reporting.html.overview import answer_times, bar, group_of


def answered(number: int, seconds: float, role: Role = Role.PROBE) -> Exchange:
    return Exchange(
        number, role, None, None, 0, str(number), Request("POST", "http://x", (), b""), None,
        Answer(200, (), b""), None, "", 0.0, 1.0, 1.0 + seconds,
    )  # fmt: skip


def test_a_bar_has_a_part_for_each_outcome_that_there_is() -> None:
    made = bar({Outcome.FAIL: 1, Outcome.PASS: 3, Outcome.WARN: 0})
    assert re.findall(r'rect class="(\w+)"', made) == ["fail", "pass"]


def test_one_failure_among_thousands_can_be_seen() -> None:
    parts = re.findall(
        r'rect class="(\w+)" x="[\d.]+" width="([\d.]+)"',
        bar({Outcome.FAIL: 1, Outcome.PASS: 9999}),
    )
    assert float(dict(parts)["fail"]) >= 8


def test_the_parts_of_a_bar_stay_within_it() -> None:
    counts = dict.fromkeys(Outcome, 5)
    parts = re.findall(r'x="([\d.]+)" width="([\d.]+)"', bar(counts, 0.5))
    start, width = map(float, parts[-1])
    assert start + width == pytest.approx(500, abs=1)


@pytest.mark.parametrize(
    ("rule", "group"),
    [("receiver.signature.truncated", "signature"), ("mine.rule", "mine"), ("alone", "alone")],
)
def test_a_rule_belongs_to_the_group_in_its_id(rule: str, group: str) -> None:
    assert group_of(rule) == group


def test_answer_times_are_summed_up_by_median_and_tail() -> None:
    times = answer_times([answered(number, number / 1000) for number in range(1, 101)])
    assert times is not None
    assert times.median == pytest.approx(0.051)
    assert times.late == pytest.approx(0.1)
    assert times.slowest.id == 100


def test_an_answer_past_the_deadline_is_drawn_as_late() -> None:
    times = answer_times([answered(1, 0.002), answered(2, 5.5)])
    assert times is not None
    assert times.drawing.count('class="late"') == 1
    assert times.drawing.count('class="in-time"') == 1


def test_one_slow_answer_among_thousands_can_be_seen() -> None:
    times = answer_times(
        [*(answered(number, 0.002) for number in range(3000)), answered(3001, 1.0)]
    )
    assert times is not None
    heights = re.findall(r'rect class="\S+" .*?height="([\d.]+)"', times.drawing)
    assert min(map(float, heights)) >= 2


def test_times_of_other_requests_do_not_count() -> None:
    assert answer_times([answered(1, 0.1, Role.OBSERVE), answered(2, 0.1, Role.ATTEMPT)]) is None
