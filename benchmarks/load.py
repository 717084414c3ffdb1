"""Hookproof's Locust users compared with a bare FastHttpUser: one process on one core, against the bare
handler. Includes ids, signatures and judging every answer, but no observer."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from benchmarks.measure import HERE, MEASURED, OTHER, Figure, Server, compare, cost, serving

USERS, SECONDS = 50, 5


def figures(folder: Path, rounds: int) -> list[Figure]:
    # The bare handler "accepts" forgeries; sending them costs the same.
    ours = ["-f", str(HERE.parent / "locustfile.py")]
    bare = ["-f", str(HERE / "bare_locustfile.py")]
    with serving([sys.executable, str(HERE / "bare_receiver.py")], OTHER) as sink:
        return compare(
            [
                ("Hookproof's Locust users / bare FastHttpUser", "requests/s", "at least 0.8"),
                ("Hookproof's Locust users / bare FastHttpUser", "requests/CPU s", "at least 0.8"),
            ],
            lambda: run(ours, sink, folder),
            lambda: run(bare, sink, folder),
            rounds,
        )


def run(locustfile: list[str], sink: Server, folder: Path) -> tuple[float, float]:
    """Requests per second, and per CPU second of Locust's process including its start."""
    command = [sys.executable, "-m", "locust", *locustfile, "--headless", f"--users={USERS}"]
    command += [f"--spawn-rate={USERS}", f"--run-time={SECONDS}", f"--csv={folder / 'locust'}"]
    spent = cost([*command, f"--host={sink.url.removesuffix('/webhook/receiver')}"], MEASURED)
    with (folder / "locust_stats.csv").open(newline="") as file:
        total = next(row for row in csv.DictReader(file) if row["Name"] == "Aggregated")
    return float(total["Requests/s"]), int(total["Request Count"]) / spent.cpu
