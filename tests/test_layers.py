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

FACES = {"__init__", "__main__", "api", "test_receiver", "test_sender"}
"""The modules that stand loose at the package's root."""

LAYERS = [
    {"model"},
    {"protocol"},
    {"scenario", "options", "trace", "storage"},
    {"wire", "sender", "receiver", "serving"},
    {"checks"},
    {"engine", "fuzz", "load", "gallery"},
    {"reporting", "live"},
    {"cli", "pytest_plugin", *FACES},
]
"""Folders from values to faces. Those of one layer may import each other, but not in a circle."""

RANK = {folder: rank for rank, layer in enumerate(LAYERS) for folder in layer}

# Start-up counts: a command of the CLI imports what it needs, and the plugin loads in every pytest run.
LATE = {"__init__", "cli", "pytest_plugin", "test_receiver", "test_sender"}


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


def top(module: str) -> str:
    return module.partition(".")[0]


def side(module: str) -> str | None:
    """Of checks and engine: "receiver" or "sender"; None for what both share."""
    folder, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    return name if folder in ("checks", "engine") and name in ("receiver", "sender") else None


def listed(found) -> str:
    return "\n".join(sorted({str(it) for it in found}))


def test_every_folder_stands_in_a_layer_and_nothing_else_is_loose_at_the_root():
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
        for name in (
            "api",
            "cli.main",
            "reporting.load",
            "load.launch",
            "load.side",
            "load.handover",
        )
    ]
    assert {"locust", "gevent"} & loaded(*core, "conformance.engine.receiver.side") == set()


def test_what_runs_inside_locust_is_not_asynchronous():
    inside = loaded("conformance.load.plugin", "conformance.reporting.languages")
    assert {
        "aiohttp",
        "uvloop",
        "conformance.wire",
        "conformance.engine.receiver.side",
    } & inside == set()
