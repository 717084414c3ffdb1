"""Hookproof's Locust users beside a bare FastHttpUser, one process on one core, against the bare
handler: ids, signatures and the judging of every answer included, no observer."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from benchmarks.measure import HERE, MEASURED, OTHER, Figure, Server, compare, cost, serving

USERS, SECONDS = 50, 5


def figures(folder: Path, rounds: int) -> list[Figure]:
    # Forgeries would be "accepted" by the bare handler; sending them costs the same.
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


def run(file: list[str], sink: Server, folder: Path) -> tuple[float, float]:
    """Requests a second, and a CPU second of Locust's, its start included."""
    command = [sys.executable, "-m", "locust", *file, "--headless", f"--users={USERS}"]
    command += [f"--spawn-rate={USERS}", f"--run-time={SECONDS}", f"--csv={folder / 'locust'}"]
    spent = cost([*command, f"--host={sink.url.removesuffix('/webhook/receiver')}"], MEASURED)
    with (folder / "locust_stats.csv").open(newline="") as file_:
        total = next(row for row in csv.DictReader(file_) if row["Name"] == "Aggregated")
    return float(total["Requests/s"]), int(total["Request Count"]) / spent.cpu
