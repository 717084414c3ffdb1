"""The reference sender compared with a bare signing client loop, both posting to the bare handler.

The sender is measured from the first event that it receives to the last delivery: it reads, validates
and durably stores each event, delivers it, and stores the outcome.
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

MESSAGES, BATCH, CONCURRENCY = 12_000, 250, 32


def event(number: int) -> dict[str, object]:
    """A message event, as a sender's API accepts it."""
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
    """The body in which that event is delivered."""
    whole = event(number) | {"timestamp": int(time.time())}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def figures(folder: Path, rounds: int) -> list[Figure]:
    serve = [*HOOKPROOF, "serve", "sender", "--port", "0", "--db", str(folder / "queue.db")]
    with (
        serving([sys.executable, str(HERE / "bare_receiver.py")], OTHER) as sink,
        serving(serve, MEASURED) as ours,
    ):
        call(f"{ours.url}/Config", {"URL": sink.url, "Secret": SECRET, "RetryCount": 0})
        rounds_so_far = iter(range(1, 1000))
        return compare(
            [
                ("reference sender / bare client loop", "messages/s", "at least 0.6"),
                ("reference sender / bare client loop", "messages/CPU s", "at least 0.6"),
            ],
            lambda: deliver(ours, sink, next(rounds_so_far) * MESSAGES),
            lambda: bare(sink),
            rounds,
        )


def call(url: str, content: object = None) -> object:
    """Call an API and return the JSON of its answer."""
    data = None if content is None else json.dumps(content, ensure_ascii=False).encode()
    with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=60) as answer:
        return json.load(answer)


def deliver(sender: Server, sink: Server, first: int) -> tuple[float, float]:
    """Messages per second, and per CPU second of the sender."""
    batches = [
        json.dumps([event(n) for n in range(at, at + BATCH)], ensure_ascii=False).encode()
        for at in range(first, first + MESSAGES, BATCH)
    ]
    counter = sink.url.replace("/webhook/receiver", "/count")
    goal = call(counter) + MESSAGES
    begin, cpu = time.perf_counter(), sender.cpu()
    for batch in batches:
        request = Request(f"{sender.url}/Emit", batch, {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            answer.read()
    while call(counter) < goal:
        threading.Event().wait(0.01)
    seconds = time.perf_counter() - begin
    return MESSAGES / seconds, MESSAGES / (sender.cpu() - cpu)


def bare(sink: Server) -> tuple[float, float]:
    """The same for the bare loop."""
    command = [sys.executable, "-m", "benchmarks.bare_sender", sink.url, SECRET, str(MESSAGES)]
    process = start([*command, str(CONCURRENCY)], MEASURED, stdout=subprocess.PIPE)
    output, _ = process.communicate()
    rate, cpu = map(float, output.split())
    return rate, cpu
