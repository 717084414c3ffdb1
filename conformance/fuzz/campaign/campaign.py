"""The hunt for failures: Hypothesis generates, shrinks and remembers; what an example is sent with and
judged by is the caller's.

Round by round: one may end with a failure, shrunk, which later rounds pass by. Blocks, so it runs in
a thread of its own; it knows no sockets, no loop and no report.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase
from hypothesis.errors import Flaky

from conformance.fuzz.campaign.outcomes import Aborted, Failure, Seen, TargetDown

BATCH = 8
"""Messages in one example of Hypothesis's, which costs as much as drawing several of them."""
FEW = 9
"""Examples of Hypothesis's in a round. From the tenth on it makes most by copying parts of one over
others, which finds what two equal values break; of messages that are new each time, it makes repeats."""
STEPS = 7
"""Steps of a sequence."""
MOST = 5
"""Distinct failures after which a hunt ends: whoever has five has enough to mend."""
SHRINKS, SHRINK_SECONDS = 400, 10.0
"""Tries, and time, for making a failure smaller: an answer that does not come takes seconds each time."""
MOST_AGAIN = 30
"""Examples that show what is known already: after these a hunt ends, if they are half of all."""

_PHASES = (Phase.reuse, Phase.generate)


class Leave(KeyboardInterrupt):
    """Ends a round at once: what is not an Exception is no failing example to Hypothesis, and what is
    a KeyboardInterrupt is not kept."""


class _TargetDownError(BaseException):
    """The same, and Hypothesis keeps the example."""


class _FailedError(Exception):
    """An example failed."""


class _Memory(ExampleDatabase):
    """The examples of one round: those `stored` before, and those `fresh` ones that fail."""

    def __init__(self, stored: Iterable[bytes]) -> None:
        super().__init__()
        self.stored = set(stored)
        self.fresh: set[bytes] = set()

    def fetch(self, key: bytes) -> Iterable[bytes]:
        return () if _is_aside(key) else [*self.stored, *self.fresh]

    def save(self, key: bytes, value: bytes) -> None:
        if not _is_aside(key):
            self.fresh.add(value)

    def delete(self, key: bytes, value: bytes) -> None:
        if not _is_aside(key):
            self.stored.discard(value)
            self.fresh.discard(value)


def _is_aside(key: bytes) -> bool:
    """Whether a key is of the corpora that Hypothesis keeps beside that of failing examples."""
    return key.endswith((b".secondary", b".pareto"))


def _put(kept: ExampleDatabase, key: bytes, fresh: Iterable[bytes], gone: Iterable[bytes]) -> None:
    """Keep what failed, and no longer what is gone: it fails no more, or was made smaller."""
    with suppress(OSError):  # a folder that cannot be written keeps nothing
        for value in fresh:
            kept.save(key, value)
        for value in gone:
            kept.delete(key, value)


@dataclass(slots=True)
class Campaign:
    """One rule's hunt. `wanted` examples within the time until `until`, by the clock `monotonic`; `rule`
    and `seed` make the draws; `examples` is the folder of those that failed before, or None, and
    `target` tells whose they are.

    `confirm` tries a failure once more and gives it back as it is then, or None; unless Hypothesis
    `shrinks` failures, it makes them smaller too.
    """

    rule: str
    target: str
    wanted: int
    seed: int
    until: float
    monotonic: Callable[[], float]
    confirm: Callable[[Failure], Failure | None]
    shrinks: bool = True
    examples: Path | None = None

    tried: int = 0
    found: list[Failure] = field(default_factory=list)
    unsteady: int = 0
    ended: TargetDown | Aborted | None = None
    _again: int = 0
    _first: Failure | None = None
    _smallest: Failure | None = None
    _shrinks: int = 0
    _shrink_until: float = 0.0
    _kept: int = 0  # examples of before that this round may begin with
    _passed_by: list[Failure] = field(default_factory=list)
    _doubted: list[Failure] = field(default_factory=list)

    @property
    def shrinking(self) -> bool:
        """Whether a failure was found and is being made smaller."""
        return self._first is not None

    @property
    def left(self) -> int:
        """Examples that are still to be tried."""
        return self.wanted - self.tried

    @property
    def late(self) -> bool:
        """Whether the time is used up."""
        return self.monotonic() >= self.until

    @property
    def _shrunk(self) -> bool:
        """Whether enough was done to make a failure smaller."""
        return self._shrinks >= SHRINKS or self.monotonic() >= self._shrink_until

    @property
    def _over(self) -> bool:
        """Whether there is nothing more to be learnt, or all was tried."""
        masked = self._again > MOST_AGAIN and self._again > self.tried / 2
        return self.left <= 0 or masked or len(self.found) >= MOST

    @property
    def short(self) -> bool:
        """Whether fewer examples were tried than were wanted, for want of time."""
        return not self._over and self.ended is None

    def knows(self, failure: Failure) -> bool:
        """Whether an earlier round has dealt with it."""
        return any(each.covers(failure) for each in self._passed_by)

    def enter(self) -> None:
        """To be called before each example. Raises Leave when it is not to be tried."""
        if self.late or (self._shrunk if self.shrinking else self._over):
            raise Leave
        self._shrinks += self.shrinking
        self._kept = max(0, self._kept - 1)

    def see(self, seen: Seen) -> None:
        """To be called with what came of an example. Raises what tells Hypothesis of it."""
        if isinstance(seen, Aborted):
            self.ended = seen
            raise Leave
        if isinstance(seen, TargetDown):
            self.ended = seen
            raise _TargetDownError
        if seen is None:
            return
        if self.knows(seen):
            self._again += not self.shrinking
            return
        if self._first is None:
            self._first = seen
            self._shrink_until = self.monotonic() + SHRINK_SECONDS
        if seen.origin != self._first.origin:
            return  # Hypothesis would go on with whichever is smaller
        if self._smallest is None or seen.size <= self._smallest.size:
            self._smallest = seen
        raise _FailedError

    def messages(
        self, strategy: st.SearchStrategy[Any], attempt: Callable[[tuple[Any, ...]], Seen]
    ) -> None:
        """Hunt among examples from `strategy`; `attempt` tries some, one after the other, counts them
        in `tried` unless the hunt is shrinking, and stops at the first that fails."""
        batches = st.tuples(*[strategy] * BATCH)

        def one_round(how: settings, draw: str) -> None:
            @how
            @seed(draw)
            @given(batches)
            def example(batch: tuple[Any, ...]) -> None:
                self.enter()
                self.see(attempt(batch if self.shrinking or self._kept else batch[: self.left]))

            example()

        self.rounds(one_round)

    def rounds(self, one_round: Callable[[settings, str], None]) -> None:
        """Run rounds until the hunt's bounds are met."""
        kept = self._database()
        key = f"{self.rule} {self.target}".encode()
        stored = set(kept.fetch(key)) if kept is not None else set()
        for number in itertools.count():
            memory = _Memory(stored)
            self._first = self._smallest = None
            # One more, since it is counted down before an example is tried.
            self._shrinks, self._kept = 0, len(stored) + 1 if stored else 0
            self._one(one_round, memory, f"{self.seed} {self.rule} {number}")
            if kept is not None:
                _put(kept, key, memory.fresh, gone=stored - memory.stored - memory.fresh)
            stored = memory.stored - memory.fresh
            if self.ended is not None or self._over or self.late:
                return

    def _one(self, one_round: Callable[[settings, str], None], memory: _Memory, draw: str) -> None:
        how = settings(
            max_examples=min(FEW, max(1, self.left)),
            database=memory,
            phases=(*_PHASES, Phase.shrink) if self.shrinks else _PHASES,
            stateful_step_count=STEPS,
            report_multiple_bugs=False,
            deadline=None,
            derandomize=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )
        with suppress(Leave, _TargetDownError, _FailedError, Flaky):
            one_round(how, draw)
        if self._first is None or self._smallest is None or self.ended is not None:
            return
        for failure in dict.fromkeys((self._smallest, self._first)):
            confirmed = self.confirm(failure)
            if confirmed is not None:
                if not any(each.covers(confirmed) for each in self.found):
                    self.found.append(confirmed)
                self._passed_by += [confirmed, self._first]
                return
        self.unsteady += 1
        if any(each.covers(self._first) for each in self._doubted):
            self._passed_by.append(self._first)
        self._doubted.append(self._first)

    def _database(self) -> ExampleDatabase | None:
        if self.examples is None:
            return None
        return DirectoryBasedExampleDatabase(self.examples)
