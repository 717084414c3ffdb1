"""The entry point of the pytest plugin: options, fixtures and hooks.

pytest loads it wherever Hookproof is installed, also in projects that never use it, and in those with a
package of their own called `conformance`. So it imports nothing of ours until an item of ours is collected,
an option is used, or a fixture is requested. The table of options is loaded by its path.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator, Sequence
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conformance.model.report import Result
    from conformance.options.table import Option
    from conformance.pytest_plugin.items import RuleItem, ScenarioFile
    from conformance.pytest_plugin.target import SenderTarget, Target

PACKAGE = Path(__file__).resolve().with_name("conformance")

SCENARIOS = ".hookproof.yaml"
"""The end of the name of a scenario file."""

SUITES = {"test_receiver": "receiver", "test_sender": "sender"}
"""Test function → the side whose suite it becomes. The function is in a module of the same name."""

LINES = pytest.StashKey[list[str]]()
"""The lines of the terminal summary: notes, and lines about each run."""
SEED = pytest.StashKey[int]()
SHORT = pytest.StashKey[set[str]]()
"""The short names that nobody else has in this session."""


def _load(path: str) -> ModuleType:
    """A module of ours by its path below the package, which imports nothing else of ours."""
    name = f"_hookproof_{Path(path).stem}"
    if name not in sys.modules:
        spec = spec_from_file_location(name, PACKAGE / path)
        assert spec is not None  # noqa: S101 - a file has one
        assert spec.loader is not None  # noqa: S101 - and a loader
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def _options() -> dict[str, Option]:
    declared: dict[str, Option] = _load("options/table.py").pytest_options()
    return declared


def _stranger() -> str | None:
    """Where `conformance` is a package of somebody else; None where it is ours."""
    spec = find_spec("conformance")
    places = [*(spec.submodule_search_locations or ()), spec.origin] if spec is not None else []
    if any(place and Path(place).resolve() == PACKAGE for place in places):
        return None
    return str(places[0]) if places else "missing"


def pytest_addoption(parser: pytest.Parser) -> None:
    for option in _options().values():
        _add(parser, option.long, option)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: Sequence[str]
) -> Generator[None]:
    """Add the short names that the command line uses, unless another plugin or a conftest.py has them."""
    yield
    words = {arg.partition("=")[0] for arg in args}
    groups = [parser._anonymous, *parser._groups]
    taken = {name for group in groups for option in group.options for name in option.names()}
    short = {option.brief: option for option in _options().values()}
    free = {name for name, option in short.items() if option.short and name not in taken}
    early_config.stash[SHORT] = free
    for name in sorted(free):
        if name in words or not words.isdisjoint(("-h", "--help")):
            _add(parser, name, short[name])


def _add(parser: pytest.Parser, name: str, option: Option) -> None:
    group = parser.getgroup("hookproof", "webhook conformance (hookproof)")
    text = option.help.format().replace("%", "%%")
    if option.kind.name == "FLAG":
        group.addoption(name, dest=option.dest, help=text, action="store_true")
        return
    action = "append" if option.many else "store"
    default = f" ({option.default_text})" if option.default_text else ""
    group.addoption(
        name, dest=option.dest, help=text + default, metavar=option.metavar, action=action
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash.setdefault(SHORT, set())
    config.stash[LINES] = []
    worker = getattr(config, "workerinput", None)
    config.stash[SEED] = 1 if worker is None else worker.get("hookproof_seed", 1)
    dests = [option.dest for option in _options().values()]
    used = any(getattr(config.option, dest) not in (None, False) for dest in dests)
    if used and worker is None and _stranger() is None:
        from conformance.pytest_plugin.command_line import check

        check(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    stranger = _stranger()
    if stranger is not None:
        return f"hookproof: does nothing here, since the package `conformance` is {stranger}"
    urls = filter(None, (config.option.hookproof_url, config.option.hookproof_api_url))
    targets = ", ".join(urls)
    if not targets:
        return None
    dialect = config.option.hookproof_dialect or "guide"
    return f"hookproof: {targets} (dialect {dialect}, seed {config.stash[SEED]})"


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """A suite outside of the root folder, with an id that can be pasted back: pytest's own would be cut."""
    path = module_path.resolve()
    if path.parent != PACKAGE or path.is_relative_to(parent.config.rootpath):
        return None
    nodeid = os.path.relpath(path, parent.config.rootpath).replace(os.sep, "/")
    module: pytest.Module = pytest.Module.from_parent(parent, path=module_path, nodeid=nodeid)
    return module


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[RuleItem] | None:
    side = SUITES.get(name)
    code = getattr(obj, "__code__", None)
    if side is None or code is None or Path(code.co_filename) != PACKAGE / f"{name}.py":
        return None
    from conformance.pytest_plugin.items import built_in

    return list(built_in(collector, obj, side))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    if not file_path.name.endswith(SCENARIOS) or _stranger() is not None:
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
    yield from _target(pytestconfig, "receiver")


@pytest.fixture(scope="session")
def hookproof_observer(hookproof_receiver: Target) -> str | None:
    """The observer, which counts how often a message took effect: a URL with `{msgId}` in it, whose GET
    answers `{"count": N}`; None without one. The receiver's `observer_url` unless overridden."""
    url: str | None = hookproof_receiver.observer_url
    return url


@pytest.fixture(scope="session")
def hookproof_sender(pytestconfig: pytest.Config) -> Iterator[SenderTarget]:
    """The sender under test: that of --sender-url and --secret, else an embedded reference sender.

    Override it in the conftest.py of your root folder, as `hookproof_receiver`, and yield a
    `SenderTarget` (`from conformance import SenderTarget`).
    """
    yield from _target(pytestconfig, "sender")


def _target(config: pytest.Config, side: str) -> Iterator[Any]:
    stranger = _stranger()
    if stranger is not None:
        pytest.fail(f"the package `conformance` is not Hookproof's but {stranger}", pytrace=False)
    from conformance.pytest_plugin.command_line import target_option
    from conformance.pytest_plugin.runs import EMBEDDED

    target = target_option(config, side)
    if target is not None:
        yield target
        return
    with EMBEDDED[side]() as embedded:
        yield embedded


@pytest.fixture
def hookproof_result(request: pytest.FixtureRequest) -> Result:
    """The result of this item's case, as soon as its run has it. If the case was not judged, the item
    is skipped or ends in an error."""
    from conformance.pytest_plugin.items import wait_for_result

    return wait_for_result(request)


@pytest.hookimpl(optionalhook=True, trylast=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    xdist = _load("pytest_plugin/xdist.py")
    splits = config.getoption("dist") in xdist.SPLITTING
    return xdist.OneWorkerScheduling(config, log) if splits else None


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
