"""`serve` as a process: signals, curl, restarts, and kill -9 at random moments."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from conformance.model.errors import InputError
from conformance.scenario.dialects import load
from conformance.sender.app import Settings, serving_sender
from tests.patience import PATIENCE
from tests.places import ROOT
from tests.sender.parts import SECRET, HookRequest, ask, endpoint, event, status

# A fresh start spends most of a second on imports; a fork of a process that has them spends none.
NURSERY = """
import {loop} as loop, os, sys
from dataclasses import replace
from conformance.protocol.delivery import Backoff
from conformance.protocol.dialect import Secret
from conformance.scenario.dialects import load
from conformance.protocol.validation import message_problems
from conformance.sender.app import Settings, serve
from conformance.sender.worker import Pace
settings = Settings(pace=Pace(Backoff(base=0.05)))
dialect = load("guide")
message_problems({{}})
for db in sys.stdin:
    child = os.fork()
    if child == 0:
        loop.run(serve(dialect, replace(settings, db=db.strip())))
        os._exit(0)
    print("child", child, flush=True)
    _, how = os.waitpid(child, 0)
    print("ended", os.waitstatus_to_exitcode(how), flush=True)
"""


class Nursery:
    """Starts senders, one at a time, each in its own process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._child = 0

    def start(self, db: str) -> str:
        """Start a sender on the file `db`; return the base URL of its API."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{db}\n")
        self._process.stdin.flush()
        lines = sorted(self._line() for _ in range(2))  # the child's may come first
        self._child = int(lines[0].removeprefix("child "))
        return lines[1]

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the sender to exit; return its exit status."""
        os.kill(self._child, number)
        return int(self._line().removeprefix("ended "))

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def nursery(loop: str = "asyncio") -> Iterator[Nursery]:
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY.format(loop=loop)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    ) as process:
        try:
            yield Nursery(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def create(base: str, url: str, **fields: object) -> None:
    assert ask("POST", f"{base}/Config", {"URL": url, "Secret": SECRET, **fields}).status == 200


def listed(base: str, state: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = ask("GET", f"{base}/Deliveries?status={state}").data
    return entries


def drained(base: str) -> bool:
    """Wait until no delivery is waiting; False if that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while listed(base, "waiting"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_sender_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with nursery() as senders:
        base = senders.start(str(tmp_path / "queue.db"))
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1/webhook", base)
        assert senders.end(number) == 0


def test_it_delivers_on_uvloop(tmp_path: Path) -> None:
    pytest.importorskip("uvloop")
    with nursery("uvloop") as senders, endpoint() as hook:
        base = senders.start(str(tmp_path / "queue.db"))
        create(base, hook.url)
        ask("POST", f"{base}/Emit", event("1"))
        assert drained(base)
        assert [request.msg_id for request in hook.requests] == ["1"]


def test_a_received_message_is_not_sent_again_after_a_restart(tmp_path: Path) -> None:
    db = str(tmp_path / "queue.db")
    with nursery() as senders, endpoint() as hook:
        base = senders.start(db)
        create(base, hook.url)
        ask("POST", f"{base}/Emit", [event(str(number)) for number in range(100)])
        assert drained(base)
        senders.end(signal.SIGKILL)
        base = senders.start(db)
        ask("POST", f"{base}/Emit", event("last"))
        assert drained(base)
        assert Counter(request.msg_id for request in hook.requests).most_common(1)[0][1] == 1
        assert len(hook.requests) == 101


def test_configurations_and_failed_deliveries_outlive_kill_9(tmp_path: Path) -> None:
    db = str(tmp_path / "queue.db")
    with nursery() as senders, endpoint(status(500), status(200)) as hook:
        base = senders.start(db)
        create(base, hook.url, RetryCount=0)
        ask("POST", f"{base}/Emit", event("1"))
        assert drained(base)
        senders.end(signal.SIGKILL)
        base = senders.start(db)
        assert [each["msgId"] for each in listed(base, "failed")] == ["1"]
        assert ask("POST", f"{base}/Redeliver").data == {"count": 1}
        assert drained(base)
        assert len(listed(base, "delivered")) == 1


def test_curl_configures_and_tests_it(tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")

    def call(*arguments: str) -> Any:
        command = [
            curl,
            "-sS",
            "--max-time",
            str(PATIENCE),
            "-H",
            "Expect: 100-continue",
            *arguments,
        ]
        return json.loads(subprocess.check_output(command))

    with nursery() as senders, endpoint() as hook:
        base = senders.start(str(tmp_path / "queue.db"))
        body = json.dumps({"url": hook.url, "messageTypes": [1, 3]})
        assert call("--data", body, f"{base}/Config?key=k")["code"] == 0
        assert call(f"{base}/Test?key=k")["data"]["Success"] is True


def test_curl_learns_what_is_wrong_with_a_body_of_10_mib(tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    body = tmp_path / "body"
    body.write_text(json.dumps({"URL": "http://a/", "Secret": "x" * 10 * 2**20}))
    with nursery() as senders:
        base = senders.start(str(tmp_path / "queue.db"))
        for header in ("Expect: 100-continue", "Transfer-Encoding: chunked"):
            command = [
                curl,
                "-sS",
                "-m",
                str(PATIENCE),
                "-w",
                "%{stderr}%{http_code}",
                "-H",
                header,
            ]
            command += ["--data-binary", f"@{body}", f"{base}/Config"]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            assert answer.stderr == "413"
            assert json.loads(answer.stdout)["message"] == "the body is larger than 65536 bytes"
        assert ask("GET", f"{base}/List").data == []


async def test_a_port_in_use_is_an_input_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"--port: {port} on 127.0.0.1 is already in use"):
            async with serving_sender(load("guide"), Settings(port=port)):
                pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_a_host_of_another_machine_is_an_input_error(host: str) -> None:
    with pytest.raises(InputError, match=f"--host: {re.escape(host)} is not an address of this"):
        async with serving_sender(load("guide"), Settings(host=host)):
            pass


class Emitters:
    """Threads that emit messages to a sender until it is gone; `enough` is set once `goal` of them
    have been accepted."""

    def __init__(self, base: str, name: str, goal: int) -> None:
        self.accepted: list[str] = []
        self.enough = threading.Event()
        self._goal = goal
        self._url = urlsplit(base)
        self._threads = [
            threading.Thread(target=self._emit, args=(f"{name}-{number}",)) for number in range(3)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=PATIENCE)
            assert not thread.is_alive()

    def _emit(self, name: str) -> None:
        with closing(http.client.HTTPConnection(self._url.netloc, timeout=PATIENCE)) as connection:
            for number in range(10_000):
                msg_ids = [f"{name}-{number}-{each}" for each in range(1 + number % 3)]
                body = json.dumps([event(msg_id) for msg_id in msg_ids])
                try:
                    connection.request("POST", f"{self._url.path}/Emit", body)
                    with connection.getresponse() as answer:
                        accepted = answer.status == 202
                        answer.read()
                except (OSError, http.client.HTTPException):  # refused, reset, or cut off
                    return
                if accepted:
                    self.accepted += msg_ids
                    if len(self.accepted) >= self._goal:
                        self.enough.set()


@pytest.mark.parametrize("rounds", [5, pytest.param(50, marks=pytest.mark.soak)])
def test_kill_9_at_random_moments_loses_nothing_that_was_accepted(
    tmp_path: Path, rounds: int, record_property: pytest.RecordProperty
) -> None:
    db, draw = str(tmp_path / "queue.db"), random.Random(9)
    received: Counter[str] = Counter()
    accepted: list[str] = []

    def some_fail(handler: BaseHTTPRequestHandler, request: HookRequest) -> None:
        fails = (
            request.msg_id.endswith("1") and request.msg_id not in received and draw.random() < 0.5
        )
        status(500 if fails else 200)(handler, request)
        received[request.msg_id] += not fails

    with nursery() as senders, endpoint(some_fail) as hook:
        base = senders.start(db)
        create(base, hook.url, RetryCount=100)
        senders.end(signal.SIGKILL)
        for round_ in range(rounds):
            base = senders.start(db)
            emitters = Emitters(base, str(round_), goal=draw.randint(2, 60))
            assert emitters.enough.wait(timeout=PATIENCE)
            time.sleep(draw.uniform(0, 0.02))  # makes the moment random
            assert (
                senders.end(signal.SIGKILL) == -signal.SIGKILL
            )  # and did not exit by itself before
            emitters.join()
            accepted += emitters.accepted
        base = senders.start(db)
        assert drained(base)
        assert listed(base, "failed") == []
    twice = sum(count > 1 for count in received.values())
    record_property("accepted", len(accepted))
    record_property("delivered_twice", twice)
    print(f"{len(accepted)} accepted, {len(received)} delivered, {twice} of them more than once")
    assert len(accepted) > rounds
    assert [msg_id for msg_id in accepted if not received[msg_id]] == []
