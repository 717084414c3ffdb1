"""The reference receiver beside a bare aiohttp handler, its core saturated by wrk.

Every request is a message that nobody has seen, signed: wrk reads them from a file, since to sign
them as they go out would make it the limit.
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

CONNECTIONS, SECONDS, MOST = 128, 4, 25_000
"""Of wrk; and requests a second that it may need."""

BODY = (
    '{"key":"wxid_hookproof_account","msgId":"%d","timestamp":%d,"fromUser":"20482048204@chatroom",'
    '"toUser":"wxid_hookproof_account","msgType":1,"content":"wxid_hookproof_friend:\\\\n大家好，'
    '這是一條測試訊息","isSelfMsg":false,"createTime":%d,"isHistory":false}'
)


def figures(folder: Path, rounds: int) -> list[Figure]:
    """Nothing where wrk is not installed."""
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
            lambda: round_of(ours, folder),
            lambda: round_of(bare, folder),
            rounds,
        )


def round_of(server: Server, folder: Path) -> tuple[float, float]:
    """Requests a second, and a CPU second of the server's."""
    file = folder / "requests"
    write_requests(file, server.url)
    before = server.cpu()
    said = subprocess.run(
        ["taskset", "-c", str(OTHER), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s",
         str(HERE / "send.lua"), server.url, "--", str(file)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    requests, seconds, wrong = re.search(r"RESULT (\d+) ([\d.]+) (\d+)", said).groups()
    assert wrong == "0", said
    return int(requests) / float(seconds), int(requests) / (server.cpu() - before)


def write_requests(file: Path, url: str) -> None:
    """Whole requests, signed now, each with an id of its own; a NUL after each."""
    host, now, first = urlsplit(url).netloc, int(time.time()), secrets.randbelow(2**40) * 2**20
    with file.open("wb") as written:
        for number in range(MOST * SECONDS):
            body = (BODY % (first + number, now, now - 2)).encode()
            mac = hmac.digest(SECRET.encode(), b"%d:%b" % (now, body), "sha256").hex()
            head = (
                f"POST /webhook/receiver HTTP/1.1\r\nHost: {host}\r\n"
                "Content-Type: application/json\r\n"
                f"X-Webhook-Timestamp: {now}\r\nX-Webhook-Signature: {mac}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            written.write(head.encode() + body + b"\0")
