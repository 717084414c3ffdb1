"""Imports point down: what stands lower knows nothing of what stands higher."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import conformance

PACKAGE = Path(conformance.__file__).parent

LAYERS = [
    {"errors", "clock", "text", "safe", "message", "forms", "edits"},
    {"resources", "rules", "serving", "certificates", "database", "extras", "yaml_file"},
    {"schema", "delivery", "commits", "pages"},
    {"markup", "dialect", "quick"},
    {"exchange", "result"},
    {"config", "damage", "curl"},
    {"schemes", "emission"},
    {"scenario", "trace"},
    {"wire", "receiver", "sender", "fuzz"},
    {"checks"},
    {"report", "compare"},
    {"engine"},
    {"gallery", "demo", "load"},
    {"render"},
    {"api", "charts"},
    {"trace_command"},
    {"cli", "pytest_plugin"},
    {"test_receiver", "test_sender", "__main__"},
]
"""From values at the bottom to faces at the top; a package counts as one."""

RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

# Start-up counts: a command of the CLI imports what it needs, and the plugin loads in every pytest run.
LATE = {"cli", "trace_command", "pytest_plugin", "test_receiver", "test_sender"}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        if "stacks" not in path.parts and path != PACKAGE / "__init__.py":
            yield path


def home(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(node):
    if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("conformance."):
        return {node.module.split(".")[1]}
    if isinstance(node, ast.ImportFrom) and node.module == "conformance":
        return {alias.name for alias in node.names} & set(RANK)
    if isinstance(node, ast.Import):
        names = [alias.name.split(".") for alias in node.names]
        return {parts[1] for parts in names if parts[0] == "conformance" and len(parts) > 1}
    return set()


def test_every_module_has_its_layer():
    assert {home(path) for path in modules()} <= set(RANK)


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    own = home(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {name for node in ast.walk(tree) for name in imported(node)} - {own}
    upward = {name for name in names if RANK[name] >= RANK[own]}
    assert upward == set()


@pytest.mark.parametrize(
    "path",
    [path for path in modules() if home(path) not in LATE],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_nothing_is_imported_inside_a_function(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    late = [
        node
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert late == []


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
