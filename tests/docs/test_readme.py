"""What the documentation prints holds: commands exist, code runs, rules pass, tables are complete."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import hmac
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import click
import pytest
import yaml
from aiohttp import web
from click.testing import CliRunner

from conformance import check_receiver, check_sender, fuzz
from conformance.api import wait_for
from conformance.cli.main import main
from conformance.gallery.reference import reference_receiver, reference_sender
from conformance.load import settings
from conformance.model.errors import InputError
from conformance.model.rules import Outcome
from conformance.options.table import pytest_options
from conformance.pytest_plugin.target import SenderTarget, Target
from conformance.scenario.load import built_in, read
from tests.places import PACKAGE, ROOT

ENGLISH, CHINESE, SCENARIOS = "README.md", "README.zh-Hant.md", "scenarios/README.md"
FUZZING = "docs/fuzzing.md"
PAGES = (
    ENGLISH,
    CHINESE,
    SCENARIOS,
    "docs/checking-a-receiver.md",
    "docs/checking-a-sender.md",
    "docs/pytest.md",
    "docs/load.md",
    "docs/reference-sender.md",
    "docs/reading-a-report.md",
    FUZZING,
    "docs/traces.md",
    "docs/notebooks.md",
    "docs/ci.md",
    "docs/dialects.md",
    "docs/reliability.md",
    "docs/README.md",
)
URL = "http://localhost:5000/webhook/receiver"
SECRET = "your_secret"
OPTION = r"(?<![\w-])--[a-z][a-z0-9-]+"


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The page's code blocks in `language`."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)


def commands(page: str, program: str) -> list[str]:
    """The command lines that the page prints for `program`, in blocks and in running text."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```$", "", text(page)))
    found = [line for line in lines if re.match(rf"{program}\b", line)]
    return list(dict.fromkeys(" ".join(line.split()) for line in found))


def printed(program: str) -> list[str]:
    """What the pages print for `program`, with arguments."""
    found = [command for page in PAGES for command in commands(page, program) if " " in command]
    assert found
    return found


def words(command: str) -> list[str]:
    return shlex.split(command, comments=True)[1:]


@cache
def of_locust() -> frozenset[str]:
    """The options of Locust, whose import would patch the sockets of this process, and those that the
    locustfile adds."""
    told = subprocess.run(
        [sys.executable, "-m", "locust", "--help"], capture_output=True, text=True, check=True
    ).stdout
    ours = {f"--{each.name}" for each in settings.OPTIONS}
    return frozenset(ours.union(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", told)))


def test_printed_locust_lines_have_options_of_locust() -> None:
    for command in printed("locust"):
        named = {word for word in words(command) if word.startswith("--")}
        assert named <= of_locust(), command


def parse(command: str) -> None:
    """Parse and check every argument, and run nothing."""
    found: click.Command = main
    context, rest = click.Context(main), words(command)
    while isinstance(found, click.Group):
        _, resolved, rest = found.resolve_command(context, rest)
        assert resolved is not None
        found = resolved
    found.make_context("hookproof", rest, parent=context)


def test_printed_commands_exist_and_have_these_options() -> None:
    wrong = {}
    for command in printed("hookproof"):
        try:
            with suppress(InputError):  # a value to fill in, such as $WEBHOOK_URL
                parse(command)
        except click.ClickException as fault:
            wrong[command] = fault.format_message()
    assert wrong == {}


def assert_option(config: pytest.Config, name: str) -> None:
    """That pytest has the option `name`; ours have their short names only where they are used."""
    short = {
        f"--{option.pytest or option.flag}" for option in pytest_options().values() if option.short
    }
    if name not in short:
        config.getoption(name)  # ValueError for one that is not there


def test_printed_pytest_lines_have_options_of_pytest(pytestconfig: pytest.Config) -> None:
    for command in printed("pytest"):
        for word in words(command):
            if word.startswith("--"):
                assert_option(pytestconfig, word)


def test_printed_targets_are_in_the_makefile() -> None:
    targets = re.findall(r"^(\w+):", text("Makefile"), re.MULTILINE)
    assert {words(command)[0] for command in printed("make")} <= set(targets)


def test_hookproof_is_installed_from_a_checkout() -> None:
    """No index has it; and in the checkout `-e` keeps what `make` installed."""
    for page in PAGES:
        for line in re.findall(r"pip install ([^\n`]+)", text(page)):
            named = shlex.split(line, comments=True)
            assert not any(word.startswith("hookproof") for word in named), (page, line)
            assert all("-e" in named for word in named if word.startswith(".[")), (page, line)


def options(command: click.Command) -> set[str]:
    """Every option of a command and of those below it."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    own = {name for each in command.params for name in each.opts}
    return own.union(*(options(each) for each in below))


def test_options_that_are_named_exist(pytestconfig: pytest.Config) -> None:
    named = {name for page in PAGES for name in re.findall(OPTION, text(page))}
    for name in named - options(main) - of_locust():
        assert_option(pytestconfig, name)  # else it is one of pytest's


def local(code: str, target: Target, sender: SenderTarget) -> str:
    """Code of a page, turned to a receiver and a sender that run here."""
    for port, url in ((5000, target.url), (5001, sender.url)):
        base = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        code = re.sub(rf"http://(localhost|127\.0\.0\.1):{port}", base, code)
    return code


@pytest.fixture
def target(hookproof_receiver: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
    """The embedded receiver, with its secret where the pages say."""
    secret = hookproof_receiver.secret
    assert isinstance(secret, bytes)
    monkeypatch.setenv("HOOKPROOF_SECRET", secret.decode())
    return hookproof_receiver


@pytest.mark.parametrize(
    "code",
    [pytest.param(code, id=code.splitlines()[0]) for code in blocks(ENGLISH, "python")[1:]],
)
def test_the_python_of_the_readme_runs(
    code: str, target: Target, hookproof_sender: SenderTarget
) -> None:
    names: dict[str, Any] = {}
    quick = "sender.wire.*" if "check_sender" in code else "receiver.accepts.*"
    turned = local(code, target, hookproof_sender).replace("secret=", f'rules="{quick}", secret=')
    program = compile(turned, ENGLISH, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waiting = eval(program, names)
    if inspect.iscoroutine(waiting):  # as in a notebook
        asyncio.run(waiting)
    assert {each.outcome for each in names["report"].results} == {Outcome.PASS}


def test_the_conftest_of_the_readme_has_ones_own_receiver_and_sender_judged(
    target: Target, hookproof_sender: SenderTarget, tmp_path: Path
) -> None:
    code = local(blocks(ENGLISH, "python")[0], target, hookproof_sender)
    (tmp_path / "conftest.py").write_text(code)
    for name, number in (("receiver", 2), ("sender", 3)):
        rule = blocks(SCENARIOS, "yaml")[number]
        (tmp_path / f"{name}.hookproof.yaml").write_text(rule, encoding="utf-8")
    built_in = ["receiver.accepts.unknown-field", "sender.config.create-list"]
    chosen = [f"--rules={each}" for each in built_in]
    there = [".", "--pyargs", "conformance"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *there, *chosen],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
    )
    assert "receiver.house.nickname-repeat PASSED" in ran.stdout, ran.stdout + ran.stderr
    assert "sender.house.busy PASSED" in ran.stdout, ran.stdout + ran.stderr
    assert "receiver.accepts.unknown-field[text] PASSED" in ran.stdout
    assert "sender.config.create-list PASSED" in ran.stdout
    for url, name in ((target.url, "receiver"), (hookproof_sender.url, "sender")):
        assert f"{url} by {name}.hookproof.yaml" in ran.stdout


def test_the_curl_line_of_the_readme_delivers_a_message(
    target: Target, hookproof_sender: SenderTarget
) -> None:
    for tool in ("curl", "openssl"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    (code,) = (each for each in blocks(ENGLISH, "sh") if "curl" in each)
    code = local(code, target, hookproof_sender).replace(SECRET, os.environ["HOOKPROOF_SECRET"])
    ran = subprocess.run(["sh", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("HTTP/1.1 200")
    with urlopen(target.url.replace("webhook/receiver", "processed?msgId=1")) as answer:
        assert json.load(answer) == {"count": 1}


async def careless(request: web.Request) -> web.Response:
    """The receiver of the README's example: it verifies the signature when there is one."""
    body, stamp = await request.read(), request.headers.get("X-Webhook-Timestamp", "")
    signed = stamp.encode("utf-8", "surrogateescape") + b":" + body
    right = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    refused = request.headers.get("X-Webhook-Signature", right) != right
    return web.Response(status=401 if refused else 200)


@pytest.fixture(scope="module")
def faulty() -> Iterator[str]:
    """The URL of that receiver, which runs on a thread of its own."""
    app = web.Application()
    app.router.add_post("/webhook/receiver", careless)
    runner = web.AppRunner(app)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    yield f"http://127.0.0.1:{wait_for(start())}/webhook/receiver"
    wait_for(runner.cleanup())


@pytest.mark.parametrize(
    ("page", "language"),
    [pytest.param(ENGLISH, "en", id="English"), pytest.param(CHINESE, "zh-Hant", id="Chinese")],
)
def test_the_printed_output_is_what_a_failing_run_prints(
    page: str, language: str, faulty: str
) -> None:
    rules = ["--rules", "receiver.signature.missing-*"]
    given = ["check", "receiver", faulty, "--secret", SECRET, "--lang", language, *rules]
    ran = CliRunner().invoke(main, given)
    output = [line.rstrip() for line in ran.output.replace(faulty, URL).splitlines()]
    *shown, verdict = blocks(page, "text")[0].splitlines()
    for line in shown:
        begin = line.removesuffix("…")
        assert any(each.startswith(begin) if begin != line else each == line for each in output)
    assert ran.exit_code == 1
    # The rest of the last line depends on the rules that ran.
    assert output[-1].split(",")[0] == verdict.split(",")[0]
    assert output[-1].split("  ")[-1] == verdict.split("  ")[-1]


def test_both_readmes_print_the_same_code() -> None:
    for language in ("sh", "python"):
        english, chinese = (
            [re.sub(r"(?m) *#.*$", "", code) for code in blocks(page, language)]
            for page in (ENGLISH, CHINESE)
        )
        assert chinese == english


def test_both_readmes_have_the_same_sections() -> None:
    english, chinese = (re.findall(r"(?m)^#+ ", text(page)) for page in (ENGLISH, CHINESE))
    assert chinese == english


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    names = re.findall(r"(?m)^#+ (.*)$", text(page))
    anchors = {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in names}
    for link in re.findall(r"\]\(([^)]+)\)", text(page)):
        if link.startswith("#"):
            assert link.removeprefix("#") in anchors, link
        elif not link.startswith("https://"):
            assert (ROOT / page).parent.joinpath(link).exists(), link


@pytest.mark.parametrize("page", [ENGLISH, CHINESE])
def test_the_printed_tree_is_there(page: str) -> None:
    above = Path()
    for line in blocks(page, "text")[-1].splitlines():
        path = line.split()[0]
        above = above if line.startswith(" ") else Path(path)
        assert (ROOT / (above / path if line.startswith(" ") else path)).exists()


def test_the_paths_in_the_contributing_guide_exist() -> None:
    paths = re.findall(r"`([\w/.-]+(?:/|\.py|\.yaml|\.json|\.md))`", text("CONTRIBUTING.md"))
    assert [p for p in paths if not any((place / p).exists() for place in (ROOT, PACKAGE))] == []


def printed_rules(side: str) -> list[Any]:
    rules = [rule for rule in blocks(SCENARIOS, "yaml") if f"rule: {side}." in rule]
    return [pytest.param(rule, id=f"rule {n}") for n, rule in enumerate(rules)]


async def outcomes_of(scenarios: Path, rules: str) -> set[Outcome]:
    """What comes of rules from a folder, judged against the reference receiver."""
    async with reference_receiver() as there:
        report = await check_receiver(
            there.url,
            secret=there.secret.decode(),
            observer_url=there.observer_url,
            scenarios=[scenarios],
            rules=[rules],
        )
    return {each.outcome for each in report.results}


@pytest.mark.parametrize("rule", printed_rules("receiver"))
async def test_a_printed_rule_for_receivers_runs(rule: str, tmp_path: Path) -> None:
    (tmp_path / "house.yaml").write_text(rule, encoding="utf-8")
    assert await outcomes_of(tmp_path, "receiver.house.*") == {Outcome.PASS}


@pytest.mark.parametrize("rule", printed_rules("sender"))
async def test_a_printed_rule_for_senders_runs(rule: str, tmp_path: Path) -> None:
    (tmp_path / "house.yaml").write_text(rule, encoding="utf-8")
    async with reference_sender() as there:
        report = await check_sender(
            there.api_url,
            secret=there.secret.decode(),
            emit_url=there.emit_url,
            scenarios=[tmp_path],
            rules=["sender.house.*"],
        )
    assert {each.outcome for each in report.results} == {Outcome.PASS}


def test_a_printed_mistake_is_reported_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = Path("house/nickname.yaml")
    place.parent.mkdir()
    place.write_text(blocks(SCENARIOS, "yaml")[0].replace("with:", "wiht:"), encoding="utf-8")
    with pytest.raises(InputError) as raised:
        read(place)
    assert f"hookproof: {raised.value}\n" in blocks(SCENARIOS, "text")


def test_the_test_of_the_fuzzing_page_passes(tmp_path: Path) -> None:
    receiver, test = blocks(FUZZING, "python")
    (tmp_path / "receiver.py").write_text(receiver)
    (tmp_path / "test_receiver.py").write_text(test)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "4 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_test_of_the_fuzzing_page_finds_a_fault(tmp_path: Path) -> None:
    receiver, test = blocks(FUZZING, "python")
    (tmp_path / "receiver.py").write_text(
        receiver.replace("(ValueError, RecursionError)", "KeyError")
    )
    (tmp_path / "test_receiver.py").write_text(test)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "malformed", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "delivery=Delivery(" in ran.stdout


async def test_the_sequence_of_the_fuzzing_page_runs(tmp_path: Path) -> None:
    (file,) = blocks(FUZZING, "yaml")
    (tmp_path / "sequence.yaml").write_text(file, encoding="utf-8")
    assert await outcomes_of(tmp_path, "receiver.found.*") == {Outcome.PASS}


def test_the_fuzzing_page_names_every_strategy_and_every_rule() -> None:
    named = set(re.findall(r"`([a-z_]+)\(", text(FUZZING)))
    assert set(fuzz.__all__) - {"Delivery"} <= named
    rules = {each.rule.id for each in built_in("receiver") if each.fuzz}
    assert rules <= set(re.findall(r"`(receiver\.fuzz\.\w+)`", text(FUZZING)))


@pytest.mark.parametrize(("page", "lang"), [("rules.md", "en"), ("rules.zh-Hant.md", "zh-Hant")])
def test_the_page_of_rules_is_that_of_the_scenarios(page: str, lang: str) -> None:
    made = CliRunner().invoke(main, ["rules", "--markdown", "--lang", lang]).output
    assert text(f"docs/{page}") == made, f"hookproof rules --markdown --lang {lang} > docs/{page}"


def test_the_workflow_for_ci_runs_commands_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKPROOF_SECRET", SECRET)
    (block,) = blocks("docs/ci.md", "yaml")
    steps = yaml.safe_load(block)["jobs"]["conformance"]["steps"]
    (check,) = [step["run"] for step in steps if step.get("name") == "Check it"]
    assert main.commands["check"].commands["receiver"].make_context("x", words(check)[2:])
