"""What pytest collects, one item for each case of a rule, and how a result reads as one of pytest's.

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
"""What the fixture for each side gives."""

QUIET = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::PendingDeprecationWarning",
    "ignore::ResourceWarning",
    "ignore::RuntimeWarning",
)
"""A user's `filterwarnings = error` is about their code. Filters hold for all threads, and in the run's
such an error would break it."""


class RuleItem(pytest.Function):
    """One case of a rule. `file` is the user's own file in which the rule stands, if it does."""

    scenario: Scenario
    case: Case
    file: Path | None

    @property
    def side(self) -> str:
        """The side that the rule is about, "receiver" or "sender"."""
        return self.scenario.rule.side

    @property
    def key(self) -> tuple[str, str | None]:
        """(rule, case), as a run knows it."""
        return self.scenario.rule.id, self.case.name

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the rule stands, and its name for people: the level keeps pytest from taking the
        dots in it for a class."""
        line = int(self.scenario.place.rpartition(":")[2]) - 1 if self.file is not None else 0
        return self.path, line, f"{self.name} ({self.case.level})"


class ScenarioFile(pytest.File):
    """A user's own rules, in a file."""

    def collect(self) -> Iterable[pytest.Item]:
        """Its cases, or one item that says what is wrong with it."""
        try:
            own = [
                each
                for side in ("receiver", "sender")
                for each in load(side, files=[self.path])[len(shipped(side)) :]
            ]
        except InputError as fault:
            yield Malformed.from_parent(self, name="malformed", fault=str(fault))
            return
        yield from _items(self, select(own, ()), conclude, self.path)


class Malformed(pytest.Item):
    """What stands for a file that cannot be read: it fails."""

    def __init__(self, *, fault: str, **kw: Any) -> None:
        super().__init__(**kw)
        self._fault = fault

    def runtest(self) -> None:
        """Fail, and say why."""
        pytest.fail(self._fault, pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The file."""
        return self.path, 0, self.name


def built_in(collector: pytest.Collector, function: object, side: str) -> Iterator[RuleItem]:
    """The items of the built-in suite for `side`; none when only the other side's target is given."""
    option = collector.config.option
    targets = {"receiver": option.hookproof_endpoint, "sender": option.hookproof_sender_url}
    if targets[side] is None and any(targets.values()):
        return
    if option.hookproof_rules:
        every = [*shipped("receiver"), *shipped("sender")]
        chosen = [each for each in select(every, option.hookproof_rules) if each.rule.side == side]
    else:
        chosen = list(select(shipped(side), ()))
    yield from _items(collector, chosen, function, None)


def _items(
    parent: pytest.Collector, scenarios: Iterable[Scenario], function: object, file: Path | None
) -> Iterator[RuleItem]:
    for scenario in scenarios:
        for case in scenario.cases:
            name = scenario.rule.id if case.name is None else f"{scenario.rule.id}[{case.name}]"
            item = RuleItem.from_parent(parent, name=name, callobj=function)
            item.scenario, item.case, item.file = scenario, case, file
            item.add_marker(QUIET)
            _id_as_read_back(item)
            yield item


def _id_as_read_back(item: RuleItem) -> None:
    """pytest 9.2 keeps the brackets of an id apart when it reads one, as --lf does, and when it
    parametrises, but not for an item with a name of its own: then the two would differ."""
    node_id = getattr(item, "_id", None)
    if node_id is not None:
        item._id = type(node_id).parse(item.nodeid)


def judged(item: RuleItem, target: Target | SenderTarget, observer: str | None) -> Result:
    """The result for `item`, waited for. Ends the item's set-up when there is none to conclude from:
    in an error, so that what could not be judged is no failure, or in a skip."""
    # The engine: not to be paid for by collecting.
    from conformance.pytest_plugin.runs import run_for

    wanted = TARGETS[item.side]
    if not isinstance(target, wanted):
        pytest.fail(
            f"the fixture hookproof_{item.side} must give a {wanted.__name__} (from conformance "
            f"import {wanted.__name__}), not a {type(target).__name__}",
            pytrace=False,
        )
    option = URLS[item.side]
    asked = item.config.getoption(option)
    if asked is not None and asked != target.url:
        pytest.fail(
            f"{option} is {asked}, and the fixture hookproof_{item.side} of a conftest.py "
            f"gives {target.url}: leave one of them out",
            pytrace=False,
        )
    try:
        run = run_for(item.session, target, observer, item.file, _rules_beside(item))
    except InputError as fault:
        pytest.fail(str(fault), pytrace=False)
    result = run.result(item.key)
    if result.outcome is Outcome.ERROR:
        pytest.fail(visible(result.message.en), pytrace=False)
    if result.outcome is Outcome.SKIP:
        pytest.skip(visible(result.message.en))
    if result.outcome is Outcome.NOTE:
        item.config.stash[LINES].append(f"note: {result.name}: {visible(result.message.en)}")
    return result


def _rules_beside(item: RuleItem) -> tuple[str, ...]:
    """The rules that share a run with `item`: those of its side and file of which a case was
    selected."""
    rules = [
        each.scenario.rule.id
        for each in item.session.items
        if isinstance(each, RuleItem) and (each.file, each.side) == (item.file, item.side)
    ]
    return tuple(dict.fromkeys(rules))


def conclude(hookproof_result: Result) -> None:
    """Pass, warn or fail by what came out."""
    if hookproof_result.outcome is Outcome.FAIL:
        pytest.fail(explained(hookproof_result), pytrace=False)
    if hookproof_result.outcome is Outcome.WARN:
        try:
            # Line 0 of no file, so that no line of ours is shown with it.
            warnings.warn_explicit(explained(hookproof_result), HookproofWarning, "hookproof", 0)
        except HookproofWarning as warning:  # where the user has made warnings errors
            pytest.fail(str(warning), pytrace=False)


def explained(result: Result) -> str:
    """What happened, what the rule is, why it matters, how to mend it, and how to see it again."""
    rule = result.rule
    paragraphs = [
        visible(result.message.en),
        f"{result.name} ({result.level}, {rule.source or 'beyond the guide'}): {rule.title.en}",
        _paragraph("why", rule.why.en),
        _paragraph("fix", rule.fix.en),
    ]
    if result.reproduce is not None:
        paragraphs.append(result.reproduce)  # never wrapped: it must work when it is pasted
    return "\n".join(paragraphs)


def _paragraph(label: str, text: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=f"{label}: ", subsequent_indent="     ", break_long_words=False
    )
