"""The pytest face, from outside: inner runs of pytest in a folder that is not the checkout."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch

import pytest

from conformance.pytest_plugin.command_line import check
from tests.places import TESTS
from tests.pytest_plugin.parts import LIGHT, RULE, SECRET, Run, at, outcomes


@pytest.fixture(scope="module")
def judged(base: str, tmp_path_factory: pytest.TempPathFactory) -> pytest.LineMatcher:
    """What one run shows with a rule of each outcome in it."""
    names = [
        "accepts.documented-type",
        "accepts.unknown-type",
        "signature.stale-timestamp",
        "duplicate.across-instances",
    ]
    command = [sys.executable, "-m", "pytest", "--pyargs", "conformance", "-rs", *LIGHT, *at(base)]
    done = subprocess.run(
        [*command, *(f"--rules=receiver.{name}" for name in names)],
        cwd=tmp_path_factory.mktemp("judged"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    return pytest.LineMatcher(done.stdout.splitlines())


def test_outcomes_are_those_of_pytest(judged: pytest.LineMatcher) -> None:
    assert outcomes(judged) == {"passed": 12, "failed": 1, "skipped": 1, "warnings": 1}


def test_a_broken_must_shows_what_why_and_a_fix(judged: pytest.LineMatcher) -> None:
    judged.re_match_lines(
        [
            r"_+ receiver\.accepts\.documented-type\[43\] \(MUST\) _+",
            r"answered 500; expected 200",
            r"receiver\.accepts\.documented-type\[43\] \(MUST, .*\): .*",
            r"why: .*",
            r"fix: .*",
            r".*curl .*",
        ]
    )


def test_a_failure_shows_nothing_of_our_own_code(judged: pytest.LineMatcher) -> None:
    judged.no_fnmatch_line("*pytest_*.py:*")
    judged.no_fnmatch_line("*Traceback*")


def test_a_broken_should_is_a_warning(judged: pytest.LineMatcher) -> None:
    judged.fnmatch_lines(
        [
            "*::receiver.accepts.unknown-type[[]9999[]]",
            "*HookproofWarning: answered 400; expected 200",
        ]
    )


def test_a_broken_may_is_a_line_in_the_summary(judged: pytest.LineMatcher) -> None:
    judged.fnmatch_lines(
        ["*= hookproof =*", "note: receiver.signature.stale-timestamp[[]hour-old[]]: answered 200*"]
    )


def test_a_skip_says_what_it_needs(judged: pytest.LineMatcher) -> None:
    judged.fnmatch_lines(["SKIPPED*: needs *--*"])


def test_a_broken_should_fails_if_the_user_asks_for_it(run: Run, base: str) -> None:
    result = run.against(base, "--hookproof-strict", rules="receiver.accepts.unknown-type")
    result.assert_outcomes(passed=2, failed=1)


def test_warnings_turned_into_errors_make_no_must_of_a_should(run: Run, base: str) -> None:
    result = run.against(
        base, "-p", "no:asyncio", "-W", "error", rules="receiver.accepts.unknown-type"
    )
    result.assert_outcomes(passed=3, warnings=1)
    assert str(result.stdout).count("answered 400; expected 200") == 1


def test_warnings_turned_into_errors_do_not_break_the_run(run: Run, base: str) -> None:
    # aiohttp warns of a large body, in the thread of the run.
    result = run.against(base, "-W", "error::ResourceWarning", rules="receiver.accepts.large-media")
    result.assert_outcomes(passed=3)


def test_an_item_that_could_not_be_judged_is_an_error_not_a_failure(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result = run.against(
            f"http://127.0.0.1:{taken.getsockname()[1]}", rules="receiver.http.keep-alive"
        )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*cannot be judged: the connection was refused*"])


def test_the_observer_is_queried(run: Run, base: str) -> None:
    template = f"--observer-url={base}/processed?msgId={{msgId}}"
    result = run.against(base, template, rules="receiver.duplicate.processed-once")
    assert result.parseoutcomes().keys() == {"passed"}


def test_without_an_endpoint_the_embedded_receiver_is_judged(run: Run) -> None:
    result = run("--pyargs", "conformance", rules="receiver.accepts.*")
    assert result.parseoutcomes().keys() == {"passed"}
    result.stdout.fnmatch_lines(["the embedded reference receiver*"])


def test_a_rule_or_one_of_its_cases_can_be_selected(run: Run, base: str) -> None:
    item = "conformance.test_receiver::receiver.accepts.documented-type"
    result = run("--pyargs", *at(base), f"{item}[1]", "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*::receiver.accepts.documented-type[[]1[]] PASSED*"])


def test_fuzz_rules_are_items_with_the_requested_number_of_examples(run: Run) -> None:
    result = run("--pyargs", "conformance", "--fuzz=10", "-v", rules="receiver.fuzz.*")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*::receiver.fuzz.sequence PASSED*"])


def test_a_failing_fuzz_rule_shows_its_finding(
    run: Run, base: str, pytester: pytest.Pytester
) -> None:
    result = run.against(base, "--fuzz=30", rules="receiver.fuzz.malformed")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*expected an answer below 500 (MUST), with *", "*seed 1*"])
    assert (pytester.path / ".hookproof" / "examples").is_dir()


def test_fuzz_rules_can_be_turned_off(run: Run) -> None:
    result = run("--pyargs", "conformance", "--fuzz=0", rules="receiver.fuzz.*")
    result.assert_outcomes(skipped=4)


def test_the_last_failures_can_be_run_again(run: Run, base: str) -> None:
    run.against(base, rules="receiver.accepts.documented-type")
    again = run.against(base, "--lf", rules="receiver.accepts.documented-type")
    again.assert_outcomes(failed=1, deselected=7)


@pytest.mark.parametrize(
    ("args", "line"),
    [
        pytest.param(
            ["--rules=receiver.acepts.*"],
            "--rules: no rule fits 'receiver.acepts.*'*",
            id="unknown-rule",
        ),
        pytest.param(
            ["--endpoint=localhost:5000", "--secret=s"],
            "the endpoint: 'localhost:5000' must start with http://*",
            id="not-a-url",
        ),
        pytest.param(
            ["--endpoint=http://localhost/", "--secret=env:NO_SUCH_NAME"],
            "--secret: the environment variable NO_SUCH_NAME is not set",
            id="secret-not-set",
        ),
        pytest.param(
            ["--endpoint=http://localhost/"],
            "--endpoint: needs --secret too*",
            id="no-secret",
        ),
        pytest.param(
            ["--secret=s"],
            "--secret: needs --endpoint URL or --sender-url*",
            id="no-endpoint",
        ),
        pytest.param(
            ["--emit-url=http://h/", "--endpoint=http://h/", "--secret=s"],
            "--emit-url: needs --sender-url URL too*",
            id="no-sender",
        ),
        pytest.param(
            ["--observer-url=http://h/{msgId}", "--sender-url=http://h/", "--secret=s"],
            "--observer-url: needs --endpoint URL too*",
            id="no-receiver",
        ),
        pytest.param(
            ["--sender-url=http://localhost/"],
            "--sender-url: needs --secret too*",
            id="secret",
        ),
        pytest.param(
            ["--sender-url=http://h/?key=K", "--secret=s"], "the API: *", id="key-in-the-url"
        ),
        pytest.param(["--hookproof-seed=x"], "--hookproof-seed: 'x' is not *", id="odd-seed"),
        pytest.param(["--fuzz=-1"], "--fuzz: '-1' is not *", id="negative-fuzz"),
    ],
)
def test_an_unusable_value_is_reported_with_its_option(
    pytester: pytest.Pytester, args: list[str], line: str
) -> None:
    with pytest.raises(pytest.UsageError) as raised:
        check(pytester.parseconfig(*args))
    assert fnmatch(str(raised.value), line)


def test_an_unusable_value_is_a_usage_error_in_one_line(run: Run) -> None:
    result = run("--rules=receiver.acepts.*")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --rules: no rule fits 'receiver.acepts.[*]'*"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_the_secret_is_never_shown(run: Run, base: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_mine(hookproof_receiver):
            kept = hookproof_receiver
            assert kept is None
        """
    )
    (pytester.path / "s.hookproof.yaml").write_text(
        "rules:\n" + RULE.format(name="refused", status="refused"), encoding="utf-8"
    )
    files = ["--junitxml=junit.xml", "--hookproof-trace=run.db"]
    result = run(*at(base), "-vv", "-l", "--full-trace", "-rA", *files, ".")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["hookproof: http://*", "*kept * Target(url=*"])
    written = [(pytester.path / name).read_bytes() for name in ("junit.xml", "run.db")]
    assert written[1].startswith(b"SQLite format 3")
    shown = str(result.stdout) + str(result.stderr)
    assert SECRET not in shown
    assert not any(SECRET.encode() in each for each in written)


def workers(result: pytest.RunResult, pattern: str) -> set[str]:
    return set(re.findall(rf"^\[(gw\d+)\].* {pattern}", str(result.stdout), re.MULTILINE))


def test_under_xdist_one_worker_has_the_run_and_the_other_the_rest(
    run: Run, base: str, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_n(n): ..."
    )
    result = run("-n2", "-v", *at(base), ".", "--pyargs", "conformance", rules="receiver.accepts.*")
    assert result.parseoutcomes()["failed"] == 3
    ours = workers(result, r"\S*::receiver\.accepts")
    assert len(ours) == 1
    assert workers(result, r"\S*::test_n") - ours


def test_under_xdist_notes_and_a_random_seed_reach_the_summary(run: Run, base: str) -> None:
    stale = "receiver.signature.stale-timestamp"
    result = run.against(base, "-n2", "--hookproof-seed=random", rules=stale)
    result.stdout.fnmatch_lines([f"note: {stale}*"])
    seeds = set(re.findall(r"seed (\d+)", str(result.stdout)))
    assert len(seeds) == 1
    assert seeds != {"1"}


def test_under_xdist_other_tests_are_distributed_as_usual(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_n(n): ..."
    )
    result = run("-n2", "-v")
    result.assert_outcomes(passed=9)
    assert workers(result, r"\S*::test_n") == {"gw0", "gw1"}


def test_fixtures_of_a_project_provide_the_target(
    run: Run, base: str, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(
        f"""
        import pytest
        from conformance.pytest_plugin.target import Target

        @pytest.fixture(scope="session")
        def hookproof_receiver():
            return Target(url="{base}/webhook/receiver", secret="{SECRET}")

        @pytest.fixture(scope="session")
        def hookproof_observer():
            return "{base}/processed?msgId={{msgId}}"
        """
    )
    result = run("--pyargs", "conformance", rules="receiver.duplicate.processed-once")
    assert result.parseoutcomes().keys() == {"passed"}
    result.stdout.fnmatch_lines([f"{base}/webhook/receiver: dialect guide, seed 1"])


def test_a_module_of_a_project_may_import_the_suite(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_webhook="from conformance.test_receiver import test_receiver")
    result = run("-v", rules="receiver.http.keep-alive")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test_webhook.py::receiver.http.keep-alive PASSED*"])


def test_a_fixture_that_returns_no_target_is_a_clear_error(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def hookproof_receiver():
            return "http://localhost/"

        @pytest.fixture(scope="session")
        def hookproof_observer():
            return None
        """
    )
    result = run("--pyargs", "conformance", rules="receiver.http.keep-alive")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the fixture hookproof_receiver must return a Target*not a str"])


def test_scenario_files_are_collected_and_a_malformed_one_fails_alone(
    run: Run, base: str, pytester: pytest.Pytester
) -> None:
    rules = [RULE.format(name="kept", status="accepted"), RULE.format(name="odd", status="refused")]
    good, bad = pytester.path / "good.hookproof.yaml", pytester.path / "bad.hookproof.yaml"
    good.write_text("rules:\n" + "".join(rules), encoding="utf-8")
    bad.write_text("rules:\n" + rules[0].replace("level: MUST", "level: OUGHT"), encoding="utf-8")
    result = run(*at(base), "-v")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "bad.hookproof.yaml::malformed FAILED*",
            "good.hookproof.yaml::receiver.house.kept PASSED*",
            "good.hookproof.yaml::receiver.house.odd FAILED*",
            "*bad.hookproof.yaml:3: *",
            "*answered 200; expected anything but 2xx",
        ]
    )


@contextmanager
def no_skips(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("HOOKPROOF_NO_SKIPS", "1")
        yield


def test_a_forbidden_skip_fails_with_its_reason(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest((TESTS / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(
        test_one="import pytest\ndef test_one(): pytest.skip('no node here')",
        test_all="import pytest\npytest.skip('no curl here', allow_module_level=True)",
    )
    with no_skips(monkeypatch):
        result = pytester.runpytest_subprocess(*LIGHT, "-p", "no:hookproof")
    result.stdout.fnmatch_lines(["*no curl here*"])
    with no_skips(monkeypatch):
        result = pytester.runpytest_subprocess(*LIGHT, "-p", "no:hookproof", "test_one.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no node here (HOOKPROOF_NO_SKIPS=1*"])
