"""Whole load runs as users start them: against a fast receiver with one fault or none, over several
workers, through Locust's web UI, and against the reference receiver while it is killed."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from conformance.engine.rejudge import judge_again
from conformance.protocol.resources import locustfile
from conformance.protocol.validation import problems
from conformance.receiver.app import ENDPOINT
from conformance.trace import StoredTrace
from tests.load import hostile
from tests.load import peer as load_peer
from tests.patience import PATIENCE
from tests.places import ROOT

# Not by importing it: Locust patches the process that imports it.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("locust") is None,
    reason="Locust is not installed: pip install 'hookproof[load]'",
)

SECRET = "a lighthouse"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
PEER = [sys.executable, load_peer.__file__, SECRET]
HOOKPROOF = [sys.executable, "-m", "conformance"]
LOCUST = [sys.executable, "-m", "locust", "-f", str(locustfile()), "--loglevel=WARNING"]


@contextmanager
def process(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed at the end if it still runs."""
    environment = ENVIRONMENT | options.pop("env", {})
    with subprocess.Popen(command, env=environment, text=True, **options) as started:
        try:
            yield started
        finally:
            started.kill()


@contextmanager
def peer(*fault: str) -> Iterator[str]:
    """A receiver with a fault or none; its base URL."""
    with process([*PEER, *fault], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        yield started.stdout.readline().strip()


def get(url: str, **form: object) -> str:
    data = urlencode(form).encode() if form else None
    with urlopen(url, data, timeout=PATIENCE) as answer:
        text: str = answer.read().decode()
        return text


def load(base: str, tmp_path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """`hookproof load` with an observer; its exit status and its report."""
    file = tmp_path / "load.json"
    command = [*HOOKPROOF, "load", base + ENDPOINT, "--secret", "env:LIGHT", "--json", str(file)]
    command += ["--observer-url", f"{base}/processed?msgId={{msgId}}", *options]
    done = subprocess.run(
        command,
        env=ENVIRONMENT | {"LIGHT": SECRET},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert file.exists(), done.stderr
    report = json.loads(file.read_text(encoding="utf-8"))
    assert problems("report", report) == []
    assert SECRET not in file.read_text(encoding="utf-8") + done.stdout + done.stderr
    return done.returncode, report


def outcomes(report: dict[str, Any]) -> dict[str, str]:
    """The outcome of each rule of load, by the last word of its id."""
    return {each["rule"].rpartition(".")[2]: each["outcome"] for each in report["results"]}


def result(report: dict[str, Any], name: str) -> dict[str, Any]:
    """The result of a rule; what it found must be in the trace."""
    found: dict[str, Any] = next(
        each for each in report["results"] if each["rule"] == f"receiver.load.{name}"
    )
    assert found["exchanges"]
    return found


OTHERS = 20
"""The most messages that a run sends before and after its load."""

ALL_WELL = dict.fromkeys(("answers", "deadline", "forged", "lost", "doubled"), "pass") | {
    "p99": "skip"
}


@pytest.mark.parametrize(
    ("every", "run_times"),
    [
        pytest.param(100, ["3s"], id="a hundred"),
        pytest.param(10_000, ["10s", "40s"], marks=pytest.mark.soak, id="ten thousand"),
    ],
)
def test_a_rare_lost_message_is_found_and_named(
    tmp_path: Path, every: int, run_times: list[str]
) -> None:
    for run_time in run_times:
        with peer("loses", str(every)) as base:
            status, report = load(base, tmp_path, "--run-time", run_time)
            truth = json.loads(get(f"{base}/messages"))
        if report["load"]["messages"]["acknowledged"] >= 3 * every:
            break
    assert status == 1
    assert outcomes(report) == ALL_WELL | {"lost": "fail"}
    assert report["load"]["messages"]["acknowledged"] >= 3 * every
    assert truth["lost"]
    parameters = result(report, "lost")["parameters"]
    assert parameters["count"] == len(truth["lost"])
    named = parameters["examples"].split(", ")
    assert named == sorted(truth["lost"], key=int)[: len(named)]


@pytest.mark.parametrize(
    ("every", "run_times"),
    [
        pytest.param(50, ["3s"], id="fifty"),
        pytest.param(1_000, ["4s", "16s"], marks=pytest.mark.soak, id="a thousand"),
    ],
)
def test_a_rare_repeat_that_is_processed_twice_is_found_and_named(
    tmp_path: Path, every: int, run_times: list[str]
) -> None:
    trace = tmp_path / "load.db"
    mix = ["--mix", "ordinary=1,repeats=2,forgeries=1,storms=2", "--trace", str(trace)]
    for run_time in run_times:
        with peer("doubles", str(every)) as base:
            status, report = load(base, tmp_path, "--run-time", run_time, *mix)
            truth = json.loads(get(f"{base}/messages"))
        requests = report["load"]["requests"]
        if requests["repeat"]["right"] + requests["retry"]["right"] > 3 * every:
            break
    assert status == 1
    assert outcomes(report) == ALL_WELL | {"doubled": "fail"}
    assert truth["doubled"]
    parameters = result(report, "doubled")["parameters"]
    assert parameters["count"] == len(truth["doubled"])
    named = parameters["examples"].split(", ")
    assert named == sorted(truth["doubled"], key=int)[: len(named)]
    again = judge_again(StoredTrace.open(trace), None)
    assert outcomes(again.as_json()) == outcomes(report)


def test_forgeries_that_are_accepted_only_when_busy_are_found(tmp_path: Path) -> None:
    with peer("forged-when-busy") as base:
        status, report = load(base, tmp_path, "--run-time", "3s", "--users", "60")
    assert status == 1
    assert outcomes(report) == ALL_WELL | {"forged": "fail"}
    assert report["load"]["requests"]["forgery"]["accepted"] > 0
    # Most are refused, as when the suite sends one at a time.
    assert report["load"]["requests"]["forgery"]["right"] > 0
    assert result(report, "forged")["code"] == "forged"


@pytest.mark.soak
def test_a_p99_that_passes_five_seconds_in_a_crowd_is_found(tmp_path: Path) -> None:
    with peer("slow-in-a-crowd") as base:
        status, report = load(base, tmp_path, "--run-time", "7s", "--users", "70", "--max-p99", "5")
        assert status == 1
        assert outcomes(report) == ALL_WELL | {"p99": "warn", "deadline": "fail"}
        assert report["load"]["latency"]["p99"] > 5
        assert report["load"]["requests"]["message"]["late"] > 0
        # The same receiver with few users.
        few = ["--users", "4", "--mix", "ordinary=2,repeats=1,forgeries=1"]
        status, report = load(base, tmp_path, "--run-time", "3s", *few)
        assert (status, outcomes(report)) == (0, ALL_WELL)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def cluster(base: str, verdict: Path, run_time: str, workers: int) -> Iterator[list[Any]]:
    """A master and its workers, each a process; the master comes first."""
    port = free_port()
    with ExitStack() as stack:
        log = stack.enter_context(verdict.with_suffix(".log").open("w"))
        quiet: dict[str, Any] = {"stdout": log, "stderr": log}
        light = {"LIGHT": SECRET}
        lead = [f"--host={base}", "--secret=env:LIGHT", f"--verdict-json={verdict}"]
        lead += [f"--observer-url={base}/processed?msgId={{msgId}}", f"--run-time={run_time}"]
        lead += ["--headless", "--users=20", "--spawn-rate=20", f"--expect-workers={workers}"]
        commands = [[*LOCUST, "--master", f"--master-bind-port={port}", *lead]]
        commands += [[*LOCUST, "--worker", f"--master-port={port}"]] * workers
        yield [stack.enter_context(process(each, env=light, **quiet)) for each in commands]


def test_a_master_reconciles_what_two_workers_sent(tmp_path: Path) -> None:
    verdict = tmp_path / "verdict.json"
    with peer() as base:
        with cluster(base, verdict, "3s", workers=2) as started:
            statuses = [each.wait(timeout=2 * PATIENCE) for each in started]
        report = json.loads(verdict.read_text(encoding="utf-8"))
        received = json.loads(get(f"{base}/messages"))["messages"]
    assert statuses[0] == 0, verdict.with_suffix(".log").read_text()
    assert (report["load"]["workers"], report["load"]["users"], outcomes(report)) == (
        2,
        20,
        ALL_WELL,
    )
    # Every id of either worker reached the receiver as a message of its own. A request that the end of
    # the run cut off may or may not have reached it.
    messages = report["load"]["messages"]
    assert messages["acknowledged"] <= received <= messages["valid"] + OTHERS


@pytest.mark.soak
def test_a_worker_that_dies_with_its_ledger_is_no_pass(tmp_path: Path) -> None:
    verdict = tmp_path / "verdict.json"
    with peer() as base, cluster(base, verdict, "5s", workers=2) as started:
        while json.loads(get(f"{base}/messages"))["messages"] < 200:
            assert started[0].poll() is None
        started[1].kill()
        assert started[0].wait(timeout=PATIENCE) == 3
    report = json.loads(verdict.read_text(encoding="utf-8"))
    assert {outcomes(report)[name] for name in ("lost", "doubled")} == {"error"}
    assert report["load"]["workers"] == 1


def test_the_web_ui_runs_it_with_its_options_and_shows_the_verdict(tmp_path: Path) -> None:
    port = free_port()
    ui = f"http://127.0.0.1:{port}"
    # The secret is given literally: it must not appear in the page.
    command = [*LOCUST, "--web-host=127.0.0.1", f"--web-port={port}", f"--secret={SECRET}"]
    with peer() as base, process(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as ran:
        opened = _wait_for(ui)
        assert "observer_url" in opened
        assert SECRET not in opened
        assert "No run has ended" in get(f"{ui}/hookproof")
        form = {"user_count": 10, "spawn_rate": 10, "host": base, "mix": "ordinary=1,repeats=1"}
        form |= {"observer_url": f"{base}/processed?msgId={{msgId}}", "seed": 5}
        assert json.loads(get(f"{ui}/swarm", **form))["success"]
        while json.loads(get(f"{ui}/stats/requests"))["stats"][-1]["num_requests"] < 200:
            assert ran.poll() is None
        get(f"{ui}/stop", now=1)
        page = get(f"{ui}/hookproof")
    assert "This receiver conforms." in page
    assert "no-forgeries" in page


def _wait_for(url: str) -> str:
    """The page at `url`, once a server listens there."""
    while True:
        try:
            return get(url)
        except URLError:
            threading.Event().wait(0.1)


def test_an_interrupted_run_judges_what_was_sent_so_far(tmp_path: Path) -> None:
    file = tmp_path / "load.json"
    with peer() as base:
        command = [*HOOKPROOF, "load", base + ENDPOINT, "--secret", SECRET, "--json", str(file)]
        command += ["--observer-url", f"{base}/processed?msgId={{msgId}}", "--users", "5"]
        # The test runner may have been started with Ctrl-C ignored.
        default_sigint = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
        with process(
            command, stdout=subprocess.PIPE, start_new_session=True, **default_sigint
        ) as started:
            while json.loads(get(f"{base}/messages"))["messages"] < 100:
                assert started.poll() is None
            os.killpg(started.pid, signal.SIGINT)
            output, _ = started.communicate(timeout=PATIENCE)
    assert started.returncode == 0, output
    assert outcomes(json.loads(file.read_text(encoding="utf-8")))["lost"] == "pass"


class Receiver:
    """The reference receiver with its own file and port, which can be killed and restarted."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._command = [*HOOKPROOF, "serve", "receiver", "--port", str(self._port)]
        self._command += ["--secret", "env:LIGHT", "--db", str(folder / "inbox.db")]
        self.base = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, env=ENVIRONMENT | {"LIGHT": SECRET}, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline()

    def wait_for_traffic(self) -> None:
        """Wait until so many messages arrive that some are in progress at any moment."""
        newest = f"{self.base}/deliveries?limit=1000"
        known = {each["msgId"] for each in json.loads(get(newest))}
        while len(known ^ {each["msgId"] for each in json.loads(get(newest))}) < 1000:
            threading.Event().wait(0.1)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.mark.soak
def test_the_reference_receiver_keeps_its_promises_while_it_is_killed_twice(
    tmp_path: Path,
) -> None:
    receiver = Receiver(tmp_path)
    receiver.start()

    def kill_twice() -> None:
        for _ in range(2):
            receiver.wait_for_traffic()
            receiver.kill()
            receiver.start()

    killer = threading.Thread(target=kill_twice)
    try:
        killer.start()
        options = ["--run-time", "10s", "--users", "20", "--max-fail-ratio", "0.5"]
        status, report = load(receiver.base, tmp_path, *options)
        killer.join()
    finally:
        receiver.kill()
    assert (status, outcomes(report)) == (0, ALL_WELL)
    assert report["load"]["requests"]["message"]["unanswered"] > 0
    assert report["load"]["requests"]["retry"]["right"] > 0


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        pytest.param(["--mix", "x=1"], 2, "hookproof: --mix: there are no users", id="mix"),
        pytest.param(
            ["--run-time", "3x"],
            2,
            "hookproof: --run-time: '3x' is not a time: give one like 90s, 5m or 1h30m",
            id="time",
        ),
        pytest.param(["--", "--nonsense"], 2, "unrecognized arguments: --nonsense", id="Locust's"),
        pytest.param(["--run-time", "0s"], 2, "--run-time: must be at least 1s", id="no time"),
        pytest.param(["--users", "0"], 2, "--users", id="no users"),
        pytest.param([], 3, "the connection was refused", id="nothing listens"),
    ],
)
def test_a_run_that_cannot_start_reports_why_in_one_line(
    options: list[str], status: int, message: str
) -> None:
    url = f"http://127.0.0.1:{free_port()}/hook"
    command = [*HOOKPROOF, "load", url, "--secret", "s", *options]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("secret", "dialect", "message"),
    [
        pytest.param("another", "guide", "plain-refused", id="secret"),
        pytest.param(SECRET, "timestamp-body", "give --dialect guide", id="dialect"),
    ],
)
def test_a_receiver_that_refuses_a_valid_message_is_not_judged(
    secret: str, dialect: str, message: str, tmp_path: Path
) -> None:
    with peer() as base:
        status, report = load(base, tmp_path, "--secret", secret, "--dialect", dialect)
    assert status == 3
    first, *others = report["results"]
    assert message in (first["code"], first["message"].rpartition(": ")[2])
    assert {each["code"] for each in others} == {"see-first-result"}
    assert report["load"] is None


@pytest.mark.parametrize("kind", ["hang", "headers", "1xx"])
def test_a_hostile_target_ends_in_an_error(kind: str, tmp_path: Path) -> None:
    with process([sys.executable, hostile.__file__, kind], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        base = started.stdout.readline().strip()
        # The run's own time must not end before the preflight.
        status, report = load(base, tmp_path, "--run-time", "1s", "--deadline", "1")
    assert (status, report["verdict"], report["results"][0]["code"]) == (3, "error", "unreached")


def test_an_observer_that_gives_no_count_is_an_error_before_the_load(tmp_path: Path) -> None:
    with peer() as base:
        observer = f"{base}/nothing?msgId={{msgId}}"
        status, report = load(base, tmp_path, "--observer-url", observer)
    assert (status, report["results"][0]["code"]) == (3, "observer-unreliable")


def test_answers_other_than_200_break_the_rule_on_answers(tmp_path: Path) -> None:
    with peer("busy", "20") as base:
        status, report = load(base, tmp_path, "--run-time", "2s", "--users", "10")
    assert (status, outcomes(report)) == (1, ALL_WELL | {"answers": "fail"})
    assert result(report, "answers")["parameters"]["bad"] > 0


def test_a_slow_answer_breaks_the_deadline_and_the_p99(tmp_path: Path) -> None:
    limits = ["--deadline", "0.5", "--max-p99", "0.4", "--strict"]
    with peer("slow", "10") as base:
        status, report = load(base, tmp_path, "--run-time", "3s", "--users", "10", *limits)
    assert status == 1
    assert outcomes(report) == ALL_WELL | {"deadline": "fail", "p99": "fail"}
    assert result(report, "deadline")["code"] == "late"
    assert result(report, "p99")["code"] == "slow"


def test_the_reference_receiver_passes(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    receiver.start()
    try:
        limits = ["--run-time", "2s", "--users", "5", "--max-p99", "5"]
        status, report = load(receiver.base, tmp_path, *limits)
    finally:
        receiver.kill()
    assert (status, outcomes(report)) == (0, ALL_WELL | {"p99": "pass"})
