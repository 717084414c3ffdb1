"""The cost of a large trace: `python -m benchmarks.trace [EXCHANGES]` writes one of a million exchanges
and reads it, each step in its own process. (The suite's figures include the cost of a trace in a run.)

Prints a table and writes benchmarks/trace.json. Times are wall time on this machine.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import HERE, HOOKPROOF, Cost, cost
from conformance.model.exchange import Answer, Exchange, Request, Role, Signing
from conformance.protocol.message import build
from conformance.trace.store import write

MILLION = 1_000_000
RULES = [f"receiver.signature.rule-{number}" for number in range(60)]
STATUSES = (200, 200, 200, 200, 401, 500)


def exchanges(number: int) -> Iterator[Exchange]:
    """Exchanges like those of a run against a receiver, all of them different."""
    draw = random.Random(1)
    answer_headers = (
        (b"Content-Type", b"application/json; charset=utf-8"),
        (b"Content-Length", b"21"),
        (b"Date", b"Tue, 24 Nov 2026 07:04:19 GMT"),
        (b"Server", b"Python/3.11 aiohttp/3.14.5"),
    )
    for at in range(1, number + 1):
        msg_id = str(10**18 + at * 10)
        body = json.dumps(build("text", msg_id, 1795500000).fields(), ensure_ascii=False).encode()
        headers = (
            (b"User-Agent", b"Hookproof"),
            (b"Content-Type", b"application/json"),
            (b"X-Webhook-Timestamp", b"1795500000"),
            (b"X-Webhook-Signature", b"%064x" % draw.getrandbits(256)),
        )
        begin = at * 1e-4
        duration = draw.lognormvariate(-6, 1)
        yield Exchange(
            id=at,
            role=Role.PROBE,
            rule=RULES[at % len(RULES)],
            case=None,
            step=0,
            msg_id=msg_id,
            request=Request("POST", "http://127.0.0.1:5000/webhook/receiver", headers, body),
            signing=Signing(b"1795500000", body),
            answer=Answer(STATUSES[at % 6], answer_headers, b'{"status": "success"}'),
            fault=None,
            detail="",
            started=begin,
            sent=begin + 1e-4,
            ended=begin + 1e-4 + duration,
            peer="127.0.0.1",
        )


def frame_command(path: str, method: str) -> list[str]:
    """A command that turns the trace into a data frame."""
    code = (
        f"from conformance.trace import Trace; f = Trace.open({path!r}).{method}(); assert len(f)"
    )
    return [sys.executable, "-c", code]


def main(number: int) -> None:
    with tempfile.TemporaryDirectory(prefix="hookproof-") as name:
        folder = Path(name)
        path = folder / "large.db"
        begin = time.monotonic()
        writer = [sys.executable, "-m", "benchmarks.trace", "write", str(path), str(number)]
        writing = cost(writer)
        seconds = time.monotonic() - begin
        steps: dict[str, tuple[Cost, str]] = {
            "hookproof trace FILE": (cost([*HOOKPROOF, "trace", str(path)]), "3 s"),
            "--slow 0.1": (cost([*HOOKPROOF, "trace", str(path), "--slow", "0.1"]), "-"),
            "frame()": (cost(frame_command(str(path), "frame")), "10 s, 2,000 MiB"),
            "attempts()": (cost(frame_command(str(path), "attempts")), "2,000 MiB"),
        }
        size = path.stat().st_size / 2**20
    table = Table("step", "wall s", "peak MiB", "at most")
    # The process also creates the exchanges, so the rate is a lower bound.
    table.add_row(
        f"writing {number:,}", f"{seconds:.1f}", f"{writing.memory:.0f}", "20,000/s or more"
    )
    for step, (used, most) in steps.items():
        table.add_row(step, f"{used.wall:.2f}", f"{used.memory:.0f}", most)
    console = Console()
    console.print(table)
    console.print(f"{number / seconds:,.0f} exchanges/s, {size:,.0f} MiB")
    results = {
        "exchanges": number,
        "written_per_second": number / seconds,
        "mib": size,
        "steps": {
            step: {"wall": used.wall, "mib": used.memory} for step, (used, _) in steps.items()
        },
    }
    (HERE / "trace.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", path, number]:
            write(Path(path), exchanges(int(number)))
        case [number]:
            main(int(number))
        case _:
            main(MILLION)
