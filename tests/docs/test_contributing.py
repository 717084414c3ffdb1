"""CONTRIBUTING.md follows one receiver case: the classes that it names are those that a run needs."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import CodeType

import pytest

from conformance.reporting.terminal import print_report
from tests.engine.receiver.memory import Receiver, judge

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WALK = PAGE.partition("## One receiver case")[2].partition("\n## ")[0]
TABLE, _, DETAILS = WALK.partition("| part | classes |")[2].partition("Others are details")
UNREACHED = {"Finding"}
"""On the way of a case that fails, not of one that passes."""


def names(table: str) -> set[str]:
    """The classes in the second column of a table."""
    cells = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")]
    return {name for cell in cells for name in re.findall(r"`(_?[A-Z]\w+)`", cell)}


def codes(of: type) -> Iterator[CodeType]:
    """The code of a class's own methods and properties."""
    for value in vars(of).values():
        function = getattr(value, "fget", None) or getattr(value, "__func__", value)
        if inspect.isfunction(inspect.unwrap(function)):
            yield inspect.unwrap(function).__code__


def needed() -> set[str]:
    """The classes whose code runs from the options to the terminal, without the receiver's own, and without
    enumerations: these are words."""
    ran: dict[int, CodeType] = {}  # by identity: small methods of two classes can be equal
    sys.setprofile(lambda frame, event, argument: ran.setdefault(id(frame.f_code), frame.f_code))
    try:
        print_report(judge(Receiver(), "receiver.signature.tampered-body").report)
    finally:
        sys.setprofile(None)
    return {
        value.__name__
        for name, module in list(sys.modules.items())
        if name.startswith("conformance.") and not name.startswith("conformance.receiver.")
        for value in vars(module).values()
        if inspect.isclass(value) and value.__module__ == name and not issubclass(value, Enum)
        if not getattr(value, "_is_protocol", False)
        and any(id(code) in ran for code in codes(value))
    }


@pytest.fixture(scope="module")
def classes() -> set[str]:
    """The same, by a process in which nothing is cached yet."""
    script = "from tests.docs.test_contributing import needed; print('\\n', *needed())"
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split())


def test_the_walk_names_every_class_that_a_case_needs(classes):
    assert names(TABLE) | names(DETAILS) == classes | UNREACHED


def test_twenty_five_classes_suffice_to_follow_a_case():
    assert len(names(TABLE)) <= 25
    assert not names(TABLE) & names(DETAILS)
