"""The command line: what it prints, writes and returns."""

import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from conformance.cli.main import main
from conformance.gallery import reference as demo
from conformance.protocol.validation import problems

SECRET = "command-line-secret"
DEAD = "http://127.0.0.1:9/webhook/receiver"


def hookproof(*arguments):
    return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def base():
    """The reference receiver as a process of its own, as a user starts it."""
    command = [sys.executable, "-m", "conformance", "serve", "receiver", "--port", "0"]
    environment = {**os.environ, "HOOK_SECRET": SECRET}
    with subprocess.Popen(
        [*command, "--secret", "env:HOOK_SECRET"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        yield process.stdout.readline().strip().removesuffix("/webhook/receiver")
        process.terminate()


def check(base, *options, secret=SECRET):
    url = f"{base}/webhook/receiver"
    return hookproof("check", "receiver", url, "--secret", secret, *options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["localhost:5000/x", "--secret", "s"], "http:// or https://", id="no scheme"),
        pytest.param(["http:///x", "--secret", "s"], "needs a host", id="no host"),
        pytest.param(["http://a b/", "--secret", "s"], "not contain spaces", id="spaces"),
        pytest.param(["http://u:p@h/", "--secret", "s"], "credentials", id="credentials"),
        pytest.param([DEAD, "--secret", ""], "the secret is empty", id="empty secret"),
        pytest.param([DEAD, "--secret", "env:NOT_SET_HERE"], "NOT_SET_HERE is not set", id="env"),
        pytest.param([DEAD, "--secret", "file:/nowhere/s"], "/nowhere/s cannot be read", id="file"),
        pytest.param([DEAD, "--secret", "s", "--dialect", "giude"], "did you mean 'guide'", id="dialect"),
        pytest.param([DEAD, "--secret", "s", "--rules", "receiver.body.emtpy"], "did you mean", id="rules"),
        pytest.param([DEAD, "--secret", "s", "--seed", "x"], "--seed", id="seed"),
        pytest.param([DEAD, "--secret", "s", "--json", "/nowhere/r.json"], "/nowhere/r.json", id="json"),
        pytest.param([DEAD, "--secret", "s", "--html", "/"], "--html", id="html"),
        pytest.param([DEAD, "--secret", "s", "--observer-url", "http://h/"], "{msgId}", id="observer"),
        pytest.param([DEAD, "--secret", "s", "--header", "X-Key"], "Name: value", id="header"),
        pytest.param([DEAD, "--secret", "s", "--ca", "/nowhere/ca.pem"], "/nowhere/ca.pem", id="ca"),
        pytest.param([DEAD, "--secret", "s", "--scenarios", "/nowhere"], "/nowhere", id="scenarios"),
        pytest.param([DEAD, "--secret", "s", "--concurrency", "0"], "--concurrency", id="concurrency"),
        pytest.param([DEAD, "--secret", "s", "--timeout", "0"], "--timeout", id="timeout"),
        pytest.param([DEAD], "--secret", id="no secret"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line_and_status_2(arguments, message):
    result = hookproof("check", "receiver", *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


NOBODY = "http://127.0.0.1:9/v1/webhook"
EMIT = ["--emit-url", "http://127.0.0.1:9/emit"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["localhost:5001", "--secret", "s"], "http:// or https://", id="no scheme"),
        pytest.param([f"{NOBODY}?key=K", "--secret", "s"], "--api-key", id="the key in the URL"),
        pytest.param(
            [NOBODY, "--secret", "s", *EMIT, "--emit-command", "cat"],
            "pass only one of them",
            id="both",
        ),
        pytest.param([NOBODY, "--secret", "s", "--emit-url", "h"], "--emit-url", id="emit URL"),
        pytest.param(
            [NOBODY, "--secret", "s", "--tls-cert", "c.pem"], "pass both", id="no TLS key"
        ),
        pytest.param(
            [NOBODY, "--secret", "s", "--tls-key", "k.pem"], "pass both", id="no certificate"
        ),
        pytest.param(
            [NOBODY, "--secret", "s", "--tls-cert", "/nowhere/c", "--tls-key", "/nowhere/k"],
            "/nowhere/c and /nowhere/k cannot be used",
            id="no such certificate",
        ),
        pytest.param(
            [NOBODY, "--secret", "s", "--listen", "8080"], "--listen: '8080'", id="listen"
        ),
        pytest.param(
            [NOBODY, "--secret", "s", "--listen", "192.0.2.1:0"], "is not available", id="not here"
        ),
        pytest.param(
            [NOBODY, "--secret", "s", "--public-url", "h"], "--public-url", id="public URL"
        ),
        pytest.param(
            [NOBODY, "--secret", "s", "--api-key", "env:NOT_SET"], "--api-key: the env", id="key"
        ),
        pytest.param(
            [NOBODY, "--secret", "s", "--rules", "receiver.*"], "no rule fits", id="other side"
        ),
        pytest.param(
            [NOBODY, "--secret", "s", "--rules", "wire.*"], "mean sender.wire.*", id="no side"
        ),
        pytest.param(
            [NOBODY, "--secret", "s", "--header", "X: y"], "--header", id="not an option here"
        ),
        pytest.param([NOBODY], "--secret", id="no secret"),
        pytest.param(["--secret", "s"], "API_URL", id="no URL"),
    ],
)
def test_bad_input_about_a_sender_is_one_clear_line_and_status_2(arguments, message):
    result = hookproof("check", "sender", *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_mistake_in_a_scenario_is_reported_before_the_run(tmp_path):
    (tmp_path / "own.yaml").write_text("rules:\n  - rule: receiver.own.thing\n    levle: MUST\n")
    result = hookproof("check", "receiver", DEAD, "--secret", "s", "--scenarios", str(tmp_path))
    assert result.exit_code == 2
    assert "own.yaml:" in result.output


def test_checking_a_report_path_leaves_no_file(tmp_path):
    hookproof("check", "receiver", "no-url", "--secret", "s", "--json", str(tmp_path / "r.json"))
    assert list(tmp_path.iterdir()) == []


def test_a_conforming_receiver_is_status_0(base):
    observer = ["--observer-url", base + "/processed?msgId={msgId}"]
    result = check(base, *observer, "--rules", "receiver.duplicate.*")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1].startswith("PASS")


def test_a_target_that_cannot_be_reached_is_status_3():
    result = hookproof("check", "receiver", DEAD, "--secret", SECRET)
    assert result.exit_code == 3
    assert "refused" in result.output


def test_a_wrong_secret_is_status_3_with_what_to_check(base):
    result = check(base, secret="another")
    assert result.exit_code == 3
    assert "check the secret" in result.output


def test_a_broken_rule_is_status_1(base, tmp_path):
    (tmp_path / "own.yaml").write_text(OWN, encoding="utf-8")
    result = check(base, "--scenarios", str(tmp_path), "--rules", "receiver.own.*")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert any(line.startswith("FAIL  receiver.own.teapot") for line in lines)
    assert "answered 200; expected 418" in result.output
    assert "curl -gsS -i" in result.output


OWN = """\
rules:
  - rule: receiver.own.teapot
    level: MUST
    source: null
    title: {en: It is a teapot, zh-Hant: 它是茶壺}
    why: {en: Tea., zh-Hant: 茶。}
    fix: {en: Boil water., zh-Hant: 燒水。}
    steps:
      - send: {message: text}
        expect: {status: 418}
"""


@pytest.mark.parametrize("target", ["pass", "error"])
def test_report_files_are_written_whatever_the_verdict(base, tmp_path, target):
    files = {kind: tmp_path / f"r.{kind}" for kind in ("json", "junit", "html", "trace")}
    options = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    if target == "pass":
        check(base, "--rules", "receiver.accepts.*", *options)
    else:
        hookproof("check", "receiver", DEAD, "--secret", SECRET, *options)
    assert problems("report", json.loads(files["json"].read_text())) == []
    assert ElementTree.parse(files["junit"]).getroot().tag.startswith("testsuite")
    assert files["html"].read_text().startswith("<!doctype html>")
    assert files["trace"].read_bytes().startswith(b"SQLite format 3")


def test_nothing_that_is_written_holds_the_secret_or_a_header_value(base, tmp_path):
    files = {kind: tmp_path / f"r.{kind}" for kind in ("json", "junit", "html", "trace")}
    options = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    options += ["--rules", "receiver.signature.*", "--rules", "receiver.fuzz.malformed"]
    result = check(base, "--fuzz", "5", "--header", "X-Api-Key: header-value-secret", *options)
    for text in [result.output.encode(), *(path.read_bytes() for path in files.values())]:
        assert SECRET.encode() not in text
        assert b"header-value-secret" not in text


@pytest.mark.parametrize(
    ("glob", "suggestion"),
    [
        pytest.param("signature.*", "receiver.signature.*", id="no side"),
        pytest.param("receiver.signature", "receiver.signature*", id="a group"),
        pytest.param("reciever.*", "receiver.*", id="a typo"),
    ],
)
def test_a_glob_that_fits_nothing_gets_a_suggestion(glob, suggestion):
    result = hookproof("check", "receiver", DEAD, "--secret", "s", "--rules", glob)
    assert f"did you mean {suggestion}?" in result.output


def test_a_glob_for_own_rules_gets_a_hint_at_the_option():
    result = hookproof("check", "receiver", DEAD, "--secret", "s", "--rules", "receiver.house.*")
    assert "(see `hookproof rules`; rules of your own need --scenarios)" in result.output


def test_a_url_in_place_of_the_side_gets_a_suggestion():
    result = hookproof("check", DEAD, "--secret", "s")
    assert result.exit_code == 2
    assert "did you mean `hookproof check receiver URL`" in result.output


def test_https_to_a_plain_http_server_is_reported_in_both_languages(base):
    for lang, message in (
        ("en", "cannot be judged: it does not speak TLS: is it http://?"),
        ("zh-Hant", "它使用的不是 TLS：是否應為 http://？"),
    ):
        result = check(base.replace("http:", "https:"), "--quiet", "--lang", lang)
        assert result.exit_code == 3
        assert message in " ".join(result.output.split())
        assert "_ssl.c" not in result.output


def test_a_selection_in_which_nothing_passes_is_explained(base):
    result = check(base, "--rules", "receiver.http.https", "--quiet")
    assert result.exit_code == 3
    assert "No rule that was chosen passed" in result.output


def test_quiet_prints_one_line(base):
    result = check(base, "--quiet", "--rules", "receiver.accepts.*")
    assert len(result.output.strip().splitlines()) == 1


def test_piped_output_is_plain(base):
    assert "\x1b" not in check(base, "--rules", "receiver.accepts.*").output


def test_texts_come_in_traditional_chinese(base):
    result = check(base, "--lang", "zh-Hant", "--rules", "receiver.accepts.*")
    assert result.output.splitlines()[-1].startswith("通過")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["check", "receiver", DEAD, "--secret", ""],
            "--secret：密鑰是空的；請傳入用來為訊息簽名的密鑰",
            id="an option of the run",
        ),
        pytest.param(
            ["check", "receiver", "h", "--secret", "s"],
            "端點：'h' 必須以 http:// 或 https:// 開頭",
            id="an argument",
        ),
        pytest.param(
            ["check", "receiver", DEAD, "--secret", "s", "--dialect", "gide"],
            "--dialect：沒有名為 'gide' 的方言；是否指 'guide'？（也可指定 .yaml 檔案）",
            id="a hint",
        ),
        pytest.param(
            ["trace", "nowhere.db"], "無法讀取 nowhere.db：No such file or directory", id="a file"
        ),
    ],
)
def test_a_usage_error_comes_in_the_language_of_the_command(arguments, message):
    result = hookproof(*arguments, "--lang", "zh-Hant")
    assert (result.exit_code, result.output) == (2, f"hookproof: {message}\n")


def test_the_catalogue_is_printed_as_text_and_as_json():
    text = hookproof("rules").output
    data = json.loads(hookproof("rules", "--json").output)
    assert len(text.splitlines()) == len(data)
    assert {"rule", "level", "source", "title"} <= set(data[0])


@pytest.mark.parametrize("side", ["receiver", "sender"])
@pytest.mark.parametrize("port", ["99999", "-1"])
def test_an_impossible_port_is_reported(side, port):
    secret = ["--secret", "s"] if side == "receiver" else []
    result = hookproof("serve", side, *secret, "--port", port)
    assert result.exit_code == 2
    assert "--port" in result.output


def test_a_port_in_use_is_reported(base):
    port = base.rsplit(":", 1)[1]
    result = hookproof("serve", "receiver", "--port", port, "--secret", "s")
    assert result.exit_code == 2
    assert f"--port: {port}" in result.output


def test_the_reference_sender_delivers_to_the_reference_receiver(base):
    command = [sys.executable, "-m", "conformance", "serve", "sender", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        api = process.stdout.readline().strip()
        configuration = {"URL": f"{base}/webhook/receiver", "Secret": SECRET}
        configured = _curl(f"{api}/Config", json.dumps(configuration))
        tested = _curl(f"{api}/Test")
        process.terminate()
    assert configured["code"] == 0
    assert SECRET not in json.dumps(configured)
    assert tested["data"]["Success"] is True


@pytest.fixture(scope="module")
def api():
    """The reference sender as a process of its own, as a user starts it."""
    command = [sys.executable, "-m", "conformance", "serve", "sender", "--port", "0"]
    environment = {**os.environ, "SENDER_KEY": "command-line-key"}
    with subprocess.Popen(
        [*command, "--api-key", "env:SENDER_KEY", "--backoff-base", "0.05"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        yield process.stdout.readline().strip()
        process.terminate()


def check_sender(api, *options, rules="sender.wire.*"):
    target = ["--secret", SECRET, "--api-key", "command-line-key", "--emit-url", f"{api}/Emit"]
    return hookproof("check", "sender", api, *target, "--rules", rules, *options)


def test_a_conforming_sender_is_status_0(api):
    result = check_sender(api)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0].startswith(f"hookproof sender {api}  dialect guide")
    assert result.output.splitlines()[-1].startswith("PASS")


def test_a_sender_that_cannot_be_reached_is_status_3():
    result = hookproof("check", "sender", NOBODY, "--secret", SECRET)
    assert result.exit_code == 3
    assert "nothing listens there" in result.output


def test_a_rule_that_a_sender_breaks_is_status_1(api, tmp_path):
    (tmp_path / "own.yaml").write_text(SENDER_OWN, encoding="utf-8")
    options = ["--scenarios", str(tmp_path), "--lang", "zh-Hant"]
    result = check_sender(api, *options, rules="sender.own.*")
    assert result.exit_code == 1
    assert "送達了，但不應送達" in result.output
    assert "curl" not in result.output


SENDER_OWN = """\
rules:
  - rule: sender.own.silent
    level: MUST
    title: {en: It keeps quiet, zh-Hant: 它保持沉默}
    steps:
      - emit: {}
        expect: {arrives: false}
"""


def test_report_files_about_a_sender_are_written_and_hold_no_secret(api, tmp_path):
    files = {kind: tmp_path / f"r.{kind}" for kind in ("json", "junit", "html", "trace")}
    options = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    result = check_sender(api, *options)
    assert problems("report", json.loads(files["json"].read_text())) == []
    for text in [result.output.encode(), *(path.read_bytes() for path in files.values())]:
        assert SECRET.encode() not in text
        assert b"command-line-key" not in text


def _curl(url, *data):
    command = ["curl", "-sS", url, *(word for item in data for word in ("-d", item))]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def test_an_impossible_wait_is_reported():
    result = hookproof("serve", "sender", "--backoff-base", "0")
    assert result.exit_code == 2
    assert "--backoff-base" in result.output


@pytest.mark.parametrize(
    "command",
    [["--help"], ["check", "receiver", "--help"], ["check", "sender", "--help"], ["--version"]],
)
def test_help_does_not_load_the_engine(command):
    code = (
        "import sys\n"
        "from conformance.cli.main import main\n"
        f"main({command!r}, standalone_mode=False)\n"
        "heavy = {'aiohttp', 'hypothesis', 'rich', 'jinja2', 'jsonschema', 'yaml', 'pytest'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


def test_demo_checks_a_report_path_before_it_derives_the_senders():
    result = hookproof("demo", "--html", "/")
    assert result.exit_code == 2
    assert "--html: / cannot be written" in result.output


@asynccontextmanager
async def with_rule(reference, rule):
    async with reference() as options:
        yield replace(options, rules=(rule,))


@pytest.fixture
def few_rules(monkeypatch):
    """Let `demo` judge by a few rules only; CI runs it with all of them."""
    for name, rule in (
        ("reference_receiver", "receiver.accepts.*"),
        ("reference_sender", "sender.config.create-list"),
    ):
        monkeypatch.setattr(demo, name, partial(with_rule, getattr(demo, name), rule))


@pytest.mark.usefixtures("few_rules")
def test_demo_judges_both_reference_parts_and_writes_a_report_of_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = hookproof("demo", "--json", "r.json")
    assert result.exit_code == 0, result.output
    for html, data, side in (
        ("hookproof-report.html", "r.json", "receiver"),
        ("hookproof-report-sender.html", "r-sender.json", "sender"),
    ):
        assert f"The report: {html}" in result.output
        assert Path(html).exists()
        assert json.loads(Path(data).read_text())["side"] == side
