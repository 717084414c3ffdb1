"""`serve` as a process: signals, third-party clients, and kill -9."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from conformance.model.errors import InputError
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.receiver.app import ENDPOINT, Settings, serving
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.receiver.inbox import Inbox
from conformance.scenario.dialects import load
from conformance.storage.database import MEMORY
from tests.patience import PATIENCE
from tests.places import ROOT

SECRET = "a lighthouse"
SERVE = """
import {loop} as loop, sys
from conformance.protocol.signing import Signer
from conformance.protocol.dialect import Secret
from conformance.scenario.dialects import load
from conformance.receiver.app import serve
signer = Signer(load("guide"), Secret(sys.argv[1].encode()))
loop.run(serve(signer, sys.argv[2]))
"""


@contextmanager
def process(db: str, loop: str = "asyncio") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A receiver in its own process, and its base URL; killed at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVE.format(loop=loop), SECRET, db],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as started:
        try:
            assert started.stdout is not None
            line = started.stdout.readline()
            assert line.endswith(f"{ENDPOINT}\n")
            yield started, line.removesuffix(f"{ENDPOINT}\n")
        finally:
            started.kill()


def deliver(base: str, msg_id: str) -> Any:
    """Deliver a message, signed now; the answer's JSON. Raises OSError unless answered 200."""
    body = json.dumps({"msgId": msg_id, "msgType": 1, "content": "燈亮了"}).encode()
    stamp = str(int(time.time()))
    mac = hmac.new(SECRET.encode(), f"{stamp}:".encode() + body, hashlib.sha256)
    headers = {"X-Webhook-Timestamp": stamp, "X-Webhook-Signature": mac.hexdigest()}
    with urlopen(Request(base + ENDPOINT, body, headers), timeout=PATIENCE) as answer:
        assert answer.status == 200
        return json.load(answer)


def count(base: str, msg_id: str) -> int:
    with urlopen(f"{base}/processed?msgId={msg_id}", timeout=PATIENCE) as answer:
        return int(json.load(answer)["count"])


async def start(host: str, port: int) -> None:
    signer = Signer(load("guide"), Secret(SECRET.encode()))
    settings = Settings(host=host, port=port)
    async with Inbox(MEMORY) as inbox, serving(ReceiverBehaviour(), inbox, signer, settings):
        pass


async def test_a_port_in_use_is_an_input_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"--port: {port} on 127.0.0.1 is already in use"):
            await start("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_a_host_of_another_machine_is_an_input_error(host: str) -> None:
    with pytest.raises(InputError, match=f"--host: {re.escape(host)} is not an address of this"):
        await start(host, 0)


async def test_nothing_listens_after_the_receiver_has_stopped() -> None:
    signer = Signer(load("guide"), Secret(SECRET.encode()))
    async with Inbox(MEMORY) as inbox, serving(ReceiverBehaviour(), inbox, signer) as base:
        url = urlsplit(base)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(url.hostname, url.port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_receiver_cleanly(number: signal.Signals) -> None:
    with process(MEMORY) as (running, base):
        deliver(base, "1")
        running.send_signal(number)
        rest, errors = running.communicate(timeout=PATIENCE)
        assert (running.returncode, rest, errors) == (0, "", "")


def test_it_serves_on_uvloop() -> None:
    pytest.importorskip("uvloop")
    with process(MEMORY, loop="uvloop") as (_, base):
        deliver(base, "1")
        assert count(base, "1") == 1


CURL = """
ts=$(date +%s)
sig=$({ printf %s: "$ts"; cat "$2"; } | openssl dgst -sha256 -hmac "$3" -r | cut -c 1-64)
curl -sS --max-time 10 -w ' %{http_code}' -H 'Content-Type: application/json; charset=utf-8' \
  -H 'Expect: 100-continue' -H 'Transfer-Encoding: chunked' \
  -H "x-webhook-timestamp: $ts" -H "x-webhook-signature: $sig" --data-binary "@$2" "$1"
"""


def test_curl_and_openssl_agree_with_it(tmp_path: Path) -> None:
    for tool in ("curl", "openssl"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    body = tmp_path / "body"
    body.write_text(json.dumps({"msgId": "1", "content": "燈" * 2000}, ensure_ascii=False))
    with process(MEMORY) as (_, base):
        arguments = ["sh", "-c", CURL, "sh", base + ENDPOINT, str(body), SECRET]
        output = [subprocess.check_output(arguments, text=True) for _ in range(2)]
        assert output[0] == '{"status": "success"} 200'
        assert output[1] == '{"status": "success", "message": "duplicate"} 200'


class Senders:
    """Eight threads that send messages until the receiver is gone; `enough` is set once `goal`
    messages have been acknowledged."""

    def __init__(self, base: str, name: str, goal: int) -> None:
        self.acknowledged: list[str] = []
        self.attempted: list[str] = []
        self.enough = threading.Event()
        self._base, self._name, self._goal = base, name, goal
        self._threads = [threading.Thread(target=self._send, args=(each,)) for each in range(8)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=PATIENCE)
            assert not thread.is_alive()

    def _send(self, thread: int) -> None:
        for number in range(10_000):
            msg_id = f"{self._name}-{thread}-{number}"
            self.attempted.append(msg_id)
            try:
                deliver(self._base, msg_id)
            except (OSError, ValueError):  # refused, reset, or cut off in mid-answer
                return
            self.acknowledged.append(msg_id)
            if len(self.acknowledged) >= self._goal:
                self.enough.set()


@pytest.mark.parametrize("rounds", [2, pytest.param(30, marks=pytest.mark.soak)])
def test_kill_9_loses_nothing_that_was_acknowledged_and_repeats_nothing(
    tmp_path: Path, rounds: int, record_property: pytest.RecordProperty
) -> None:
    db, draw = str(tmp_path / "inbox.db"), random.Random(9)
    acknowledged: list[str] = []
    attempted: list[str] = []
    for round_ in range(rounds):
        with process(db) as (running, base):
            senders = Senders(base, str(round_), goal=draw.randint(10, 120))
            assert senders.enough.wait(timeout=PATIENCE)
            running.kill()
            senders.join()
        acknowledged += senders.acknowledged
        attempted += senders.attempted
    with process(db) as (_, base):
        counts = {msg_id: count(base, msg_id) for msg_id in attempted}
        assert {counts[msg_id] for msg_id in acknowledged} == {1}
        assert set(counts.values()) <= {0, 1}
        assert [deliver(base, msg_id)["message"] for msg_id in acknowledged] == (
            ["duplicate"] * len(acknowledged)
        )
    record_property("acknowledged", len(acknowledged))
    print(f"{len(acknowledged)} acknowledged, {sum(counts.values())} processed, none of them twice")
