"""Judges a share of the gallery in its own process: `python -m conformance.gallery.share NAME…`.

It prints the rows as JSON at the end. It exits at once when its standard input closes, so that it never
outlives the run that started it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict

from conformance.gallery.child_process import end_with_input
from conformance.gallery.matrix import PEERS, judge_all


def main(names: list[str]) -> None:
    """Judge the peers with these names and print their rows."""
    end_with_input(status=1)
    by_name = {peer.name: peer for peer in PEERS}
    rows = asyncio.run(judge_all([by_name[name] for name in names]))
    print(json.dumps([asdict(row) for row in rows]))  # noqa: T201 - for the run to read


if __name__ == "__main__":
    main(sys.argv[1:])
