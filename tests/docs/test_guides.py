"""What the pages on receivers, senders, pytest and load print holds: their programs and commands run in
the order in which a reader meets them, and their tables are complete."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import hookproof_pytest
from conformance.cli.main import main
from conformance.engine.sender.session import METHODS
from conformance.load.settings import MIX
from conformance.model.load import LoadFigures
from conformance.model.rules import Outcome
from conformance.options.table import pytest_options
from conformance.protocol.validation import problems
from conformance.pytest_plugin.target import SenderTarget, Target
from conformance.reporting.terminal import plain
from conformance.scenario.load import built_in
from tests.load.runs import RULES, SETTINGS, observer, report
from tests.patience import PATIENCE
from tests.places import PACKAGE, ROOT
from tests.pytest_plugin.parts import LIGHT

RECEIVER, SENDER, PYTEST, LOAD = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("checking-a-receiver", "checking-a-sender", "pytest", "load")
)
FUZZING = (ROOT / "docs/fuzzing.md").read_text(encoding="utf-8")
SECRET = "your_secret"
ENVIRONMENT = {
    **os.environ,
    "HOOKPROOF_SECRET": SECRET,
    "PYTHONPATH": str(ROOT),
    "COLUMNS": "200",
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def rows(text: str, title: str) -> list[list[str]]:
    """The rows of the table whose first column is `title`, cell by cell."""
    (table,) = re.findall(rf"(?m)^\| {re.escape(title)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def first_words(text: str, title: str) -> list[str]:
    """The code words that begin the rows of that table, without what is given with an option."""
    return [
        word.split()[0] for row in rows(text, title) for word in re.findall(r"`([^`]+)`", row[0])
    ]


def options(*path: str) -> set[str]:
    """The options of a command of `hookproof`."""
    command: Any = main
    for name in path:
        command = command.commands[name]
    return {each.opts[0] for each in command.params if isinstance(each, click.Option)}


def commands(text: str, *having: str) -> list[str]:
    """The lines for `hookproof` in the page's blocks that have all of these words."""
    lines = "\n".join(blocks(text, "sh")).replace("\\\n", " ").splitlines()
    return [
        " ".join(line.split())
        for line in lines
        if line.startswith("hookproof") and all(word in line for word in having)
    ]


def hookproof(command: str, *more: str) -> Result:
    words = shlex.split(command)[1:]
    return CliRunner().invoke(main, [*words, *more], env={"HOOKPROOF_SECRET": SECRET})


def rules(*names: str) -> list[str]:
    return [f"--rules={name}" for name in names]


@cache
def texts_of_the_code() -> str:
    """Every piece of text in the package."""
    files = (file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py"))
    nodes = (node for file in files for node in ast.walk(ast.parse(file)))
    return "\n".join(
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@pytest.mark.parametrize(
    ("page", "title"),
    [
        pytest.param(RECEIVER, "it says", id="receiver"),
        pytest.param(SENDER, "it says", id="sender"),
        pytest.param(SENDER, "finding", id="waits"),
    ],
)
def test_a_page_quotes_only_texts_of_the_code(page: str, title: str) -> None:
    quoted = re.findall(r"\*([^*]+)\*", "\n".join(row[0] for row in rows(page, title)))
    pieces = [each.strip("… ").rpartition(": ")[2] for each in quoted]
    assert pieces
    for piece in pieces:
        assert re.search(r"\d", piece) or piece in texts_of_the_code()


# The receiver's page: one program that is fixed step by step.


def patched(program: str, patch: str) -> str:
    """`program` with the statements of `patch`: each in the place of its namesake, or else before the
    application is made."""
    lines = program.splitlines()
    for new in ast.parse(patch).body:
        written = ast.get_source_segment(patch, new) or ""
        if isinstance(new, ast.AsyncFunctionDef):
            written = "\n".join(f"@{ast.unparse(e)}" for e in new.decorator_list) + f"\n{written}"
        for old in ast.parse("\n".join(lines)).body:
            if named(old) == named(new) or named(old) == "app":
                end = old.end_lineno if named(old) == named(new) else old.lineno - 1
                lines[old.lineno - 1 : end] = written.splitlines()
                break
    return "\n".join(lines) + "\n"


def named(statement: ast.stmt) -> str:
    """By what a statement is known again: a function's name, or how another begins."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return statement.name
    return re.split(r" = | \(msgId", ast.unparse(statement))[0]


FAULTY, SIGNED, OBSERVED, DEDUPED = blocks(RECEIVER, "python")
SEEN = patched(patched(FAULTY, SIGNED), OBSERVED)
GREEN = patched(SEEN, DEDUPED)


def ports() -> tuple[int, int]:
    """Two ports that are free."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def at_ports(text: str, one: int, other: int) -> str:
    """A text of the page, turned to these ports."""
    return re.sub(r"\b5001\b", str(other), re.sub(r"\b5000\b", str(one), text))


def wait_for(port: int) -> None:
    """Wait until something listens on the port."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(f"nothing listens on {port}")


@contextmanager
def serving(program: str, folder: Path, port: int) -> Iterator[None]:
    """The program of the page, started as the page says."""
    (folder / "receiver.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "receiver.py", str(port)]
    with subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, stderr=subprocess.DEVNULL
    ) as started:
        try:
            wait_for(port)
            yield
        finally:
            started.kill()


def test_the_first_run_of_the_page_fails_as_printed(tmp_path: Path) -> None:
    port, other = ports()
    (first,) = [each for each in commands(RECEIVER, "check receiver") if each.endswith("_SECRET")]
    shown = rules("receiver.signature.raw-bytes", "receiver.signature.equal-meaning")
    with serving(FAULTY, tmp_path, port):
        ran = hookproof(at_ports(first, port, other), *shown)
    assert ran.exit_code == 1
    printed = blocks(RECEIVER, "text")[0].splitlines()
    assert {line for line in printed if line != "…"} <= set(ran.output.splitlines())


def test_the_observer_of_the_page_shows_what_answers_did_not(tmp_path: Path) -> None:
    port, other = ports()
    (command,) = commands(RECEIVER, "--observer-url", "seen.db")
    chosen = rules("receiver.signature.raw-bytes", "receiver.duplicate.processed-once")
    with serving(SEEN, tmp_path, port):
        (fix,) = commands(RECEIVER, "receiver.signature.raw-bytes")
        assert hookproof(at_ports(fix, port, other)).exit_code == 0
        turned = at_ports(command, port, other).replace("seen.db", str(tmp_path / "seen.db"))
        ran = hookproof(turned, *chosen)
    assert ran.exit_code == 1
    (told,) = re.findall(r"fails: \*(.*?)\*", RECEIVER)
    assert told in ran.output
    with serving(GREEN, folder(tmp_path, "green"), port):
        again = hookproof(turned.replace("seen.db", "after.db"), *chosen)
    assert again.exit_code == 0
    (compared,) = commands(RECEIVER, "--diff")
    names = (str(tmp_path / name) for name in ("seen.db", "after.db"))
    both = hookproof(re.sub(r"\w+\.db \w+\.db", " ".join(names), compared))
    line = blocks(RECEIVER, "text")[1].splitlines()[1]
    assert (both.exit_code, line in both.output.splitlines()) == (0, True)


def test_the_two_instances_of_the_page_pass_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, other = ports()
    (command,) = commands(RECEIVER, "--also-url")
    (script,) = [each for each in blocks(RECEIVER, "sh") if "receiver.pid" in each]
    script = at_ports(script, port, other).replace("python ", f"{sys.executable} ")
    (tmp_path / "restart.sh").write_text(script)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKPROOF_SECRET", SECRET)
    names = ("across-instances", "survives-restart")
    with serving(GREEN, tmp_path, other):
        subprocess.run(["sh", "restart.sh"], check=True, stdout=subprocess.DEVNULL)
        try:
            wait_for(port)
            turned = at_ports(command, port, other)
            ran = hookproof(turned, *rules(*(f"receiver.duplicate.{name}" for name in names)))
        finally:
            os.kill(int((tmp_path / "receiver.pid").read_text()), signal.SIGKILL)
    assert ran.exit_code == 0, ran.output
    assert ran.output.count("pass  receiver.duplicate.") == len(names)


def folder(above: Path, name: str) -> Path:
    (above / name).mkdir()
    return above / name


@pytest.mark.parametrize(
    ("text", "side", "beside"),
    [
        pytest.param(RECEIVER, "receiver", "sender", id="receiver"),
        pytest.param(SENDER, "sender", "receiver", id="sender"),
    ],
)
def test_a_page_tells_of_every_option_of_its_side(text: str, side: str, beside: str) -> None:
    own = options("check", side) - options("check", beside)
    assert own <= set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


# The sender's page.


def test_the_emit_command_of_the_page_gives_messages(
    hookproof_sender: SenderTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "emit.py").write_text(blocks(SENDER, "python")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (command,) = commands(SENDER, "--emit-command")
    turned = command.replace("http://localhost:5001/v1/webhook", hookproof_sender.url)
    turned = turned.replace("python ", f"{sys.executable} ")
    ran = hookproof(turned, *rules("sender.wire.method", "sender.filter.self-message"))
    assert ran.exit_code == 0, ran.output
    assert "skip" not in ran.output


def test_the_certificate_of_the_page_is_trusted_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (make,) = [each for each in blocks(SENDER, "sh") if each.startswith("openssl")]
    subprocess.run(["sh", "-c", make], cwd=tmp_path, check=True, capture_output=True)
    (serve,) = re.findall(r"(?m)^(\w+=\S+) hookproof serve sender", SENDER)
    name, _, value = serve.partition("=")
    monkeypatch.chdir(tmp_path)
    started = [sys.executable, "-m", "conformance", "serve", "sender", "--port=0"]
    started += ["--backoff-base=0.1"]  # so that it is looked at more quickly
    with subprocess.Popen(
        started, env=ENVIRONMENT | {name: value}, stdout=subprocess.PIPE, text=True
    ) as sender:
        try:
            assert sender.stdout is not None
            base = sender.stdout.readline().split()[-1]
            (check,) = commands(SENDER, "--tls-cert")
            turned = check.replace("http://localhost:5001/v1/webhook", base)
            ran = hookproof(turned, *rules("sender.https.delivers"))
        finally:
            sender.kill()
    assert ran.exit_code == 0, ran.output
    assert "pass  sender.https.delivers" in ran.output


def test_the_printed_event_fits_the_schema() -> None:
    event = json.loads(blocks(SENDER, "json")[0])
    assert not list(problems("message", event | {"timestamp": event["createTime"]}))


def test_the_table_of_calls_is_the_sessions() -> None:
    told = dict(reversed(row[0].strip("`").split()) for row in rows(SENDER, "call"))
    assert {re.split(r"[/?]", name)[1]: verb for name, verb in told.items()} == METHODS


def test_the_table_of_what_is_skipped_names_the_rules_that_need_it() -> None:
    told = {row[0]: set(re.findall(r"`([\w.-]+)`", row[1])) for row in rows(SENDER, "without")}
    for need, row in {
        "restart": "`--restart-command`",
        "tls": "`--tls-cert` and `--tls-key`",
        "openssl": "`openssl` on this machine",
        "several": "a second configuration in the service",
    }.items():
        assert told[row] == {each.rule.id for each in built_in("sender") if need in each.needs}


# The page on pytest.


def test_the_files_of_the_pytest_page_pass(tmp_path: Path) -> None:
    names = ("conftest", "test_webhook", "test_own", "test_asynchronous")
    for name, code in zip(names, blocks(PYTEST, "python"), strict=True):
        (tmp_path / f"{name}.py").write_text(code)
    (tmp_path / "receiver.py").write_text(blocks(FUZZING, "python")[0])
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\npythonpath = .\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", *LIGHT, *rules("receiver.http.alive")],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "test_webhook.py::receiver.http.alive PASSED" in ran.stdout, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout


def test_the_table_of_pytest_options_has_the_short_names_and_what_pytest_itself_has() -> None:
    table = pytest_options()
    short = [f"--{option.pytest or option.flag}" for option in table.values() if option.short]
    long = [table[name].long for name in ("seed", "strict", "trace")]
    assert sorted(first_words(PYTEST, "option")) == sorted([*short, *long])


def test_the_tables_of_the_pytest_page_are_complete() -> None:
    assert set(first_words(PYTEST, "result")) == set(Outcome)
    fixtures = {name for name in vars(hookproof_pytest) if name.startswith("hookproof_")}
    assert set(first_words(PYTEST, "fixture")) == fixtures - {"hookproof_result"}


# The page on load.


def test_the_table_of_load_options_is_the_commands() -> None:
    assert first_words(LOAD, "option") == sorted(
        options("load"), key=[row[0].strip("`") for row in rows(LOAD, "option")].index
    )
    command: Any = main.commands["load"]
    defaults = {each.opts[0]: each.default for each in command.params}
    for row in rows(LOAD, "option"):
        told, default = row[1].strip("`"), defaults[row[0].strip("`")]
        if re.fullmatch(r"[\w-]+", told):
            assert told == (f"{default:g}" if isinstance(default, float) else str(default))


def test_the_table_of_users_is_the_mix() -> None:
    told = {row[0].strip("`"): row[1] for row in rows(LOAD, "user")}
    assert ",".join(f"{name}={share}" for name, share in told.items()) == MIX


def test_the_tables_of_rules_and_of_the_json_are_complete() -> None:
    assert first_words(LOAD, "rule") == [scenario.rule.id for scenario in RULES]
    assert [row[1] for row in rows(LOAD, "rule")] == [each.rule.level for each in RULES]
    keys = [key.strip("` ") for row in rows(LOAD, "key") for key in row[0].split(",")]
    assert set(keys) == set(LoadFigures.__dataclass_fields__)


def test_the_printed_load_run_has_the_shape_of_a_real_one() -> None:
    settings = dataclasses.replace(SETTINGS, user_rate=2.0, max_p99=None)
    doubled = observer(doubled=1, examples={"doubled": ["1971369647898886146"]})
    shape = shapes(plain(report(settings=settings, observer=doubled)).splitlines())
    for line in shapes(blocks(LOAD, "text")[0].splitlines()):
        begin, cut, _ = line.partition("…")
        assert any(each.startswith(begin.rstrip()) if cut else each == line for each in shape), line


def shapes(lines: list[str]) -> list[str]:
    """Lines without what is different in every run: figures, units, and where the receiver is."""
    plain = (re.sub(r"http://[\w.]+:\d+", "URL", line) for line in lines)
    figure = re.compile(r"\d([\d,.]*\d)?( m?s\b)?")
    return [figure.sub("N", line.replace("p99 –", "p99 0")) for line in plain]


def test_the_locustfile_of_the_page_loads_both(target: Target, tmp_path: Path) -> None:
    if importlib.util.find_spec("locust") is None:
        pytest.skip("Locust is not installed: pip install 'hookproof[load]'")
    (tmp_path / "mixed.py").write_text(blocks(LOAD, "python")[0])
    lines = "\n".join(blocks(LOAD, "sh")).replace("\\\n", " ").splitlines()
    (command,) = [line for line in lines if "mixed.py" in line]
    words = shlex.split(command.replace("--run-time 30s", "--run-time 2s"))
    words[words.index("--host") + 1] = target.url.removesuffix("/webhook/receiver")
    assert isinstance(target.secret, bytes)
    ran = subprocess.run(
        [sys.executable, "-m", *words, "--only-summary"],
        cwd=tmp_path,
        env=ENVIRONMENT | {"HOOKPROOF_SECRET": target.secret.decode()},
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads((tmp_path / "load.json").read_text(encoding="utf-8"))
    found = {each["rule"]: each["outcome"] for each in told["results"]}
    assert found["receiver.load.answers"] == "pass", ran.stderr
    assert found["receiver.load.forged"] == "pass", ran.stderr
    assert re.search(r"(?m)^GET +list +[1-9]", ran.stdout + ran.stderr)


@pytest.fixture
def target(hookproof_receiver: Target) -> Target:
    return hookproof_receiver
