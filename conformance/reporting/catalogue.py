"""The catalogue of rules as text, as a Markdown page and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from conformance.model.language import Language
from conformance.model.sentence import Sentence
from conformance.scenario.load import built_in
from conformance.scenario.records import Scenario

SIDES = ("receiver", "sender")


def as_text(language: Language) -> str:
    """A line for each rule: id, level, title, source."""
    lines = []
    for scenario in _scenarios():
        rule = scenario.rule
        source = f"  ({rule.source})" if rule.source else ""
        lines.append(f"{rule.id:42} {rule.level.value:6} {rule.title.in_(language)}{source}")
    return "\n".join(lines)


def as_data(language: Language) -> str:
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
            for scenario in _scenarios()
        ],
        ensure_ascii=False,
        indent=1,
    )


def as_markdown(language: Language) -> str:
    """The catalogue as a Markdown page: a chapter for each group, a section for each rule."""
    lines = [f"# {_TITLE.in_(language)}", "", _NOTE.in_(language)]
    chapter = ""
    for scenario in _scenarios():
        rule = scenario.rule
        group = ".".join(rule.id.split(".")[:2])
        if group != chapter:
            chapter = group
            lines += ["", f"## {group}"]
        source = f" · {rule.source}" if rule.source else ""
        needs = f" · {_NEEDS.in_(language)} {', '.join(scenario.needs)}" if scenario.needs else ""
        lines += ["", f"### {rule.id}", "", f"**{rule.title.in_(language)}** "]
        lines[-1] += f"({rule.level.value}{source}{needs})"
        lines += ["", _escape(rule.why.in_(language)), "", _escape(rule.fix.in_(language))]
    return "\n".join(lines) + "\n"


_MARKDOWN = re.compile(r"([\\`*_<>\[\]|])")


def _escape(text: str) -> str:
    """`text` without anything that Markdown would format."""
    return _MARKDOWN.sub(r"\\\1", text)


_TITLE = Sentence("The rules")
_NOTE = Sentence(
    "Made by `hookproof rules --markdown` from `scenarios/`. For each rule: what it "
    "requires, how binding it is, the section of the guide, what judging it needs; why "
    "it matters; how to fix it."
)
_NEEDS = Sentence("needs")


def _scenarios() -> Iterator[Scenario]:
    for side in SIDES:
        yield from built_in(side)
