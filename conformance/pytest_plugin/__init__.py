"""The pytest plugin: options, fixtures, collection, and lines in the summary.

It loads in every pytest run wherever Hookproof is installed. So it imports nothing heavy and does
nothing until an item of ours is collected or a fixture of ours is requested.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.pytest_plugin.target import LINES, SEED, SenderTarget, Target

if TYPE_CHECKING:
    from conformance.model.report import Result
    from conformance.pytest_plugin.items import RuleItem, ScenarioFile

SCENARIOS = ".hookproof.yaml"
"""The end of the name of a scenario file."""

SUITES = {"test_receiver": "receiver", "test_sender": "sender"}
"""Test function → the side whose suite it becomes. The function is in a module of the same name."""

VALIDATED = (
    "--endpoint",
    "--secret",
    "--sender-url",
    "--emit-url",
    "--observer-url",
    "--restart-command",
    "--also-url",
    "--dialect",
    "--rules",
    "--fuzz",
    "--hookproof-seed",
    "--hookproof-trace",
)
"""The options with values that must be validated."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hookproof", "webhook conformance (hookproof)")

    def option(name: str, text: str, **settings: Any) -> None:
        dest = "hookproof_" + name.removeprefix("--").removeprefix("hookproof-").replace("-", "_")
        group.addoption(name, dest=dest, help=text, **settings)

    option("--endpoint", "The receiver to judge; without it, an embedded one.", metavar="URL")
    option("--secret", "What messages are signed with; or env:NAME, file:PATH.", metavar="S")
    option("--sender-url", "The API of the sender to judge; else an embedded one.", metavar="URL")
    option("--emit-url", "Takes one message event for the sender as JSON.", metavar="URL")
    option("--observer-url", 'With {msgId}; answers {"count": N}.', metavar="TEMPLATE")
    option("--restart-command", "Kills the target hard and starts it again.", metavar="CMD")
    option("--also-url", "Another instance of the same service.", metavar="URL")
    option("--dialect", "A dialect's name or its file (guide).", metavar="NAME|FILE")
    option(
        "--rules",
        "Of the built-in rules only these (repeatable).",
        metavar="GLOB",
        action="append",
        default=[],
    )
    option(
        "--fuzz",
        "Examples for each fuzz rule, and drawn messages for a sender (200); 0 turns them off.",
        metavar="N",
        type=int,
    )
    option("--hookproof-seed", "A number (1), or `random`.", metavar="N")
    option("--hookproof-strict", "A broken SHOULD fails too.", action="store_true")
    option(
        "--hookproof-trace",
        "Write every exchange to this SQLite file; a second run to FILE-2, and so on.",
        metavar="FILE",
        type=Path,
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LINES] = []
    worker = getattr(config, "workerinput", None)
    if worker is not None:  # the controller has validated the options
        config.stash[SEED] = worker.get("hookproof_seed", 1)
    elif any(config.getoption(name) not in (None, []) for name in VALIDATED):
        from conformance.pytest_plugin.runs import check_options

        config.stash[SEED] = check_options(config)
    else:
        config.stash[SEED] = 1


def pytest_report_header(config: pytest.Config) -> str | None:
    urls = filter(None, (config.option.hookproof_endpoint, config.option.hookproof_sender_url))
    targets = ", ".join(urls)
    if not targets:
        return None
    dialect = config.option.hookproof_dialect or "guide"
    return f"hookproof: {targets} (dialect {dialect}, seed {config.stash[SEED]})"


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[RuleItem] | None:
    side = SUITES.get(name)
    if side is None or getattr(obj, "__module__", "") != f"conformance.{name}":
        return None
    from conformance.pytest_plugin.items import built_in

    return list(built_in(collector, obj, side))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    if not file_path.name.endswith(SCENARIOS):
        return None
    from conformance.pytest_plugin.items import ScenarioFile

    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.fixture(scope="session")
def hookproof_receiver(pytestconfig: pytest.Config) -> Iterator[Target]:
    """The receiver under test: that of --endpoint and --secret, else an embedded reference receiver.

    Override it in the conftest.py of your root folder to judge your own application, started once
    for the session:

        @pytest.fixture(scope="session")
        def hookproof_receiver():
            with my_application_in_a_thread() as base:
                yield Target(url=base + "/webhook/receiver", secret="…")

    with `from conformance import Target`. Then run `pytest --pyargs conformance`, or
    write `from conformance.test_receiver import test_receiver` in a test module of your own, which
    sees the fixtures of the folders above it.
    """
    from conformance.pytest_plugin.runs import embedded_receiver, receiver_option

    target = receiver_option(pytestconfig)
    if target is not None:
        yield target
        return
    with embedded_receiver() as target:
        yield target


@pytest.fixture(scope="session")
def hookproof_observer(hookproof_receiver: Target) -> str | None:
    """The observer, which counts how often a message took effect: a URL with `{msgId}` in it, whose GET
    answers `{"count": N}`; None without one. The receiver's `observer_url` unless overridden."""
    return hookproof_receiver.observer_url


@pytest.fixture(scope="session")
def hookproof_sender(pytestconfig: pytest.Config) -> Iterator[SenderTarget]:
    """The sender under test: that of --sender-url and --secret, else an embedded reference sender.

    Override it in the conftest.py of your root folder, as `hookproof_receiver`, and yield a
    `SenderTarget` (`from conformance import SenderTarget`).
    """
    from conformance.pytest_plugin.runs import embedded_sender, sender_option

    target = sender_option(pytestconfig)
    if target is not None:
        yield target
        return
    with embedded_sender() as target:
        yield target


@pytest.fixture
def hookproof_result(request: pytest.FixtureRequest) -> Result:
    """The result of this item's case, as soon as its run has it. If the case was not judged, the item
    is skipped or ends in an error."""
    from conformance.pytest_plugin.items import wait_for_result

    # Only the target of the item's side is set up.
    if request.node.side == "sender":
        return wait_for_result(request.node, request.getfixturevalue("hookproof_sender"), None)
    target = request.getfixturevalue("hookproof_receiver")
    return wait_for_result(request.node, target, request.getfixturevalue("hookproof_observer"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from conformance.pytest_plugin.xdist import SPLITTING, OneWorkerScheduling

    return OneWorkerScheduling(config, log) if config.getoption("dist") in SPLITTING else None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["hookproof_seed"] = node.config.stash[SEED]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # A worker that crashed has no output.
    node.config.stash[LINES] += getattr(node, "workeroutput", {}).get("hookproof", [])


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["hookproof"] = session.config.stash[LINES]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = terminalreporter.config.stash[LINES]
    if lines:
        terminalreporter.section("hookproof")
        for line in lines:
            terminalreporter.line(line)
