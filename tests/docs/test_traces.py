"""What docs/traces.md and docs/notebooks.md print holds: commands run on a trace, tables are complete."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from conformance import Trace, charts
from conformance.cli.main import main
from conformance.model.rules import Outcome
from conformance.trace.frames import DERIVED
from conformance.trace.tables import APPLICATION_ID, NARROW, VERSION
from tests.places import ROOT
from tests.trace.parts import SECRET, judged

DOCS = ROOT / "docs"
TEXT = (DOCS / "traces.md").read_text(encoding="utf-8")
SEEN = "42", "107"
"""A msgId and an id that the page prints."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


def first_column(heading: str) -> list[str]:
    """The code words in the first column of the table under `heading`."""
    (found,) = re.findall(rf"^\| {heading} \|.*?\n\n", TEXT + "\n\n", re.M | re.S)
    rows = found.strip().splitlines()[2:]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two traces of a run, and the printed capture."""
    place = tmp_path_factory.mktemp("docs")
    report = asyncio.run(judged(rules="receiver.signature.missing-signature"))
    for name in ("run.db", "before.db", "after.db"):
        report.trace.save(place / name)
    (place / "deliveries.jsonl").write_text(blocks("json")[0], encoding="utf-8")
    return place


COMMANDS = [
    line
    for line in [
        *"".join(blocks("sh")).splitlines(),
        *re.findall(r"\| `(hookproof [^`]+)` \|", TEXT),
    ]
    if line.startswith("hookproof trace")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_printed_command_runs(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOOKPROOF_SECRET", SECRET)
    with Trace.open("run.db") as trace:
        some = next(each for each in trace if each.msg_id is not None)
    for printed, real in zip(SEEN, (str(some.msg_id), str(some.id)), strict=True):
        command = re.sub(rf" {printed}\b", f" {real}", command)
    ran = CliRunner().invoke(main, shlex.split(command)[1:])
    # The one delivery that is printed came long after its time.
    assert ran.exit_code == 0, ran.output


def test_the_printed_capture_is_signed_and_fits_the_schema(folder: Path, tmp_path: Path) -> None:
    command = ["trace", str(folder / "deliveries.jsonl"), "--judge", "--secret", "your_secret"]
    CliRunner().invoke(main, [*command, "--json", str(tmp_path / "report.json")])
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    found = {each["rule"]: each["outcome"] for each in report["results"]}
    assert set(found.values()) <= {Outcome.PASS, Outcome.SKIP}
    for rule in ("signature", "schema", "timestamp-fresh"):
        assert found[f"sender.wire.{rule}"] == Outcome.PASS


@pytest.mark.parametrize("query", blocks("sql"))
def test_a_printed_query_runs(query: str, folder: Path) -> None:
    with sqlite3.connect(folder / "run.db") as store:
        store.execute(query)


def test_the_tables_are_all_listed(folder: Path) -> None:
    with sqlite3.connect(folder / "run.db") as store:
        there = store.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        assert set(first_column("table")) == {name for (name,) in there}
        (number,) = store.execute("PRAGMA application_id").fetchone()
        (version,) = store.execute("PRAGMA user_version").fetchone()
    assert (number, version) == (APPLICATION_ID, VERSION)
    assert f"0x{number:X}" in TEXT
    assert f"`user_version` {version}" in TEXT


def test_the_columns_of_exchanges_are_all_listed() -> None:
    assert first_column("column of `exchanges`") == list(NARROW)


def test_the_columns_of_both_frames_are_all_listed(folder: Path) -> None:
    with Trace.open(folder / "run.db") as trace:
        assert set(first_column("column")) == set(trace.attempts().columns)
        frame: Any = trace.frame()
    (sentence,) = re.findall(r"and four more:\n(.*?)Words", TEXT, re.S)
    assert set(DERIVED) <= set(re.findall(r"`(\w+)`", sentence))
    assert set(frame.columns) == {*NARROW, *DERIVED}


@pytest.mark.parametrize("page", ["traces.md", "notebooks.md"])
def test_every_chart_is_documented(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    public = {
        name
        for name, each in vars(charts).items()
        if callable(each) and each.__module__ == charts.__name__ and name[0].islower()
    }
    public = {name for name in public if not name.startswith("_")}
    assert public == {name for name in public if re.search(rf"`{name}\b", text)}
