"""The items that pytest collects, one for each case of a rule, and the outcome of each as pytest's own.

Knows nothing of how a run is driven.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.model.errors import InputError
from conformance.model.escaping import visible
from conformance.model.report import Result
from conformance.model.rules import Outcome
from conformance.pytest_plugin.target import LINES, HookproofWarning, SenderTarget, Target
from conformance.scenario.load import built_in as shipped
from conformance.scenario.load import load, select
from conformance.scenario.records import Case, Scenario

WIDTH = 96

URLS = {"receiver": "--endpoint", "sender": "--sender-url"}
"""The option that names the target of each side."""
TARGETS = {"receiver": Target, "sender": SenderTarget}
"""The type that the fixture of each side returns."""

QUIET = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::PendingDeprecationWarning",
    "ignore::ResourceWarning",
    "ignore::RuntimeWarning",
)
"""A user's `filterwarnings = error` is about their own code. But filters hold for all threads, and such
an error on the run's thread would break the run."""


class RuleItem(pytest.Function):
    """One case of a rule. `file` is the user's scenario file with the rule; None for a built-in rule."""

    scenario: Scenario
    case: Case
    file: Path | None

    @property
    def side(self) -> str:
        """The side that the rule is about, "receiver" or "sender"."""
        return self.scenario.rule.side

    @property
    def key(self) -> tuple[str, str | None]:
        """(rule id, case name), the key of the result in a run."""
        return self.scenario.rule.id, self.case.name

    def reportinfo(self) -> tuple[Path, int, str]:
        """The rule's file and line, and its name for people. The level in the name keeps pytest from
        taking its dots for a class."""
        line = int(self.scenario.place.rpartition(":")[2]) - 1 if self.file is not None else 0
        return self.path, line, f"{self.name} ({self.case.level})"


class ScenarioFile(pytest.File):
    """A user's own rules, in a file."""

    def collect(self) -> Iterable[pytest.Item]:
        """An item for each case, or a single failing item for a malformed file."""
        try:
            own = [
                scenario
                for side in ("receiver", "sender")
                for scenario in load(side, files=[self.path])[len(shipped(side)) :]
            ]
        except InputError as fault:
            yield Malformed.from_parent(self, name="malformed", fault=str(fault))
            return
        yield from _items(self, select(own, ()), conclude, self.path)


class Malformed(pytest.Item):
    """The item of a file that cannot be read: it fails."""

    def __init__(self, *, fault: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._fault = fault

    def runtest(self) -> None:
        """Fail with what is wrong with the file."""
        pytest.fail(self._fault, pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The file, without a line."""
        return self.path, 0, self.name


def built_in(collector: pytest.Collector, function: object, side: str) -> Iterator[RuleItem]:
    """The items of the built-in suite for `side`; none if the options name only a target of the other
    side."""
    option = collector.config.option
    targets = {"receiver": option.hookproof_endpoint, "sender": option.hookproof_sender_url}
    if targets[side] is None and any(targets.values()):
        return
    if option.hookproof_rules:
        scenarios = select([*shipped("receiver"), *shipped("sender")], option.hookproof_rules)
        selected = [scenario for scenario in scenarios if scenario.rule.side == side]
    else:
        selected = list(select(shipped(side), ()))
    yield from _items(collector, selected, function, None)


def _items(
    parent: pytest.Collector, scenarios: Iterable[Scenario], function: object, file: Path | None
) -> Iterator[RuleItem]:
    for scenario in scenarios:
        for case in scenario.cases:
            name = scenario.rule.id if case.name is None else f"{scenario.rule.id}[{case.name}]"
            item = RuleItem.from_parent(parent, name=name, callobj=function)
            item.scenario, item.case, item.file = scenario, case, file
            item.add_marker(QUIET)
            _normalise_id(item)
            yield item


def _normalise_id(item: RuleItem) -> None:
    """pytest 9.2 stores the brackets of an id separately when it reads one, as --lf does, and when it
    parametrises, but not for an item that names itself. Then the two ids would differ."""
    node_id = getattr(item, "_id", None)
    if node_id is not None:
        item._id = type(node_id).parse(item.nodeid)


def wait_for_result(item: RuleItem, target: Target | SenderTarget, observer: str | None) -> Result:
    """The result for `item`, once its run has it. Without a verdict this ends the item's set-up: in an
    error, since what could not be judged is not a failure, or in a skip."""
    # This imports the engine, for which mere collection must not pay.
    from conformance.pytest_plugin.runs import run_for

    expected = TARGETS[item.side]
    if not isinstance(target, expected):
        pytest.fail(
            f"the fixture hookproof_{item.side} must return a {expected.__name__} (from conformance "
            f"import {expected.__name__}), not a {type(target).__name__}",
            pytrace=False,
        )
    option = URLS[item.side]
    url = item.config.getoption(option)
    if url is not None and url != target.url:
        pytest.fail(
            f"{option} is {url}, but the fixture hookproof_{item.side} of a conftest.py "
            f"returns {target.url}: use one of them",
            pytrace=False,
        )
    try:
        run = run_for(item.session, target, observer, item.file, _rules_of_run(item))
    except InputError as fault:
        pytest.fail(str(fault), pytrace=False)
    result = run.result(item.key)
    if result.outcome is Outcome.ERROR:
        pytest.fail(visible(str(result.message)), pytrace=False)
    if result.outcome is Outcome.SKIP:
        pytest.skip(visible(str(result.message)))
    if result.outcome is Outcome.NOTE:
        item.config.stash[LINES].append(f"note: {result.name}: {visible(str(result.message))}")
    return result


def _rules_of_run(item: RuleItem) -> tuple[str, ...]:
    """The rules that share a run with `item`: those of its side and file with a selected case."""
    rules = [
        other.scenario.rule.id
        for other in item.session.items
        if isinstance(other, RuleItem) and (other.file, other.side) == (item.file, item.side)
    ]
    return tuple(dict.fromkeys(rules))


def conclude(hookproof_result: Result) -> None:
    """Pass, warn or fail by the outcome."""
    if hookproof_result.outcome is Outcome.FAIL:
        pytest.fail(explanation(hookproof_result), pytrace=False)
    if hookproof_result.outcome is Outcome.WARN:
        try:
            # Line 0 of no file, so that pytest shows no source line of ours.
            warnings.warn_explicit(explanation(hookproof_result), HookproofWarning, "hookproof", 0)
        except HookproofWarning as warning:  # the user has turned warnings into errors
            pytest.fail(str(warning), pytrace=False)


def explanation(result: Result) -> str:
    """The finding, the rule, why it matters, how to fix it, and how to reproduce it."""
    rule = result.rule
    paragraphs = [
        visible(str(result.message)),
        f"{result.name} ({result.level}, {rule.source or 'beyond the guide'}): {rule.title}",
        _paragraph("why", str(rule.why)),
        _paragraph("fix", str(rule.fix)),
    ]
    if result.reproduce is not None:
        paragraphs.append(result.reproduce)  # never wrapped: it must work when pasted
    return "\n".join(paragraphs)


def _paragraph(label: str, text: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=f"{label}: ", subsequent_indent="     ", break_long_words=False
    )
