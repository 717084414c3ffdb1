"""The reference sender with very many messages waiting, against itself with few.

The endpoint is a process that answers 200 and reads nothing, so that it is never what is waited for:
what is timed is from its first arrival to its last.
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
"""Messages that wait: FEW of them must be delivered as fast, however many there are."""


def figures(folder: Path, rounds: int) -> list[Figure]:
    large, small = folder / "large.db", folder / "small.db"
    with endpoint() as there:
        asyncio.run(fill(large, there.url, MANY))

        def few() -> tuple[float, float]:
            small.unlink(missing_ok=True)
            asyncio.run(fill(small, there.url, FEW))
            return there.timed(small)

        return compare(
            [
                (f"reference sender, {MANY:,} waiting / {FEW:,}", "deliveries/s", "about 1"),
                (f"reference sender, {MANY:,} waiting / {FEW:,}", "MiB", "about 1"),
            ],
            lambda: there.timed(large),
            few,
            3 * rounds,  # they are short
        )


class Endpoint:
    """A process that answers 200."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._line()

    def timed(self, db: Path) -> tuple[float, float]:
        """The next FEW deliveries of what waits in `db`: how many a second, and the memory in MiB."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{FEW}\n")
        self._process.stdin.flush()
        command = [*HOOKPROOF, "serve", "sender", "--port", "0", "--db", str(db)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        assert self._line() == "first"
        seconds = float(self._line())
        memory = psutil.Process(process.pid).memory_info().rss
        process.terminate()
        process.wait()
        return FEW / seconds, memory / 2**20

    def _line(self) -> str:
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
    """Answers every request with 200, and tells when the first and the last one came."""

    left = count = 0
    begun = 0.0

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
            self._tell()
        self._rest = data

    def _tell(self) -> None:
        cls = type(self)
        if cls.left == cls.count:
            cls.begun = time.perf_counter()
            print("first", flush=True)
        cls.left -= 1
        if cls.left == 0:
            print(time.perf_counter() - cls.begun, flush=True)


async def serve() -> None:
    """The endpoint's process: a URL to the output, then a count from the input for each round."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answers, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/webhook/receiver", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        Answers.left = Answers.count = int(line)


async def fill(db: Path, url: str, count: int) -> None:
    """Let `count` messages wait in `db` for one configuration."""
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
            some = itertools.islice(ids, min(10_000, count - at))
            events = [build("text", str(number), now).fields() for number in some]
            await store.accept(list(read(events)), now)


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve())
