"""How every figure is measured: two subjects in turn, several rounds, the median of the pairs' ratios.

A ratio of CPU seconds holds on a busy machine; a time alone does not. So a rate is always reported
beside the rate per CPU second.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SECRET = "benchmark-secret"
HOOKPROOF = [sys.executable, "-m", "conformance"]
ENVIRONMENT = {**os.environ, "HOOKPROOF_SECRET": SECRET, "PYTHONPATH": str(HERE.parent)}
CORES = sorted(os.sched_getaffinity(0))
MEASURED, OTHER = CORES[0], CORES[-1]
"""The CPU core of the measured process, and that of the process that talks to it."""


@dataclass(frozen=True)
class Figure:
    """One comparison: the medians over the rounds, and the median and range of the pairs' ratios."""

    name: str
    unit: str
    ours: float
    bare: float
    ratio: float
    spread: tuple[float, float]
    target: str


@dataclass(frozen=True)
class Cost:
    """One process from start to end: CPU and wall seconds, and its peak memory in MiB."""

    cpu: float
    wall: float
    memory: float


def compare(
    names: list[tuple[str, str, str]],
    ours: Callable[[], tuple[float, ...]],
    bare: Callable[[], tuple[float, ...]],
    rounds: int,
) -> list[Figure]:
    """Run `ours` and `bare` in turn, after one round that does not count. Each returns a number for each
    of `names`: (name, unit, target)."""
    ours(), bare()
    pairs = [(ours(), bare()) for _ in range(rounds)]
    figures = []
    for at, (name, unit, target) in enumerate(names):
        ratios = [one[at] / other[at] for one, other in pairs]
        our_median = statistics.median(one[at] for one, _ in pairs)
        bare_median = statistics.median(other[at] for _, other in pairs)
        spread = min(ratios), max(ratios)
        ratio = statistics.median(ratios)
        figures.append(Figure(name, unit, our_median, bare_median, ratio, spread, target))
    return figures


def cost(command: list[str], core: int | None = None) -> Cost:
    """Run `command` and read the resources that it used."""
    begin = time.monotonic()
    process = start(command, core)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return Cost(usage.ru_utime + usage.ru_stime, time.monotonic() - begin, usage.ru_maxrss / 1024)


def start(command: list[str], core: int | None = None, **options: object) -> subprocess.Popen[str]:
    """Start `command` in the benchmarks' environment, pinned to `core` unless that is None."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=ENVIRONMENT, text=True, **{**quiet, **options})
    if core is not None:
        os.sched_setaffinity(process.pid, {core})
    return process


@contextmanager
def serving(command: list[str], core: int | None = None) -> Iterator[Server]:
    """Run a server process, which prints its URL on its first line."""
    process = start(command, core, stdout=subprocess.PIPE)
    try:
        yield Server(process, process.stdout.readline().strip())
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait()


class Server:
    """A process that serves at `url`."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.pid = process.pid
        self.url = url

    def cpu(self) -> float:
        """The CPU seconds that it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Its resident memory in MiB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
