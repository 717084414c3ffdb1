"""Imports point down: what stands lower knows nothing of what stands higher."""

import ast
import subprocess
import sys
from functools import cache

from tests.places import PACKAGE

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


@cache
def modules():
    """The syntax of every module, by its path in the package; programs of other stacks are none."""
    return {
        str(path.relative_to(PACKAGE)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
        if "stacks" not in path.parts and path != PACKAGE / "__init__.py"
    }


def home(path):
    return path.partition("/")[0].removesuffix(".py")


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


def test_imports_point_down():
    upward = [
        f"{path}:{node.lineno} imports {name}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        for name in imported(node) - {home(path)}
        if RANK[name] >= RANK[home(path)]
    ]
    assert upward == []


def test_nothing_is_imported_inside_a_function():
    late = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        if home(path) not in LATE
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
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
