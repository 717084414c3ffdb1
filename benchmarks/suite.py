"""The receiver suite compared with its bare requests, with and without a trace; and its start-up."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measure import HERE, HOOKPROOF, Figure, compare, cost, serving


def figures(folder: Path, rounds: int) -> list[Figure]:
    secret = ["--secret", "env:HOOKPROOF_SECRET"]
    with serving([*HOOKPROOF, "serve", "receiver", "--port", "0", *secret]) as server:
        base = server.url.removesuffix("/webhook/receiver")
        check = [*HOOKPROOF, "check", "receiver", server.url, *secret, "--quiet"]
        check += ["--observer-url", base + "/processed?msgId={msgId}"]
        # The bare requests come from a trace, which does not keep fuzzed ones.
        check += ["--fuzz", "0"]
        trace = folder / "trace.db"
        traced = [*check, "--trace", str(trace)]
        cost(traced)
        bare = [sys.executable, str(HERE / "bare_suite.py"), str(trace)]

        def measure(command: list[str]) -> tuple[float, float, float]:
            spent = cost(command)
            return spent.cpu, spent.wall, spent.memory

        return [
            *compare(
                [
                    ("receiver suite / its bare requests", "CPU s", "at most 3"),
                    ("receiver suite / its bare requests", "wall s", "ours at most 3 s"),
                    ("receiver suite / its bare requests", "MiB", ""),
                ],
                lambda: measure(check),
                lambda: measure(bare),
                rounds,
            ),
            *compare(
                [
                    ("suite with --trace / without", "CPU s", ""),
                    ("suite with --trace / without", "wall s", "at most 1.15"),
                ],
                lambda: measure(traced)[:2],
                lambda: measure(check)[:2],
                rounds,
            ),
            *compare(
                [("hookproof --help / bare Python", "wall s", "ours within 0.3 s")],
                lambda: (cost([*HOOKPROOF, "--help"]).wall,),
                lambda: (cost([sys.executable, "-c", "0"]).wall,),
                rounds,
            ),
        ]
