"""Installed in other people's projects, the plugin breaks nothing, costs little, and works beside others."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.pytest_plugin.parts import LIGHT, SECRET, Run, at

PROJECT = Path(__file__).with_name("project")
PLUGINS = ("django", "pytest_django", "pytest_randomly", "pytest_timeout", "xdist")

OF_OURS = """
import sys

def test_nothing_of_hookproof_is_imported():
    assert [name for name in sys.modules if name.partition(".")[0] == "conformance"] == []
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the example project."""
    absent = [name for name in PLUGINS if find_spec(name) is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    return Path(shutil.copytree(PROJECT, tmp_path / "project"))


@pytest.mark.parametrize("workers", [["-p", "no:xdist"], ["-n2"]], ids=["alone", "xdist"])
def test_the_suite_runs_beside_the_plugins_and_options_of_a_project(
    project: Path, workers: list[str]
) -> None:
    rules = ["--hookproof-rules=receiver.accepts.unknown-type"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", *rules, *workers],
        cwd=project,
        capture_output=True,
        text=True,
    )
    shown = pytest.RunResult.parse_summary_nouns(ran.stdout.splitlines())
    assert shown == {"passed": 14, "warnings": 1}, ran.stdout + ran.stderr
    assert ran.stdout.count("answered 400") == 1
    (plugins,) = (line for line in ran.stdout.splitlines() if line.startswith("plugins: "))
    assert all(name in plugins for name in ("django", "randomly", "timeout"))


def test_short_names_are_given_up_one_by_one(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_addoption(parser): parser.addoption('--secret')")
    pytester.makepyfile(
        "def test_it(pytestconfig): assert pytestconfig.getoption('--secret') == 'mine'"
    )
    run("--secret=mine").assert_outcomes(passed=1)
    result = run("--secret=mine", "--endpoint=http://h/")
    result.stderr.fnmatch_lines(["ERROR: --endpoint: needs --hookproof-secret too*"])


def test_help_shows_both_names(run: Run) -> None:
    run("--help").stdout.fnmatch_lines(["*--hookproof-endpoint=URL*", "*--endpoint=URL*"])


@pytest.mark.parametrize("args", [[], ["-n1"]], ids=["alone", "xdist"])
def test_a_session_that_does_not_use_it_imports_nothing(
    pytester: pytest.Pytester, args: list[str]
) -> None:
    pytester.makepyfile(OF_OURS)
    pytester.runpytest_subprocess(*LIGHT, *args).assert_outcomes(passed=1)


@pytest.mark.parametrize("safe_path", [[], ["-P"]], ids=["module", "command"])
def test_a_package_of_the_same_name_is_left_alone(
    pytester: pytest.Pytester, safe_path: list[str]
) -> None:
    own = pytester.mkpydir("conformance")
    (own / "test_receiver.py").write_text("def test_receiver(): ...\n", encoding="utf-8")
    pytester.makeconftest("import conformance.test_receiver")
    pytester.makepyfile("import conformance\ndef test_it(): assert conformance.test_receiver")
    (pytester.path / "rules.hookproof.yaml").write_text("rules: []\n", encoding="utf-8")
    result = pytester.run(sys.executable, *safe_path, "-m", "pytest", *LIGHT)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"hookproof: does nothing here*{own}"])
    assert str(result.stdout).count("hookproof:") == 1


def test_collection_does_not_load_the_engine(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import sys

        def pytest_collection_finish(session):
            heavy = {"aiohttp", "jinja2", "rich", "conformance.engine.runner"} & set(sys.modules)
            assert len(session.items) > 100
            assert heavy == set(), heavy
        """
    )
    suite = ("--pyargs", "conformance", "--collect-only", "-q")
    result = pytester.runpytest_subprocess(*LIGHT, *suite)
    assert result.ret == pytest.ExitCode.OK, str(result.stdout)


UNUSABLE = {
    "secret": 'return Target(url="http://h/", secret="env:NOT_SET_ANYWHERE")',
    "type": 'return "http://h/"',
    "fixture": 'raise OSError("no application")',
}


@pytest.mark.parametrize("body", UNUSABLE.values(), ids=UNUSABLE)
def test_a_target_that_cannot_be_used_is_one_error(
    run: Run, pytester: pytest.Pytester, body: str
) -> None:
    pytester.makeconftest(
        f"""
        import pytest
        from conformance import Target

        @pytest.fixture(scope="session")
        def hookproof_receiver():
            {body}
        """
    )
    result = run("--pyargs", "conformance", rules="receiver.accepts.unknown-type")
    result.assert_outcomes(errors=1, skipped=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_an_unusable_url_is_one_error_and_not_one_for_each_item(run: Run) -> None:
    result = run(
        "--pyargs",
        "conformance",
        "--endpoint=http://127.0.0.1:1/",
        f"--secret={SECRET}",
        rules="receiver.accepts.unknown-type",
    )
    result.assert_outcomes(errors=1, skipped=2)


WHERE = {
    "own module": ["test_webhook.py"],
    "package": ["--pyargs", "conformance.test_receiver"],
}


@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
def test_a_printed_id_can_be_pasted_back(
    run: Run, base: str, pytester: pytest.Pytester, where: list[str]
) -> None:
    pytester.makepyfile(test_webhook="from conformance.test_receiver import test_receiver")
    first = run(*at(base), *where, "-rA", rules="receiver.accepts.unknown-type")
    ids = [line.split()[1] for line in first.outlines if line.startswith("PASSED ")]
    assert len(ids) == 3
    run(*at(base), ids[0]).assert_outcomes(passed=1)
