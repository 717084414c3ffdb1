"""The reference sender beside a bare signing client loop, both posting to the same bare handler.

The sender is measured from the first event that it is given to the last delivery: it reads, judges
and stores each event durably, delivers it, and stores what came of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import Request, urlopen

from benchmarks.measure import (
    HERE,
    HOOKPROOF,
    MEASURED,
    OTHER,
    SECRET,
    Figure,
    Server,
    compare,
    serving,
    start,
)

MESSAGES, AT_ONCE, CONCURRENCY = 12_000, 250, 32


def event(number: int) -> dict[str, object]:
    """A message event as a sender's API takes it."""
    return {
        "key": "wxid_hookproof_account",
        "msgId": str(number),
        "fromUser": "20482048204@chatroom",
        "toUser": "wxid_hookproof_account",
        "msgType": 1,
        "content": "wxid_hookproof_friend:\n大家好，這是一條測試訊息",
        "isSelfMsg": False,
        "createTime": int(time.time()) - 2,
        "isHistory": False,
    }


def body(number: int) -> bytes:
    """The same as it is delivered."""
    whole = event(number) | {"timestamp": int(time.time())}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def figures(folder: Path, rounds: int) -> list[Figure]:
    serve = [*HOOKPROOF, "serve", "sender", "--port", "0", "--db", str(folder / "queue.db")]
    with (
        serving([sys.executable, str(HERE / "bare_receiver.py")], OTHER) as sink,
        serving(serve, MEASURED) as ours,
    ):
        call(f"{ours.url}/Config", {"URL": sink.url, "Secret": SECRET, "RetryCount": 0})
        given = iter(range(1, 1000))
        return compare(
            [
                ("reference sender / bare client loop", "messages/s", "at least 0.6"),
                ("reference sender / bare client loop", "messages/CPU s", "at least 0.6"),
            ],
            lambda: deliver(ours, sink, next(given) * MESSAGES),
            lambda: bare(sink),
            rounds,
        )


def call(url: str, given: object = None) -> object:
    """A call of an API: its answer's JSON."""
    data = None if given is None else json.dumps(given, ensure_ascii=False).encode()
    with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=60) as answer:
        return json.load(answer)


def deliver(sender: Server, sink: Server, first: int) -> tuple[float, float]:
    """Messages a second, and a CPU second of the sender's."""
    lists = [
        json.dumps([event(n) for n in range(at, at + AT_ONCE)], ensure_ascii=False).encode()
        for at in range(first, first + MESSAGES, AT_ONCE)
    ]
    counter = sink.url.replace("/webhook/receiver", "/count")
    until = call(counter) + MESSAGES
    begin, cpu = time.perf_counter(), sender.cpu()
    for each in lists:
        request = Request(f"{sender.url}/Emit", each, {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            answer.read()
    while call(counter) < until:
        threading.Event().wait(0.01)
    seconds = time.perf_counter() - begin
    return MESSAGES / seconds, MESSAGES / (sender.cpu() - cpu)


def bare(sink: Server) -> tuple[float, float]:
    """The same of the bare loop."""
    command = [sys.executable, "-m", "benchmarks.bare_sender", sink.url, SECRET, str(MESSAGES)]
    process = start([*command, str(CONCURRENCY)], MEASURED, stdout=subprocess.PIPE)
    said, _ = process.communicate()
    rate, cpu = map(float, said.split())
    return rate, cpu
