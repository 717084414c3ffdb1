"""The suite against its gallery: whatever is faulty must be caught, and nothing that is right accused.

Every peer is served over real HTTP. A faulty one meets the groups of the rules that must catch it, so
that a neighbouring rule which finds it as well is seen to accuse; a correct one meets every rule.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial

from conformance import certificates
from conformance import dialect as dialects
from conformance.damage import Signer
from conformance.database import MEMORY
from conformance.engine.options import Options
from conformance.engine.run import Run
from conformance.errors import HarnessError, InputError
from conformance.gallery.accepts import ACCEPTS
from conformance.gallery.body import BODY
from conformance.gallery.duplicate import DUPLICATE
from conformance.gallery.peer import Faulty
from conformance.gallery.process import PAIRS, STACK_PEERS, Pair, Stack, fresh_secret, pair, stack
from conformance.gallery.signature import SIGNATURE
from conformance.gallery.timing import TIMING
from conformance.gallery.transport import TRANSPORT
from conformance.receiver.app import ENDPOINT, OBSERVER, serving
from conformance.receiver.inbox import Inbox
from conformance.receiver.policy import Policy
from conformance.report import Result
from conformance.rules import GRAVITY, Outcome
from conformance.scenario import built_in, select

ALIVE = "receiver.http.alive"
CONTROLS = ("receiver.accepts.documented-type", ALIVE)
"""Rules that say, beside any others, whether the peer was there to be judged."""

COSTLY = "receiver.duplicate.window"
"""Sends 1,600 messages, and is met only by who names it."""

AT_A_TIME, WHOLE_AT_A_TIME = 8, 2
"""Peers that are judged side by side: those that meet some rules and mostly wait, and those that meet
them all, whose answers must not be late."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A receiver and what the suite must say of it. `fault` is None for a correct one; `rules` are what
    it meets (globs; none for every rule); `missing` says what is not there to run it."""

    name: str
    fault: str | None
    caught_by: tuple[str, ...]
    rules: tuple[str, ...]
    serve: Callable[[], AbstractAsyncContextManager[Options]]
    missing: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one peer: the rules that it names and that found it, those that did not, the MUST
    and SHOULD rules that found it unnamed, and the results that could not be judged. `skipped` says why
    it was not run."""

    peer: str
    fault: str | None
    caught: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    accused: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    skipped: str | None = None
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
    some, whole = asyncio.Semaphore(AT_A_TIME), asyncio.Semaphore(WHOLE_AT_A_TIME)

    async def judged(peer: Peer) -> Row:
        async with some if peer.rules else whole:
            return await _judge(peer)

    rows = await asyncio.gather(*(judged(peer) for peer in peers))
    return Matrix(tuple(rows), time.monotonic() - begin)


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
        return Row(peer.name, peer.fault, skipped=missing)
    begin = time.monotonic()
    try:
        async with peer.serve() as options:
            report = await Run(replace(options, rules=peer.rules)).report()
    except HarnessError as fault:
        return Row(peer.name, peer.fault, missed=peer.caught_by, errors=(str(fault),))
    found = {each.rule.id for each in report.results if _finds(each)}
    accusing = (each.rule.id for each in report.having(Outcome.FAIL, Outcome.WARN))
    return Row(
        peer.name,
        peer.fault,
        caught=tuple(rule for rule in peer.caught_by if rule in found),
        missed=tuple(rule for rule in peer.caught_by if rule not in found),
        accused=tuple(dict.fromkeys(rule for rule in accusing if rule not in peer.caught_by)),
        errors=tuple(f"{e.name}: {e.message.en}" for e in report.having(Outcome.ERROR)),
        seconds=time.monotonic() - begin,
    )


def _finds(result: Result) -> bool:
    """Whether the rule is broken, and not merely a case of it that weighs less."""
    broken = result.outcome in (Outcome.FAIL, Outcome.WARN, Outcome.NOTE)
    return broken and GRAVITY[result.level] >= GRAVITY[result.rule.level]


@asynccontextmanager
async def _in_process(policy: Callable[[], Policy], tls: bool) -> AsyncIterator[Options]:
    signer = Signer(dialects.load("guide"), fresh_secret())
    context = await asyncio.to_thread(certificates.self_signed) if tls else None
    async with (
        Inbox(MEMORY) as inbox,
        serving(policy(), inbox, signer, tls=context) as base,
    ):
        yield Options(
            url=base + ENDPOINT,
            secret=signer.secret,
            dialect=signer.dialect,
            observer_url=base + OBSERVER,
        )


def _rules(caught_by: Sequence[str], beside: Sequence[str]) -> tuple[str, ...]:
    """The groups of the rules in `caught_by`, those `beside` them, and the controls."""
    groups = (rule.rpartition(".")[0] + ".*" for rule in caught_by)
    fitting = select(built_in("receiver"), (*groups, *beside, *CONTROLS))
    ids = (each.rule.id for each in fitting)
    return tuple(rule for rule in ids if rule != COSTLY or rule in caught_by)


def _of_faulty(faulty: Faulty) -> Peer:
    return Peer(
        faulty.name,
        faulty.fault,
        faulty.caught_by,
        _rules(faulty.caught_by, faulty.beside),
        partial(_in_process, faulty.fresh, faulty.tls),
        certificates.missing if faulty.tls else lambda: None,
    )


def _of_pair(given: Pair) -> Peer:
    rules = _rules(given.caught_by, given.beside) if given.fault else ()
    return Peer(given.name, given.fault, given.caught_by, rules, partial(pair, given))


def _of_stack(given: Stack) -> Peer:
    return Peer(given.name, None, (), (), partial(stack, given), given.missing)


# Whoever takes long goes first, so that the others run meanwhile.
PEERS = (
    Peer("reference", None, (), (), partial(_in_process, Policy, False)),
    *map(_of_stack, STACK_PEERS),
    *map(_of_pair, PAIRS),
    *map(_of_faulty, (*TIMING, *DUPLICATE, *BODY, *TRANSPORT, *SIGNATURE, *ACCEPTS)),
)
