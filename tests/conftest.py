"""For all tests: `pytester`, a browser, and no skips where nothing may be skipped.

With HOOKPROOF_NO_SKIPS=1, as in this repository's own CI, a test or a module that would be skipped
fails with the reason. The inner runs of `pytester` have a conftest of their own.
"""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from conformance.serving import certificates
from tests.reporting.browser import Pages, chromium

pytest_plugins = ["pytester", "tests.pytest_plugin.parts"]
collect_ignore = ["pytest_plugin/project"]  # a project for inner runs


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Asked for by xdist alone: items of the suite itself run here without the extra `test`."""
    from tests.clocked import Clocked

    return Clocked(config, log)


def pytest_collection_finish() -> None:
    """Thousands of items live until the end: the garbage collector need not look at them every time."""
    gc.collect()
    gc.freeze()


settings.register_profile("hookproof", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("hookproof")

NO_SKIPS = os.environ.get("HOOKPROOF_NO_SKIPS") == "1"


def _no_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} (HOOKPROOF_NO_SKIPS=1: nothing may be skipped)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. Ends with the module: while it runs, no loop of asyncio can be run in this thread."""
    with chromium() as started:
        yield started


@pytest.fixture
def pages(browser: Any) -> Iterator[Pages]:
    """Opens pages; a page in which anything goes wrong fails the test."""
    opened = Pages(browser)
    yield opened
    opened.close()
    assert opened.faults == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine, and its key."""
    if certificates.missing() is not None:
        pytest.skip("openssl is not installed")
    return certificates.make(tmp_path_factory.mktemp("tls"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _no_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _no_skip(report)
    return report
