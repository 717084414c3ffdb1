"""The suite against its gallery: whatever is faulty must be caught, and nothing that is right accused.

Every peer is served over real HTTP. A faulty one meets the groups of the rules that must catch it, so
that a neighbouring rule which finds it as well is seen to accuse; a correct one meets every rule. Many are
judged side by side, which blurs what goes by the clock: of a few that came out wrong, a second look at
each by itself decides, and the first is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

from conformance.engine.run import Run
from conformance.engine.sender.run import SenderRun
from conformance.errors import HarnessError, InputError
from conformance.gallery.peer import Peer
from conformance.gallery.receivers import ALIVE, RECEIVERS
from conformance.gallery.senders.peers import SENDERS
from conformance.options.receiver import Options
from conformance.options.run import FUZZ, RunOptions
from conformance.options.sender import SenderOptions
from conformance.report import Report, Result
from conformance.rules import GRAVITY, Outcome

PEERS = (*RECEIVERS, *SENDERS)

AT_A_TIME, WHOLE_AT_A_TIME = {"receiver": 8, "sender": 4}, 2
"""Peers that are judged side by side: those that meet some rules and mostly wait, and those that meet
them all, whose answers must not be late. Where a sender is judged, this process is both sides."""

LOOKED_AT_AGAIN = 6
"""Peers that may come out wrong for the machine's sake; where there are more, it is the suite that is."""


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one peer: the rules that it names and that found it, those that did not, the MUST
    and SHOULD rules that found it unnamed, and the results that could not be judged. `said` is what the
    suite said of a rule that missed or accused it; `skipped` says why it was not run; `before` holds what
    was wrong with it beside others, where this is a second look at it by itself."""

    peer: str
    fault: str | None
    side: str = "receiver"
    caught: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    accused: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    skipped: str | None = None
    before: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether the suite said of the peer what it must. Beside a dead one there are errors."""
        dead = ALIVE in self.caught
        return not self.missed and not self.accused and (dead or not self.errors)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A row for each peer, in the gallery's order."""

    rows: tuple[Row, ...]
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether every row does; a matrix of which nothing was run shows nothing."""
        run = [row for row in self.rows if row.skipped is None]
        return bool(run) and all(row.holds for row in run)

    @property
    def caught(self) -> int:
        """How many pairs of a faulty peer and a rule that it names were found."""
        return sum(len(row.caught) for row in self.rows)

    @property
    def missed(self) -> int:
        """How many were not."""
        return sum(len(row.missed) for row in self.rows)

    @property
    def accused(self) -> int:
        """How many pairs of a peer and a rule were found that should not be."""
        return sum(len(row.accused) for row in self.rows)


async def run_matrix(only: Sequence[str] = ()) -> Matrix:
    """Judge the peers whose names fit one of the globs in `only`, or all of them.

    Raises InputError for a glob that fits none.
    """
    peers = chosen(only)
    begin = time.monotonic()
    some = {side: asyncio.Semaphore(places) for side, places in AT_A_TIME.items()}
    whole = asyncio.Semaphore(WHOLE_AT_A_TIME)

    async def judged(peer: Peer) -> Row:
        async with some[peer.side] if peer.rules else whole:
            return await _judge(peer)

    rows: list[Row] = []
    for side in AT_A_TIME:  # else a receiver's answers would be late because of senders beside it
        rows += await asyncio.gather(*(judged(peer) for peer in peers if peer.side == side))
    wrong = {row.peer for row in rows if row.skipped is None and not row.holds}
    if len(wrong) <= LOOKED_AT_AGAIN:
        again = {peer.name: await _judge(peer) for peer in peers if peer.name in wrong}
        rows = [_second(row, again[row.peer]) if row.peer in again else row for row in rows]
    return Matrix(tuple(rows), time.monotonic() - begin)


def _second(first: Row, row: Row) -> Row:
    return replace(row, before=first.said + first.errors, seconds=first.seconds + row.seconds)


def chosen(only: Sequence[str]) -> list[Peer]:
    """The peers whose names fit one of the globs in `only`. Raises InputError for one that fits none."""
    names = [peer.name for peer in PEERS]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = get_close_matches(pattern, names, n=1, cutoff=0.0)
            raise InputError(f"--only: no peer fits {pattern!r}; did you mean {near[0]}?")
    return [p for p in PEERS if not only or any(fnmatchcase(p.name, pattern) for pattern in only)]


async def _judge(peer: Peer) -> Row:
    missing = peer.missing()
    if missing is not None:
        return Row(peer.name, peer.fault, peer.side, skipped=missing)
    begin = time.monotonic()
    try:
        async with peer.serve() as options:
            report = await report_on(replace(options, rules=peer.rules, fuzz=_examples(peer)))
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
        said=tuple(f"{e.name}: {e.outcome}: {e.message.en}" for e in wrong),
        errors=tuple(f"{e.name}: {e.message.en}" for e in report.having(Outcome.ERROR)),
        seconds=time.monotonic() - begin,
    )


def _examples(peer: Peer) -> int:
    """A faulty peer is fuzzed where that must find it; the rest is dear, and shows nothing new."""
    named = any(".fuzz." in rule or "[drawn]" in rule for rule in peer.caught_by)
    return FUZZ if named or not peer.rules else 0


async def report_on(options: RunOptions) -> Report:
    """Judge a peer of either side."""
    if isinstance(options, SenderOptions):
        return await SenderRun(options).report()
    assert isinstance(options, Options)  # noqa: S101 - there are two sides
    return await Run(options).report()


def _parts(result: Result) -> set[str]:
    """What a broken result finds: the rule, unless it is broken in what weighs less than the rule; and
    its case and its level as parts of that."""
    rule = result.rule.id
    parts = {f"{rule}[{result.case}]", f"{rule}[{result.level}]"}
    whole = GRAVITY[result.level] >= GRAVITY[result.rule.level]
    return parts | {rule} if whole else parts
