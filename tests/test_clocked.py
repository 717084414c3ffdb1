"""How the tests are shared out, and that the suite's own items need none of that."""

import subprocess
import sys

import pytest

from tests.places import TESTS


def test_modules_that_judge_by_the_clock_go_to_one_worker():
    pytest.importorskip("xdist", reason="needs pytest-xdist")
    from tests.clocked import CLOCKED, SLOW, Clocked

    scope = Clocked._split_scope
    assert {scope(None, f"tests/{name}::test_it") for name in CLOCKED} == {"clocked"}
    assert scope(None, "tests/test_text.py::test_it[a::b]") == "test_text.py"
    there = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    assert {*CLOCKED, *SLOW} <= there


def test_from_a_checkout_the_items_of_the_suite_need_no_extra():
    missing = ("xdist", "playwright", "pytest_asyncio", "axe_playwright_python", "pandas")
    code = f"import sys; sys.modules.update(dict.fromkeys({missing}))\nimport tests.conftest"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=TESTS.parent, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
