"""The items that pytest collects, one for each case of a rule, and the outcome of each as pytest's own.

Knows nothing of how a run is driven.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conformance.model.errors import InputError
from conformance.model.escaping import visible
from conformance.model.report import Result
from conformance.model.rules import Outcome
from conformance.options.table import pytest_options
from conformance.pytest_plugin.command_line import TARGETS, values, written
from conformance.pytest_plugin.target import HookproofWarning, Target
from conformance.scenario.load import built_in as shipped
from conformance.scenario.load import load, select
from conformance.scenario.records import Case, Scenario
from hookproof_pytest import LINES

WIDTH = 96

FAULTS = pytest.StashKey[dict[str, str]]()
"""Why a target cannot be used → the item that reports it."""

QUIET = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::PendingDeprecationWarning",
    "ignore::ResourceWarning",
    "ignore::RuntimeWarning",
    f"always::{HookproofWarning.__module__}.{HookproofWarning.__name__}",
)
"""A user's `filterwarnings = error` is about their own code. But filters hold for all threads, and such
an error on the run's thread would break the run. Nor may they turn a SHOULD into a MUST."""


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
    found = values(collector.config)
    if TARGETS[side].URL not in found and any(kind.URL in found for kind in TARGETS.values()):
        return
    if "rules" in found:
        scenarios = select([*shipped("receiver"), *shipped("sender")], found["rules"])
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
            if parent.config.pluginmanager.hasplugin("timeout"):
                # An item waits for the run, which has its own timeout; most of it is not the item's time.
                item.add_marker(pytest.mark.timeout(0))
            _normalise_id(item)
            yield item


def _normalise_id(item: RuleItem) -> None:
    """pytest 9.2 stores the brackets of an id separately when it reads one, as --lf does, and when it
    parametrises, but not for an item that names itself. Then the two ids would differ."""
    node_id = getattr(item, "_id", None)
    if node_id is not None:
        item._id = type(node_id).parse(item.nodeid)


def wait_for_result(request: pytest.FixtureRequest) -> Result:
    """The result for the item of `request`, once its run has it. Without a verdict this ends the item's
    set-up: in an error, since what could not be judged is not a failure, or in a skip."""
    # This imports the engine, for which mere collection must not pay.
    from conformance.pytest_plugin.runs import run_for

    item: RuleItem = request.node
    with _once(item):
        target = request.getfixturevalue(f"hookproof_{item.side}")
        _check_target(item, target)
        # Only the target of the item's side is set up.
        receiver = item.side == "receiver"
        observer = request.getfixturevalue("hookproof_observer") if receiver else None
        run = run_for(item.session, target, observer, item.file, _rules_of_run(item))
    result = run.result(item.key)
    if result.outcome is Outcome.ERROR:
        pytest.fail(visible(str(result.message)), pytrace=False)
    if result.outcome is Outcome.SKIP:
        pytest.skip(visible(str(result.message)))
    if result.outcome is Outcome.NOTE:
        item.config.stash[LINES].append(f"note: {result.name}: {visible(str(result.message))}")
    return result


@contextmanager
def _once(item: RuleItem) -> Iterator[None]:
    """Let only the first item report why its target cannot be used; the others are skipped for it."""
    faults = item.session.config.stash.setdefault(FAULTS, {})
    try:
        yield
    except Exception as fault:
        first = faults.setdefault(f"{type(fault)}: {fault}", item.nodeid)
        if first != item.nodeid:
            pytest.skip(f"not judged, for the same reason as {first}")
        if isinstance(fault, InputError):
            pytest.fail(str(fault), pytrace=False)
        raise


def _check_target(item: RuleItem, target: object) -> None:
    """Raises InputError for what is no target, or not that of the command line."""
    expected, fixture = TARGETS[item.side], f"hookproof_{item.side}"
    if type(target) is not expected:
        raise InputError(
            "the fixture {fixture} must return a {expected} (from conformance import {expected}), "
            "not a {type}",
            fixture=fixture,
            expected=expected.__name__,
            type=type(target).__name__,
        )
    assert isinstance(target, Target)  # noqa: S101 - it is of that class
    url = values(item.config).get(expected.URL)
    if url is not None and url != target.url:
        raise InputError(
            "{option} is {url}, but the fixture {fixture} of a conftest.py returns {other}: use one "
            "of them",
            option=written(item.config, pytest_options()[expected.URL]),
            url=url,
            fixture=fixture,
            other=target.url,
        )


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
        # Line 0 of no file, so that pytest shows no source line of ours.
        warnings.warn_explicit(explanation(hookproof_result), HookproofWarning, "hookproof", 0)


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
