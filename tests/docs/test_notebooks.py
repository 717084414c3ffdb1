"""The notebooks run from scratch, and what is saved in them is from a run and tells nothing of a machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.patience import PATIENCE
from tests.places import ROOT

PAGES = sorted((ROOT / "notebooks").glob("*.ipynb"))

SHORTEST = "01-first-delivery"

each_notebook = pytest.mark.parametrize(
    "page", [pytest.param(each, id=each.stem) for each in PAGES]
)


def read(page: Path) -> Any:
    return nbformat.read(page, as_version=4)  # type: ignore[no-untyped-call]


def outputs(notebook: Any) -> str:
    """All that the cells have shown, as one text, but for pictures."""
    shown = [out for each in notebook.cells for out in each.get("outputs", ())]
    return json.dumps([{**out, "data": _texts(out.get("data", {}))} for out in shown])


def _texts(data: dict[str, Any]) -> dict[str, Any]:
    return {kind: content for kind, content in data.items() if not kind.startswith("image/")}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=() if page.stem == SHORTEST else pytest.mark.soak)
        for page in PAGES
    ],
)
def test_a_notebook_runs_from_scratch(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None and "openssl" in page.read_text(encoding="utf-8"):
        pytest.skip("openssl is not installed")
    # The kernel and the processes that it starts are those of this environment and this checkout.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    notebook = read(page)
    client = NotebookClient(
        notebook,
        timeout=int(2 * PATIENCE),
        kernel_name="python3",
        resources={"metadata": {"path": tmp_path}},
    )
    client.execute()
    assert "Traceback" not in outputs(notebook)
    assert list(tmp_path.iterdir()) == [], "it leaves nothing behind"


@each_notebook
def test_what_is_saved_is_one_run_from_top_to_bottom(page: Path) -> None:
    cells = [each for each in read(page).cells if each.cell_type == "code"]
    assert [each.execution_count for each in cells] == list(range(1, len(cells) + 1))
    assert not any(out.output_type == "error" for each in cells for out in each.outputs)
    assert sum(bool(each.outputs) for each in cells) >= len(cells) / 2


@each_notebook
def test_a_saved_notebook_names_nothing_of_the_machine(page: Path) -> None:
    said = outputs(read(page))
    assert re.findall(r"(?<![\w.])/(?:tmp|home|root|Users|var)/\S*", said) == []
    assert [each for each in ("site-packages", "ipykernel", str(ROOT)) if each in said] == []
    assert re.findall(rf"(?<!\w){re.escape(socket.gethostname())}(?!\w)", said) == []


@each_notebook
def test_a_notebook_begins_with_a_summary_in_chinese(page: Path) -> None:
    first = read(page).cells[0]
    assert first.cell_type == "markdown"
    title, summary = first.source.split("\n\n")[:2]
    assert title.startswith("# ")
    assert summary.startswith("> **摘要**")
    assert len(re.findall(r"[\u4e00-\u9fff]", summary)) >= 40


@each_notebook
def test_a_notebook_awaits_in_the_running_loop(page: Path) -> None:
    code = "\n".join(each.source for each in read(page).cells if each.cell_type == "code")
    assert "nest_asyncio" not in code
    assert "asyncio.run(" not in code


def test_the_notebooks_are_those_that_the_documentation_lists() -> None:
    text = (ROOT / "docs/notebooks.md").read_text(encoding="utf-8")
    listed = re.findall(r"\(\.\./notebooks/([\w-]+\.ipynb)\)", text)
    assert listed == [each.name for each in PAGES]
