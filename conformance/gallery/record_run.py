"""The record of the gallery taken, and compared with today's.

Some outcomes depend on when things happen, and on what else the machine does. That is no verdict on a
peer here, only noise between two builds: so a record keeps every outcome that was seen, and what
differs from it is looked at again by itself before it is called a difference.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from conformance.gallery.matrix import chosen
from conformance.gallery.record import (
    SIDES,
    Difference,
    Look,
    Record,
    Row,
    agree,
    as_text,
    differences,
    parse,
    peer_differences,
    row,
)
from conformance.gallery.workers import judge_in_workers
from conformance.model.errors import InputError
from conformance.trace.store import whole_file

WORKERS = 2 * (os.cpu_count() or 1)
"""Peers side by side: most of the time they wait."""

LOOKED_AT_AGAIN = 48
"""Peers that may differ for the machine's sake; where more do, it is the build that differs."""

Judge = Callable[[Sequence[str], int, Callable[[], None]], Awaitable[Mapping[str, Look]]]
"""Judges peers by name, so many side by side, and says when one is done."""

Progress = Callable[[int, int], None]
"""Is given how many looks are done, of how many."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of recording: why peers could not be run, and those whose looks did not agree."""

    record: Record
    obstacles: Mapping[str, str]
    unstable: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of comparing: the differences by peer, and the peers that were looked at again. Where too
    many differ for that, `confirmed` is false: the differences rest on one look."""

    peers: int
    obstacles: Mapping[str, str]
    differences: tuple[Difference, ...]
    again: tuple[str, ...]
    confirmed: bool
    seconds: float


class _Looks:
    """The looks at each peer so far."""

    def __init__(self, judge: Judge, progress: Progress) -> None:
        self._judge = judge
        self._progress = progress
        self._done = self._planned = 0
        self.by_peer: dict[str, list[Look]] = {}

    async def look(self, peers: Sequence[str], workers: int) -> None:
        """Look at each of `peers` once more."""
        self._planned += len(peers)
        for peer, look in (await self._judge(peers, workers, self._note)).items():
            self.by_peer.setdefault(peer, []).append(look)

    def obstacles(self) -> dict[str, str]:
        """Why peers could not be run at their last look."""
        last = {peer: looks[-1] for peer, looks in self.by_peer.items()}
        return {peer: look.obstacle for peer, look in last.items() if look.obstacle is not None}

    def _note(self) -> None:
        self._done += 1
        self._progress(self._done, self._planned)


async def take(
    only: Sequence[str],
    progress: Progress = lambda done, planned: None,
    judge: Judge = judge_in_workers,
) -> Taken:
    """Record the peers that fit one of the globs in `only`, or all of them. Each is looked at twice
    beside others, and where that does not agree, once by itself.

    Raises InputError for a glob that fits none.
    """
    begin = time.monotonic()
    peers = chosen(only)
    names = [peer.name for peer in peers]
    looks = _Looks(judge, progress)
    await looks.look(names, WORKERS)
    await looks.look(names, WORKERS)
    unstable = [name for name in names if not agree(looks.by_peer[name])]
    await looks.look(unstable, 1)
    taken: dict[str, dict[str, Row]] = {}
    for peer in peers:
        seen = looks.by_peer[peer.name]
        taken.setdefault(peer.side, {})[peer.name] = row(seen[:2], seen[2:])
    return Taken(taken, looks.obstacles(), tuple(unstable), time.monotonic() - begin)


async def compare(
    record: Record,
    only: Sequence[str],
    progress: Progress = lambda done, planned: None,
    judge: Judge = judge_in_workers,
) -> Compared:
    """Compare the peers that fit one of the globs in `only`, or all of them, with a record.

    A peer that differs is looked at again by itself, twice at most; a difference is what differs at
    every look. Raises InputError for a glob that fits none.
    """
    begin = time.monotonic()
    names = [peer.name for peer in chosen(only)]
    expected = _rows(record, only)
    both = [name for name in names if name in expected]
    looks = _Looks(judge, progress)

    async def look(peers: Sequence[str], workers: int) -> list[str]:
        await looks.look(peers, workers)
        return [n for n in peers if differences(n, expected[n], looks.by_peer[n])]

    differing = again = await look(both, WORKERS)
    confirmed = len(differing) <= LOOKED_AT_AGAIN
    if confirmed:
        differing = await look(await look(differing, 1), 1)
    found = dict(peer_differences(expected, names))
    ordered = [
        difference
        for name in sorted({*found, *differing})
        for difference in (
            [found[name]]
            if name in found
            else differences(name, expected[name], looks.by_peer[name])
        )
    ]
    return Compared(
        len(both),
        looks.obstacles(),
        tuple(ordered),
        tuple(again) if confirmed else (),
        confirmed,
        time.monotonic() - begin,
    )


def read(path: Path, option: str) -> Record:
    """The record in a file. Raises InputError, naming the option."""
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise InputError(f"{option}: {path} cannot be read: {fault.strerror}") from None
    try:
        return parse(data)
    except InputError as fault:
        raise InputError(f"{option}: {path} {fault}") from None


def write(path: Path, record: Record, kept: Record) -> None:
    """Write a record, with the other peers of `kept`, beside the file, and put it in its place. Raises
    InputError, and leaves the file as it was, when that cannot be."""
    whole = {side: {**kept.get(side, {}), **record.get(side, {})} for side in SIDES}
    with whole_file(path) as part:
        part.write_text(as_text(whole), encoding="utf-8")


def _rows(record: Record, only: Iterable[str]) -> dict[str, Row]:
    patterns = tuple(only)
    rows = {peer: each for side in record.values() for peer, each in side.items()}
    return {
        peer: each
        for peer, each in rows.items()
        if not patterns or any(fnmatchcase(peer, pattern) for pattern in patterns)
    }
