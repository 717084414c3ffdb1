"""`make bench`: each figure as a ratio to a bare baseline in the same run, in turn, the median told.

Prints a table and writes benchmarks/results.json. A ratio of CPU seconds holds on a busy machine; a
time alone does not.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROUNDS = 5
HERE = Path(__file__).parent
SECRET = "benchmark-secret"
HOOKPROOF = [sys.executable, "-m", "conformance"]


@dataclass(frozen=True)
class Figure:
    """What was measured against what: medians over ROUNDS, and the ratio of each pair."""

    name: str
    unit: str
    ours: float
    bare: float
    ratio: float
    target: str


@dataclass(frozen=True)
class Cost:
    """One process from start to end: CPU and wall seconds, and its peak memory in MiB."""

    cpu: float
    wall: float
    memory: float


def cost(command: list[str]) -> Cost:
    """Run `command` and read what the system accounts to it."""
    begin = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOOKPROOF_SECRET": SECRET},
    )
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return Cost(usage.ru_utime + usage.ru_stime, time.monotonic() - begin, usage.ru_maxrss / 1024)


def pairs(
    name: str,
    unit: str,
    ours: list[str],
    bare: list[str],
    pick: Callable[[Cost], float],
    target: str,
) -> Figure:
    """`ours` and `bare` in turn, after one round that is not counted."""
    cost(ours), cost(bare)
    rounds = [(pick(cost(ours)), pick(cost(bare))) for _ in range(ROUNDS)]
    return Figure(
        name,
        unit,
        statistics.median(one for one, _ in rounds),
        statistics.median(other for _, other in rounds),
        statistics.median(one / other for one, other in rounds),
        target,
    )


@contextmanager
def receiver():
    """The reference receiver as a process of its own; gives its base URL."""
    process = subprocess.Popen(
        [*HOOKPROOF, "serve", "receiver", "--port", "0", "--secret", SECRET],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removesuffix("/webhook/receiver")
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    with receiver() as base:
        check = [
            *HOOKPROOF,
            "check",
            "receiver",
            f"{base}/webhook/receiver",
            "--secret",
            "env:HOOKPROOF_SECRET",
        ]
        check += ["--observer-url", base + "/processed?msgId={msgId}", "--quiet"]
        trace = folder / "trace.db"
        cost([*check, "--trace", str(trace)])
        bare = [sys.executable, str(HERE / "bare.py"), str(trace)]
        figures = [
            pairs(
                "receiver suite / its bare requests",
                "CPU s",
                check,
                bare,
                lambda c: c.cpu,
                "at most 3",
            ),
            pairs(
                "hookproof --help / bare Python",
                "wall s",
                [*HOOKPROOF, "--help"],
                [sys.executable, "-c", "0"],
                lambda c: c.wall,
                "--help within 0.3 s",
            ),
        ]
        whole = [cost(check) for _ in range(ROUNDS)]
    wall = statistics.median(each.wall for each in whole)
    memory = max(each.memory for each in whole)
    table = Table("figure", "unit", "ours", "bare", "ratio", "target")
    for each in figures:
        table.add_row(
            each.name,
            each.unit,
            f"{each.ours:.3f}",
            f"{each.bare:.3f}",
            f"{each.ratio:.2f}",
            each.target,
        )
    console = Console()
    console.print(table)
    console.print(
        f"receiver suite: {wall:.2f} s of wall time (at most 3), {memory:.0f} MiB at its peak"
    )
    results = {
        "rounds": ROUNDS,
        "figures": [asdict(each) for each in figures],
        "suite_wall_seconds": wall,
        "suite_peak_mib": memory,
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
