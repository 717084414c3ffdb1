"""The catalogue of rules, as text and as data."""

from __future__ import annotations

import json
from collections.abc import Iterator

from conformance.scenario import Scenario, built_in

SIDES = ("receiver", "sender")


def as_text(language: str) -> str:
    """A line for each rule: id, level, title, source."""
    lines = []
    for scenario in _every():
        rule = scenario.rule
        source = f"  ({rule.source})" if rule.source else ""
        lines.append(f"{rule.id:42} {rule.level.value:6} {rule.title.in_(language)}{source}")
    return "\n".join(lines)


def as_data(language: str) -> str:
    """The catalogue as a JSON array of objects."""
    return json.dumps(
        [
            {
                "rule": scenario.rule.id,
                "level": scenario.rule.level.value,
                "source": scenario.rule.source,
                "cases": [case.name for case in scenario.cases if case.name is not None],
                "needs": list(scenario.needs),
                "title": scenario.rule.title.in_(language),
                "why": scenario.rule.why.in_(language),
                "fix": scenario.rule.fix.in_(language),
            }
            for scenario in _every()
        ],
        ensure_ascii=False,
        indent=1,
    )


def _every() -> Iterator[Scenario]:
    for side in SIDES:
        yield from built_in(side)
