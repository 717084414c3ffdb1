"""The reference receiver compared with a bare aiohttp handler, its core saturated by wrk.

Every request is a new, signed message. wrk reads them from a file, because it would become the
bottleneck if it had to sign them.
"""

from __future__ import annotations

import hmac
import re
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

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
    sys,
)

CONNECTIONS, SECONDS, MAX_RATE = 128, 4, 25_000
"""wrk's connections and duration, and the most requests that it may send per second."""

BODY = (
    '{"key":"wxid_hookproof_account","msgId":"%d","timestamp":%d,"fromUser":"20482048204@chatroom",'
    '"toUser":"wxid_hookproof_account","msgType":1,"content":"wxid_hookproof_friend:\\\\n大家好，'
    '這是一條測試訊息","isSelfMsg":false,"createTime":%d,"isHistory":false}'
)


def figures(folder: Path, rounds: int) -> list[Figure]:
    """The figures; none if wrk is not installed."""
    if shutil.which("wrk") is None:
        print("wrk is not installed: the receiver is not measured")
        return []
    port = ["--port", "0", "--secret", "env:HOOKPROOF_SECRET"]
    db = ["--db", str(folder / "inbox.db")]
    with (
        serving([*HOOKPROOF, "serve", "receiver", *port, *db], MEASURED) as ours,
        serving([sys.executable, str(HERE / "bare_receiver.py")], MEASURED) as bare,
    ):
        return compare(
            [
                ("reference receiver / bare handler", "requests/s", "at least 0.5"),
                ("reference receiver / bare handler", "requests/CPU s", "at least 0.5"),
            ],
            lambda: measure(ours, folder),
            lambda: measure(bare, folder),
            rounds,
        )


def measure(server: Server, folder: Path) -> tuple[float, float]:
    """Requests per second, and per CPU second of the server."""
    file = folder / "requests"
    write_requests(file, server.url)
    before = server.cpu()
    output = subprocess.run(
        ["taskset", "-c", str(OTHER), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s",
         str(HERE / "send.lua"), server.url, "--", str(file)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    requests, seconds, wrong = re.search(r"RESULT (\d+) ([\d.]+) (\d+)", output).groups()
    assert wrong == "0", output
    return int(requests) / float(seconds), int(requests) / (server.cpu() - before)


def write_requests(file: Path, url: str) -> None:
    """Write whole requests, signed now, each with its own id and followed by a NUL."""
    host, now, first = urlsplit(url).netloc, int(time.time()), secrets.randbelow(2**40) * 2**20
    with file.open("wb") as requests:
        for number in range(MAX_RATE * SECONDS):
            body = (BODY % (first + number, now, now - 2)).encode()
            mac = hmac.digest(SECRET.encode(), b"%d:%b" % (now, body), "sha256").hex()
            head = (
                f"POST /webhook/receiver HTTP/1.1\r\nHost: {host}\r\n"
                "Content-Type: application/json\r\n"
                f"X-Webhook-Timestamp: {now}\r\nX-Webhook-Signature: {mac}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            requests.write(head.encode() + body + b"\0")
