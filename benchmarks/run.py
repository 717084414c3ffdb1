"""`make bench`: each figure as the median ratio to a bare baseline, measured in turn in the same run.

Prints a table and writes benchmarks/results.json. `python -m benchmarks.run receiver sender` measures
only those.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import load, queue_length, receiver, sender, suite
from benchmarks.measure import HERE, Figure

ROUNDS = 5
MEASURED: dict[str, Callable[[Path, int], list[Figure]]] = {
    "receiver": receiver.figures,
    "sender": sender.figures,
    "queue-length": queue_length.figures,
    "load": load.figures,
    "suite": suite.figures,
}


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        figures = [
            figure for name in names or MEASURED for figure in MEASURED[name](Path(folder), ROUNDS)
        ]
    table = Table("figure", "unit", "ours", "bare", "ratio", "from … to", "target")
    for figure in figures:
        low, high = figure.spread
        table.add_row(
            figure.name,
            figure.unit,
            f"{figure.ours:,.4g}",
            f"{figure.bare:,.4g}",
            f"{figure.ratio:.2f}",
            f"{low:.2f} … {high:.2f}",
            figure.target,
        )
    Console(width=120).print(table)
    results = {"rounds": ROUNDS, "figures": [asdict(figure) for figure in figures]}
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
