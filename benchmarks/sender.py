"""The reference sender's deliveries, against a bare loop that signs and posts the same bodies.

By itself it prints its figures; `figures` returns them. The endpoint is a process that answers 200 and
reads nothing, so that it is never what is waited for. Both sides are timed by its first and last
arrival, and so neither pays for its start.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROUNDS = 5
COUNT = 10_000
"""Deliveries that are timed in a round."""
FEW, MANY = 1_000, 1_000_000
"""Messages that wait: FEW of them must be delivered as fast, however many there are."""
SHORT = 3  # such rounds in each round, since they are short
FLIGHT = 32  # what the sender has in flight for one configuration
SECRET = "benchmark-secret"
PYTHON = [sys.executable, __file__]


@dataclass(frozen=True)
class Figure:
    """What was measured against what: medians over the rounds, and the ratio of each pair."""

    name: str
    unit: str
    ours: float
    bare: float
    ratio: float
    target: str


@dataclass(frozen=True)
class Round:
    """One round: deliveries a second, CPU µs for each, and the memory at the end in MiB."""

    rate: float
    cpu: float
    memory: float


def figures(rounds: int = ROUNDS, many: int = MANY) -> list[Figure]:
    """Everything about the sender, with up to `many` messages waiting. Takes about two minutes."""
    with tempfile.TemporaryDirectory() as folder, endpoint() as there:
        large, small = Path(folder, "large.db"), Path(folder, "small.db")
        asyncio.run(fill(large, there.url, many))
        pairs, lengths = [], []
        sender(there, large, COUNT), bare(there, COUNT)  # not counted
        for _ in range(rounds):
            pairs.append((sender(there, large, COUNT), bare(there, COUNT)))
            for _ in range(SHORT):
                small.unlink(missing_ok=True)
                asyncio.run(fill(small, there.url, FEW))
                lengths.append((sender(there, large, FEW), sender(there, small, FEW)))
    return [
        compared("reference sender / bare loop", "deliveries/s", "rate", pairs, "at least 0.6"),
        compared("reference sender / bare loop", "CPU µs each", "cpu", pairs, "at most 1.7"),
        compared(f"{many:,} waiting / {FEW:,}", "deliveries/s", "rate", lengths, "about 1"),
        compared(f"{many:,} waiting / {FEW:,}", "MiB", "memory", lengths, "about 1"),
    ]


def compared(
    name: str, unit: str, what: str, pairs: list[tuple[Round, Round]], target: str
) -> Figure:
    both = [(getattr(one, what), getattr(other, what)) for one, other in pairs]
    return Figure(
        name,
        unit,
        statistics.median(one for one, _ in both),
        statistics.median(other for _, other in both),
        statistics.median(one / other for one, other in both),
        target,
    )


def sender(there: Endpoint, db: Path, count: int) -> Round:
    """The first `count` deliveries of what waits in `db`."""
    command = [sys.executable, "-m", "conformance", "serve", "sender", "--port", "0"]
    return there.timed([*command, "--db", str(db)], count)


def bare(there: Endpoint, count: int) -> Round:
    return there.timed([*PYTHON, "bare", there.url, str(count)], count)


class Endpoint:
    """A process that answers 200."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._line()

    def timed(self, command: list[str], count: int) -> Round:
        """What `command` takes from its first delivery to number `count`; then it is ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        watched = psutil.Process(process.pid)
        assert self._line() == "first"
        begun = watched.cpu_times()
        seconds = float(self._line())
        ended, memory = watched.cpu_times(), watched.memory_info().rss
        process.terminate()
        process.wait()
        cpu = ended.user + ended.system - begun.user - begun.system
        return Round(count / seconds, cpu / count * 1e6, memory / 2**20)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    with subprocess.Popen(
        [*PYTHON, "endpoint"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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
    from conformance.config import Configuration
    from conformance.dialect import Secret
    from conformance.message import build
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


async def loop(url: str, count: int) -> None:
    """The bare loop's process: signs and posts, and does nothing else."""
    import aiohttp

    from conformance.forms import compact
    from conformance.message import build

    now = int(time.time())
    bodies = iter(
        [compact(build("text", str(10**18 + number), now).fields()) for number in range(count)]
    )
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for body in bodies:
                stamp = str(int(time.time()))
                signed = hmac.new(SECRET.encode(), f"{stamp}:".encode() + body, hashlib.sha256)
                headers = {
                    "Content-Type": "application/json",
                    "X-Webhook-Timestamp": stamp,
                    "X-Webhook-Signature": signed.hexdigest(),
                }
                async with session.post(url, data=body, headers=headers) as answer:
                    await answer.read()

        await asyncio.gather(*(work() for _ in range(FLIGHT)))
    await asyncio.sleep(60)  # until it is ended


def run(work: Any) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:  # the sender uses it where it is installed, and so must the others
        uvloop.run(work)


def main() -> None:
    match sys.argv[1:]:
        case ["endpoint"]:
            run(serve())
        case ["bare", url, count]:
            run(loop(url, int(count)))
        case _:
            for each in figures():
                print(
                    f"{each.name:34} {each.unit:13} {each.ours:9.1f} {each.bare:9.1f}"
                    f"  ratio {each.ratio:.2f}, {each.target}"
                )


if __name__ == "__main__":
    main()
