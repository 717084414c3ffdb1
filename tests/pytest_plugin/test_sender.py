"""The pytest face for senders, from outside: inner runs in a folder that is not the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.pytest_plugin.parts import RULE, SECRET, Run

SENDER_RULE = """\
  - rule: sender.house.{name}
    level: MUST
    title: It goes as the house says
    steps:
      - emit: {{}}
        expect: {{arrives: {arrives}}}
"""


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """The reference sender as a process of its own."""
    command = [sys.executable, "-m", "conformance", "serve", "sender", "--port", "0"]
    with subprocess.Popen(
        [*command, "--backoff-base", "0.05"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def sender_at(api: str) -> list[str]:
    return [f"--sender-url={api}", f"--emit-url={api}/Emit", f"--secret={SECRET}"]


def test_without_a_url_the_embedded_sender_is_judged(run: Run) -> None:
    result = run("--pyargs", "conformance", rules="sender.wire.*")
    assert result.parseoutcomes().keys() == {"passed"}
    result.stdout.fnmatch_lines(["the embedded reference sender*"])


def test_with_only_a_sender_only_its_suite_runs(run: Run, api: str) -> None:
    result = run("--pyargs", "conformance", "-v", "-rs", *sender_at(api), "-k", "wire or https")
    assert "receiver." not in str(result.stdout)
    assert result.parseoutcomes().keys() == {"passed", "skipped", "deselected"}
    result.stdout.fnmatch_lines(
        [
            f"hookproof: {api} (dialect guide, seed 1)",
            "*::sender.wire.faithful[[]emoji[]] PASSED*",
            f"{api}: dialect guide, seed 1",
            "SKIPPED*: needs --tls-cert and --tls-key",
        ]
    )


def test_with_a_receiver_and_a_sender_both_suites_run(run: Run, base: str, api: str) -> None:
    rules = "--rules=receiver.http.keep-alive"
    both = [f"--endpoint={base}/webhook/receiver", *sender_at(api)]
    result = run("--pyargs", "conformance", "-v", *both, rules, rules="sender.config.create-list")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*::receiver.http.keep-alive PASSED*"])
    result.stdout.fnmatch_lines(["*::sender.config.create-list PASSED*"])


def test_a_file_may_hold_rules_about_both_sides(
    run: Run, base: str, api: str, pytester: pytest.Pytester
) -> None:
    rules = [
        RULE.format(name="kept", status="accepted"),
        SENDER_RULE.format(name="kept", arrives="true"),
        SENDER_RULE.format(name="odd", arrives="false"),
    ]
    (pytester.path / "both.hookproof.yaml").write_text(
        "rules:\n" + "".join(rules), encoding="utf-8"
    )
    result = run("-v", f"--endpoint={base}/webhook/receiver", *sender_at(api))
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["*sender.house.odd (MUST)*", "arrived, but must not", "sender.house.odd (MUST, beyond*"]
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_fixtures_of_a_project_provide_the_sender(
    run: Run, api: str, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(
        f"""
        import pytest
        from conformance import SenderTarget

        @pytest.fixture(scope="session")
        def hookproof_sender():
            command = "curl -sSf --data-binary @- {api}/Emit"
            return SenderTarget(url="{api}", secret="{SECRET}", emit_command=command)
        """
    )
    result = run("--pyargs", "conformance", rules="sender.wire.msgid-unique")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"{api}: dialect guide, seed 1"])
    assert SECRET not in str(result.stdout)


@pytest.mark.parametrize("value", ["Target(url='http://h/', secret='s')", "'http://h/'"])
def test_a_fixture_that_returns_no_sender_is_a_clear_error(
    run: Run, pytester: pytest.Pytester, value: str
) -> None:
    pytester.makeconftest(
        f"""
        import pytest
        from conformance import Target

        @pytest.fixture(scope="session")
        def hookproof_sender():
            return {value}
        """
    )
    result = run("--pyargs", "conformance", rules="sender.wire.method")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*the fixture hookproof_sender must return a SenderTarget*, not a *"]
    )
