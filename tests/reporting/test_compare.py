"""Two runs against each other."""

import pytest

from conformance.model.result import Result
from conformance.model.rules import Level, Outcome, Rule
from conformance.model.text import NO_TEXT
from conformance.reporting.compare import compare

NAMES = ("fixed", "regressed", "still", "appeared", "unjudged")


def results(outcome):
    if outcome is None:
        return ()
    rule = Rule("receiver.body.empty", Level.MUST, None, NO_TEXT, NO_TEXT, NO_TEXT)
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
def test_a_case_is_told_where_it_belongs(before, after, name):
    found = compare(results(before), results(after))
    told = {each: len(getattr(found, each)) for each in NAMES}
    assert told == {each: int(each == name) for each in NAMES}
    assert found.worse is (name in ("regressed", "appeared"))


def test_cases_of_a_rule_are_told_apart():
    (rule,) = results("pass")
    before = [Result(rule.rule, case, Level.MUST, Outcome.FAIL) for case in ("a", "b")]
    after = [Result(rule.rule, "a", Level.MUST, Outcome.PASS), before[1]]
    found = compare(before, after)
    assert [each.name for each in found.fixed] == ["receiver.body.empty[a]"]
    assert [each.name for each in found.still] == ["receiver.body.empty[b]"]
