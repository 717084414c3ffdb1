"""Imports point down: what stands lower knows nothing of what stands higher."""

import ast
import subprocess
import sys
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import conformance

PACKAGE = Path(conformance.__file__).parent

LAYERS = [
    {"model"},
    {"protocol"},
    {"scenario", "options", "trace", "storage"},
    {"wire", "sender", "receiver", "serving"},
    {"checks"},
    {"engine", "fuzz", "load", "gallery"},
    {"reporting", "live"},
    {"api", "cli", "pytest_plugin"},
]
"""Folders from values to faces. Those of one layer may import each other, but not in a circle."""

HOMES = {
    "model": "clock errors exchange extras report result rules safe text",
    "protocol": "config damage delivery dialect edits forms message quick resources schema schemes",
    "scenario": "dialect_file emission scenario yaml_file",
    "options": "options",
    "trace": "trace",
    "storage": "commits database",
    "wire": "curl wire",
    "sender": "sender",
    "receiver": "receiver",
    "serving": "certificates serving",
    "checks": "checks",
    "checks/receiver": (
        "checks.case checks.causes checks.facts checks.leaks checks.learning checks.loss "
        "checks.recorded checks.whole_run checks.wording"
    ),
    "checks/sender": "checks.sender",
    "engine": "engine",
    "engine/receiver": (
        "engine.bridge engine.compose engine.diagnosis engine.fuzzing engine.receiver engine.run "
        "engine.sequence engine.session engine.steps engine.telling engine.trial"
    ),
    "engine/sender": "engine.sender",
    "fuzz": "fuzz",
    "load": "load",
    "gallery": "gallery",
    "reporting": "charts compare markup pages render reporting",
    "live": "receiver.live",
    "api": "__init__ __main__ api test_receiver test_sender",
    "cli": "cli demo trace_command",
    "pytest_plugin": "pytest_plugin",
}
"""Folder → the modules and packages that belong into it; the longest name that fits decides."""

RANK = {folder: rank for rank, layer in enumerate(LAYERS) for folder in layer}
HOME = {name: folder for folder, names in HOMES.items() for name in names.split()}

# Start-up counts: a command of the CLI imports what it needs, and the plugin loads in every pytest run.
LATE = {"__init__", "cli", "trace_command", "pytest_plugin", "test_receiver", "test_sender"}


class Import(NamedTuple):
    """`importer` and `imported` are modules of the package, without its name."""

    importer: str
    line: int
    imported: str
    late: bool
    """Whether it stands inside a function."""

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


@cache
def modules() -> dict[str, Path]:
    """Every module by its name; programs of the gallery's other stacks are none."""
    paths = [path for path in PACKAGE.rglob("*.py") if "stacks" not in path.parts]
    return {name_of(path): path for path in paths}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


@cache
def imports() -> list[Import]:
    """Every import of one module by another, wherever it stands."""
    return [
        Import(name, node.lineno, imported, late)
        for name, path in modules().items()
        for node, late in walk(ast.parse(path.read_text(encoding="utf-8")))
        for imported in imported_by(node)
    ]


def walk(node, late=False):
    """Every import statement under `node`, and whether it stands inside a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, late
        yield from walk(child, late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def imported_by(node):
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        assert node.level == 0, "imports are absolute"
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    own = [name.removeprefix("conformance.") for name in names if name.startswith("conformance.")]
    for name in own:
        if name != "__version__":  # the package's own constant, which rests on nothing
            yield name if name in modules() else name.rpartition(".")[0] or "__init__"


def home(module: str) -> str:
    """The folder that `module` belongs into."""
    name = module
    while name not in HOME:
        name, _, _ = name.rpartition(".")
        assert name, f"{module} has no home"
    return HOME[name]


def top(module: str) -> str:
    return home(module).partition("/")[0]


def side(module: str) -> str | None:
    """Of checks and engine: "receiver" or "sender"; None for what both share."""
    return home(module).partition("/")[2] or None


def listed(found) -> str:
    return "\n".join(sorted({str(it) for it in found}))


def test_every_module_has_a_home_in_a_layer():
    assert {top(name) for name in modules()} == set(RANK)


def test_imports_point_down():
    assert listed(it for it in imports() if RANK[top(it.imported)] > RANK[top(it.importer)]) == ""


def test_folders_do_not_import_each_other_in_a_circle():
    between = [it for it in imports() if top(it.importer) != top(it.imported)]
    needs = defaultdict(set)
    for it in between:
        needs[top(it.importer)].add(top(it.imported))
    circle = set()
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as fault:
        circle = set(fault.args[1])
    assert listed(it for it in between if {top(it.importer), top(it.imported)} <= circle) == ""


def test_each_side_stands_without_the_other():
    other = {"receiver": "sender", "sender": "receiver"}
    assert (
        listed(
            it
            for it in imports()
            if side(it.imported) is not None and side(it.importer) == other[side(it.imported)]
        )
        == ""
    )


def test_nothing_is_imported_inside_a_function():
    assert (
        listed(it for it in imports() if it.late and it.importer.partition(".")[0] not in LATE)
        == ""
    )


def loaded(*names):
    """What is in the process after these modules have been imported."""
    code = f"import {', '.join(names)}, sys; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())


def test_locust_never_enters_the_process_of_the_core():
    core = [
        f"conformance.{name}"
        for name in ("api", "cli", "render.load", "load.launch", "load.verdict", "load.document")
    ]
    assert {"locust", "gevent"} & loaded(*core, "conformance.engine.run") == set()


def test_what_runs_inside_locust_is_not_asynchronous():
    inside = loaded("conformance.load.plugin", "conformance.render.load")
    assert {"aiohttp", "uvloop", "conformance.wire", "conformance.engine.run"} & inside == set()
