"""Takes a record of the gallery, and compares the gallery with a record.

Some outcomes depend on timing and on the load of the machine. Between two builds that is noise. So a
record keeps every outcome that was seen, and a peer that differs is judged again by itself before the
difference is reported.
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

WORKERS = 3 * (os.cpu_count() or 1)
"""How many peers run side by side: they spend most of their time waiting."""

LOOKED_AT_AGAIN = 48
"""How many differing peers are judged again. If more differ, the build is the cause, not the machine."""

Judge = Callable[[Sequence[str], int, Callable[[], None]], Awaitable[Mapping[str, Look]]]
"""Judges peers by name, a given number side by side, and calls back after each."""

Progress = Callable[[int, int], None]
"""Called with the number of looks done and the number planned."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A new record, why peers could not run (by name), and the peers whose looks did not agree."""

    record: Record
    obstacles: Mapping[str, str]
    unstable: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Compared:
    """The result of a comparison: the number of `peers` judged, why peers could not run (by name), the
    differences sorted by peer, and the peers that were judged again. If too many differ for that,
    `confirmed` is false: the differences rest on one look."""

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
        """Judge each of `peers` once more."""
        self._planned += len(peers)
        for peer, look in (await self._judge(peers, workers, self._note)).items():
            self.by_peer.setdefault(peer, []).append(look)

    def obstacles(self) -> dict[str, str]:
        """Why peers could not run at their last look, by name."""
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
    """Record the peers that match a glob in `only`, or all of them. Each peer is judged twice beside
    others, and once more by itself if the two looks do not agree.

    Raises InputError for a glob that matches no peer.
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
    """Compare the peers that match a glob in `only`, or all of them, with a record.

    A peer that differs is judged again by itself, at most twice. Only what differs at every look is a
    difference. Raises InputError for a glob that matches no peer.
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
    """The record in a file. Raises InputError that names the option."""
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise InputError(
            "{option}: {path} cannot be read: {reason}",
            option=option,
            path=str(path),
            reason=str(fault.strerror),
        ) from None
    try:
        return parse(data)
    except InputError as fault:
        raise InputError(
            "{option}: {path} {reason}", option=option, path=str(path), reason=fault.sentence
        ) from None


def write(path: Path, record: Record, kept: Record) -> None:
    """Write a record, plus the other peers of `kept`, to `path`. The file is replaced as a whole. Raises
    InputError, and leaves the file unchanged, if it cannot be written."""
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
