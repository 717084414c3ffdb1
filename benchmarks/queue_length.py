"""The reference sender with a very long queue, compared with itself with a short one.

The endpoint is a process that answers 200 without reading the body, so that it is never the bottleneck.
The time runs from its first request to its last.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import HOOKPROOF, SECRET, Figure, compare

FEW, MANY = 1_000, 1_000_000
"""Lengths of the queue. The next FEW deliveries must take as long with MANY messages waiting."""


def figures(folder: Path, rounds: int) -> list[Figure]:
    large, small = folder / "large.db", folder / "small.db"
    with endpoint() as sink:
        asyncio.run(fill(large, sink.url, MANY))

        def few() -> tuple[float, float]:
            small.unlink(missing_ok=True)
            asyncio.run(fill(small, sink.url, FEW))
            return sink.measure(small)

        return compare(
            [
                (f"reference sender, {MANY:,} waiting / {FEW:,}", "deliveries/s", "about 1"),
                (f"reference sender, {MANY:,} waiting / {FEW:,}", "MiB", "about 1"),
            ],
            lambda: sink.measure(large),
            few,
            3 * rounds,  # each is short
        )


class Endpoint:
    """A process that answers 200."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._read_line()

    def measure(self, db: Path) -> tuple[float, float]:
        """Deliver the next FEW messages in `db`; returns deliveries per second, and the memory in MiB."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{FEW}\n")
        self._process.stdin.flush()
        command = [*HOOKPROOF, "serve", "sender", "--port", "0", "--db", str(db)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        assert self._read_line() == "first"
        seconds = float(self._read_line())
        memory = psutil.Process(process.pid).memory_info().rss
        process.terminate()
        process.wait()
        return FEW / seconds, memory / 2**20

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Endpoint(process)
        finally:
            process.kill()


class Answers(asyncio.Protocol):
    """Answers every request with 200, and prints when the first and the last one arrive."""

    left = count = 0
    start = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        while (head := data.find(b"\r\n\r\n") + 4) > 3:
            length = data.lower().index(b"content-length:", 0, head) + 15
            end = head + int(data[length : data.index(b"\r", length)])
            if len(data) < end:
                break
            data = data[end:]
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self._count()
        self._rest = data

    def _count(self) -> None:
        cls = type(self)
        if cls.left == cls.count:
            cls.start = time.perf_counter()
            print("first", flush=True)
        cls.left -= 1
        if cls.left == 0:
            print(time.perf_counter() - cls.start, flush=True)


async def serve() -> None:
    """The endpoint's process: prints its URL, then reads the number of requests for each round."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answers, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/webhook/receiver", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        Answers.left = Answers.count = int(line)


async def fill(db: Path, url: str, count: int) -> None:
    """Put `count` messages for one configuration into the queue in `db`."""
    from conformance.protocol.configuration import Configuration
    from conformance.protocol.dialect import Secret
    from conformance.protocol.message import build
    from conformance.sender.event import read
    from conformance.sender.store import Store

    now = int(time.time())
    ids = itertools.count(10**18)
    async with Store(str(db)) as store:
        await store.registry.create(Configuration(url, Secret(SECRET.encode())))
        for at in range(0, count, 10_000):
            numbers = itertools.islice(ids, min(10_000, count - at))
            events = [build("text", str(number), now).fields() for number in numbers]
            await store.accept(list(read(events)), now)


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve())
