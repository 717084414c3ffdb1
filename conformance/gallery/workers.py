"""Judges peers in worker processes: `python -m conformance.gallery.workers`.

A worker reads the names of peers from its standard input, one per line, judges them one after the
other, and writes each look as a line of JSON. It exits at once when its input closes, so that it never
outlives the run. Several workers use all processors, which one process cannot, and no peer waits for
another in the same process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

from conformance.gallery.child_process import with_package
from conformance.gallery.matrix import PEERS, report_on
from conformance.gallery.peer import Peer
from conformance.gallery.record import EXIT_STATUS, Look, not_run
from conformance.model.errors import HarnessError

SEED = 1
TIMEOUT = 600.0
"""Seconds for one peer. On a busy machine the usual limit would cut slow peers short."""
LINE = 1 << 20
"""The longest line of JSON, in bytes."""

_LOG = logging.getLogger("hookproof")


async def judge(peer: Peer) -> Look:
    """Judge a peer by every rule, without fuzzing. Never raises: an error becomes an obstacle."""
    missing = peer.missing()
    if missing is not None:
        return not_run(missing)
    try:
        async with peer.serve() as options:
            report = await report_on(replace(options, rules=(), fuzz=0, seed=SEED, timeout=TIMEOUT))
    except Exception as fault:  # if a build breaks on one peer, the others are still compared
        _LOG.exception("%s could not be judged", peer.name)
        return not_run(f"{type(fault).__name__}: {fault}")
    outcomes = {result.name: result.outcome.value for result in report.results}
    return Look({EXIT_STATUS: str(report.exit_status)} | outcomes)


async def judge_in_workers(
    peers: Iterable[str], workers: int, on_look: Callable[[], None]
) -> dict[str, Look]:
    """Judge peers in this order, one in each of `workers` processes at a time. Calls `on_look` after
    each. Raises HarnessError if a worker exits by itself."""
    names = list(peers)
    queue, looks = iter(names), dict[str, Look]()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(workers, len(names))):
                group.create_task(_work(queue, looks, on_look))
    except* HarnessError as faults:
        raise faults.exceptions[0] from None
    return {name: looks[name] for name in names}


async def _work(queue: Iterator[str], looks: dict[str, Look], on_look: Callable[[], None]) -> None:
    async with _worker() as worker:
        for name in queue:  # shared by all workers
            looks[name] = await _ask(worker, name)
            on_look()


@asynccontextmanager
async def _worker() -> AsyncIterator[asyncio.subprocess.Process]:
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "conformance.gallery.workers",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=with_package({}),
        limit=LINE,
        start_new_session=True,  # Ctrl-C goes to this process, which then closes the input
    )
    assert worker.stdin is not None  # noqa: S101 - it is a pipe
    try:
        yield worker
    finally:
        worker.stdin.close()
        await worker.wait()


async def _ask(worker: asyncio.subprocess.Process, name: str) -> Look:
    assert worker.stdin is not None  # noqa: S101 - they are pipes
    assert worker.stdout is not None  # noqa: S101
    worker.stdin.write(name.encode() + b"\n")
    line = await worker.stdout.readline()
    if not line:
        raise HarnessError(
            "the process that judged {name} exited with {status}",
            name=name,
            status=await worker.wait(),
        )
    answer = json.loads(line)
    return Look(answer["outcomes"], answer["obstacle"])


def _read(loop: asyncio.AbstractEventLoop, names: asyncio.Queue[str]) -> None:
    for line in sys.stdin:
        loop.call_soon_threadsafe(names.put_nowait, line.strip())
    os._exit(0)


async def _serve() -> None:
    by_name = {peer.name: peer for peer in PEERS}
    names = asyncio.Queue[str]()
    reader = (asyncio.get_running_loop(), names)
    threading.Thread(target=_read, args=reader, daemon=True).start()
    while True:
        look = await judge(by_name[await names.get()])
        answer = {"outcomes": look.outcomes, "obstacle": look.obstacle}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve())
