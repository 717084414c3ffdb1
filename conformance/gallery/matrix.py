"""Runs the suite against its gallery: it must catch every faulty peer, and accuse no correct one.

Every peer is served over real HTTP. A correct peer is judged by every rule. A faulty peer is judged by
the groups of the rules that must catch it, which shows whether a neighbouring rule accuses it too.
Peers spend most of their time waiting, so many run side by side, in one process per processor.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from conformance.engine.receiver.side import ReceiverSide
from conformance.engine.runner import Runner
from conformance.engine.sender.side import SenderSide
from conformance.engine.stalls import Stalls
from conformance.gallery.child_process import with_package
from conformance.gallery.peer import Peer
from conformance.gallery.receivers.peers import RECEIVERS
from conformance.gallery.receivers.serve import ALIVE
from conformance.gallery.senders.peers import SENDERS
from conformance.model.clock import Clock
from conformance.model.errors import HarnessError, InputError
from conformance.model.report import Report, Result
from conformance.model.rules import GRAVITY, Outcome
from conformance.options.receiver import Options
from conformance.options.sender import SenderOptions
from conformance.options.table import FUZZ, RunOptions

PEERS = (*RECEIVERS, *SENDERS)

AT_A_TIME, WHOLE_AT_A_TIME = 24, 2
"""How many peers one process judges side by side, and how many of those by every rule."""

STRIDE = 7
"""Similar peers are neighbours in the gallery. Peers that start one after the other are this far apart
in it."""

APART, CALM = 0.2, 1.0
"""Seconds between the starts of two peers, since a peer is busiest at its start; and seconds without a
stall of this process before another peer may start."""

TIMEOUT, TIMEOUT_ON_REQUEST = 600.0, 3600.0
"""Seconds for the run against one peer, which shares the processor with others; and against one that is
judged on request, which takes long."""

SHARE = "conformance.gallery.share"
"""The module that judges some of the peers in its own process."""

NO_SKIPS = "HOOKPROOF_NO_SKIPS"
"""The environment variable that, set to 1, turns a skipped peer into an error."""


@dataclass(frozen=True, slots=True)
class Row:
    """The result for one peer.

    `caught` and `missed` are the rules of its `caught_by` that found the fault and that did not.
    `accused` are the other MUST and SHOULD rules that reported a finding. `errors` are the results that
    could not be judged. `messages` hold what the suite reported for the missed and the accusing rules.
    `skipped` says why the peer was not run."""

    peer: str
    fault: str | None
    side: str = "receiver"
    caught: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    accused: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    skipped: str | None = None
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether the suite reported what it must. If the peer died, errors are expected."""
        dead = ALIVE in self.caught
        return not self.missed and not self.accused and (dead or not self.errors)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A row for each peer, in the gallery's order."""

    rows: tuple[Row, ...]
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether every row holds. A matrix without any peer that ran does not."""
        run = [row for row in self.rows if row.skipped is None]
        return bool(run) and all(row.holds for row in run)

    @property
    def caught(self) -> int:
        """How many pairs of a faulty peer and a rule in its `caught_by` were caught."""
        return sum(len(row.caught) for row in self.rows)

    @property
    def missed(self) -> int:
        """How many such pairs were missed."""
        return sum(len(row.missed) for row in self.rows)

    @property
    def accused(self) -> int:
        """How many pairs of a peer and a rule were accused that should not be."""
        return sum(len(row.accused) for row in self.rows)


class _Places:
    """Starts peers one after the other, as fast as this process can keep up. For use in `watching`."""

    def __init__(self) -> None:
        self._clock = Clock()
        self._stalls = Stalls(self._clock)
        self._some = asyncio.Semaphore(AT_A_TIME)
        self._whole = asyncio.Semaphore(WHOLE_AT_A_TIME)
        self._door = asyncio.Lock()
        self._inside = 0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch this process for stalls."""
        async with self._stalls.watching():
            yield

    @asynccontextmanager
    async def place(self, *, whole: bool) -> AsyncIterator[None]:
        """A place for one peer, which is judged by the `whole` of the rules or by some."""
        async with self._whole if whole else self._some:
            async with self._door:
                await self._calm()
                self._inside += 1
            try:
                yield
            finally:
                self._inside -= 1

    async def _calm(self) -> None:
        await self._clock.sleep(APART)
        while self._inside and self._stalls.any(self._clock.monotonic() - CALM):
            await self._clock.sleep(APART)


async def run_matrix(only: Sequence[str] = ()) -> Matrix:
    """Judge the peers whose names match a glob in `only`, or all of them, in child processes.

    Raises InputError for a glob that matches no peer.
    """
    peers = chosen(only)
    begin = time.monotonic()
    processes = min(os.cpu_count() or 1, len(peers))
    shares = [peers[first::processes] for first in range(processes)]
    rows = [row for share in await asyncio.gather(*map(_apart, shares)) for row in share]
    places = {peer.name: place for place, peer in enumerate(peers)}
    ordered = sorted(rows, key=lambda row: places[row.peer])
    return Matrix(tuple(ordered), time.monotonic() - begin)


async def judge_all(peers: Sequence[Peer]) -> list[Row]:
    """Judge peers side by side in this process; returns their rows in the same order."""
    places = _Places()
    longest = [peer for peer in peers if peer.fault is None]
    others = [peer for peer in peers if peer.fault is not None]
    mixed = [*longest, *(peer for first in range(STRIDE) for peer in others[first::STRIDE])]

    async def judged(peer: Peer) -> Row:
        async with places.place(whole=peer.fault is None):
            return await _judge(peer)

    async with places.watching():
        rows = await asyncio.gather(*map(judged, mixed))
    by_name = {row.peer: row for row in rows}
    return [by_name[peer.name] for peer in peers]


async def _apart(peers: Sequence[Peer]) -> list[Row]:
    """Judge peers in a child process, which ends with this one. Raises HarnessError if it fails."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        SHARE,
        *(peer.name for peer in peers),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=with_package({}),
    )
    assert child.stdin is not None  # noqa: S101 - they are pipes
    assert child.stdout is not None  # noqa: S101
    try:
        written = await child.stdout.read()
        if await child.wait():
            raise HarnessError(
                "a process that judged peers exited with {status}", status=str(child.returncode)
            )
    finally:
        child.stdin.close()
        await child.wait()
    return [as_row(each) for each in json.loads(written)]


def as_row(fields: dict[str, Any]) -> Row:
    """The row from the JSON object of its fields."""
    whole: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in fields.items()}
    return Row(**whole)


def chosen(only: Sequence[str]) -> list[Peer]:
    """The peers whose names match a glob in `only`, or all. A peer that runs only on request is chosen by
    its full name alone. Raises InputError for a glob that matches none."""
    names = [peer.name for peer in PEERS]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = get_close_matches(pattern, names, n=1, cutoff=0.0)
            raise InputError(
                "--only: no peer matches {pattern!r}; did you mean {near}?",
                pattern=pattern,
                near=near[0],
            )
    return [
        peer
        for peer in PEERS
        if peer.name in only
        or (not peer.on_request and any(fnmatchcase(peer.name, glob) for glob in only or ["*"]))
    ]


async def _judge(peer: Peer) -> Row:
    missing = peer.missing()
    if missing is not None and os.environ.get(NO_SKIPS) == "1":
        message = f"{missing} ({NO_SKIPS}=1: nothing may be skipped)"
        return Row(peer.name, peer.fault, peer.side, missed=peer.caught_by, errors=(message,))
    if missing is not None:
        return Row(peer.name, peer.fault, peer.side, skipped=missing)
    begin = time.monotonic()
    try:
        async with peer.serve() as options:
            timeout = TIMEOUT_ON_REQUEST if peer.on_request else TIMEOUT
            rules, examples = peer.rules(), _examples(peer)
            report = await report_on(replace(options, rules=rules, fuzz=examples, timeout=timeout))
    except HarnessError as fault:
        return Row(peer.name, peer.fault, peer.side, missed=peer.caught_by, errors=(str(fault),))
    broken = report.having(Outcome.FAIL, Outcome.WARN, Outcome.NOTE)
    found = {part for each in broken for part in _parts(each)}
    accusing = report.having(Outcome.FAIL, Outcome.WARN)
    named = set(peer.caught_by)
    missed = tuple(rule for rule in peer.caught_by if rule not in found)
    unnamed = [each for each in accusing if not named & {each.rule.id, *_parts(each)}]
    silent = {rule.partition("[")[0] for rule in missed}
    wrong = [*unnamed, *(each for each in report.results if each.rule.id in silent)]
    return Row(
        peer.name,
        peer.fault,
        peer.side,
        caught=tuple(rule for rule in peer.caught_by if rule in found),
        missed=missed,
        accused=tuple(dict.fromkeys(each.rule.id for each in unnamed)),
        messages=tuple(f"{e.name}: {e.outcome}: {e.message}" for e in wrong),
        errors=tuple(f"{e.name}: {e.message}" for e in report.having(Outcome.ERROR)),
        seconds=time.monotonic() - begin,
    )


def _examples(peer: Peer) -> int:
    """Examples to fuzz the peer with. A faulty peer is fuzzed only if that must catch it: it is slow."""
    named = any(".fuzz." in rule or "[drawn]" in rule for rule in peer.caught_by)
    return FUZZ if named or peer.fault is None else 0


async def report_on(options: RunOptions) -> Report:
    """Judge a peer of either side."""
    if isinstance(options, SenderOptions):
        return await Runner(SenderSide(options)).report()
    assert isinstance(options, Options)  # noqa: S101 - there are two sides
    return await Runner(ReceiverSide(options)).report()


def _parts(result: Result) -> set[str]:
    """What a finding counts for in `caught_by`: the case and the level as parts of the rule, and the
    whole rule unless the result is of a lower level than the rule."""
    rule = result.rule.id
    parts = {f"{rule}[{result.case}]", f"{rule}[{result.level}]"}
    whole = GRAVITY[result.level] >= GRAVITY[result.rule.level]
    return parts | {rule} if whole else parts
