"""Two runs compared."""

import pytest

from conformance.model.result import Result
from conformance.model.rules import Level, Outcome, Rule
from conformance.model.text import Text
from conformance.reporting.compare import compare

NAMES = ("fixed", "regressed", "still", "appeared", "unjudged")


def results(outcome):
    if outcome is None:
        return ()
    rule = Rule("receiver.body.empty", Level.MUST, None, Text(""), Text(""), Text(""))
    return (Result(rule, None, Level.MUST, Outcome(outcome)),)


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ("fail", "pass", "fixed"),
        ("note", "pass", "fixed"),
        ("pass", "fail", "regressed"),
        ("pass", "note", "regressed"),
        ("warn", "fail", "regressed"),
        ("fail", "fail", "still"),
        ("fail", "warn", "still"),
        ("skip", "fail", "appeared"),
        ("error", "warn", "appeared"),
        (None, "fail", "appeared"),
        ("fail", "skip", "unjudged"),
        ("fail", "error", "unjudged"),
        ("fail", None, "unjudged"),
        ("pass", "pass", None),
        ("pass", "skip", None),
        ("skip", "pass", None),
        ("skip", "error", None),
        (None, "pass", None),
    ],
)
def test_a_change_is_sorted_by_its_kind(before, after, name):
    comparison = compare(results(before), results(after))
    counts = {kind: len(getattr(comparison, kind)) for kind in NAMES}
    assert counts == {kind: int(kind == name) for kind in NAMES}
    assert comparison.worse is (name in ("regressed", "appeared"))


def test_cases_of_a_rule_are_compared_one_by_one():
    (rule,) = results("pass")
    before = [Result(rule.rule, case, Level.MUST, Outcome.FAIL) for case in ("a", "b")]
    after = [Result(rule.rule, "a", Level.MUST, Outcome.PASS), before[1]]
    comparison = compare(before, after)
    assert [change.name for change in comparison.fixed] == ["receiver.body.empty[a]"]
    assert [change.name for change in comparison.still] == ["receiver.body.empty[b]"]
