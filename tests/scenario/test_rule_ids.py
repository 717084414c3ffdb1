"""What is known of a rule stands in its YAML: the code names no rule."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.scenario.load import built_in, group_titles

PACKAGE = Path(__file__).parents[2] / "conformance"
RULES = [scenario.rule.id for side in ("receiver", "sender") for scenario in built_in(side)]
GROUPS = {rule.rpartition(".")[0] for rule in RULES}
ID = re.compile("|".join(rf"{re.escape(group)}\." for group in sorted(GROUPS)))

NAMES_RULES = {
    "gallery": "each faulty peer names the rules that must catch it",
    "fuzz/strategies": "what is drawn has the shape of a rule, so that the rule's failure explains it",
}
"""folder → why it names rules."""


def texts(tree: ast.Module) -> Iterator[str]:
    """The strings of a module, without docstrings: those of `tree` that are evaluated."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_code_names_no_rule():
    named = {
        f"{path.relative_to(PACKAGE)}: {text}"
        for path in PACKAGE.rglob("*.py")
        if not str(path.relative_to(PACKAGE)).startswith(tuple(NAMES_RULES))
        for text in texts(ast.parse(path.read_text(encoding="utf-8")))
        if ID.search(text)
    }
    assert named == set()


@pytest.mark.parametrize("place", NAMES_RULES)
def test_where_rules_are_named_they_are(place: str):
    trees = (
        ast.parse(path.read_text(encoding="utf-8")) for path in (PACKAGE / place).rglob("*.py")
    )
    assert any(ID.search(text) for tree in trees for text in texts(tree))


def test_every_group_of_rules_has_a_title_in_both_languages():
    titled = {f"{side}.{name}" for side, groups in group_titles().items() for name in groups}
    assert titled == GROUPS
    titles = [title for groups in group_titles().values() for title in groups.values()]
    assert all(title.en and title.zh for title in titles)
