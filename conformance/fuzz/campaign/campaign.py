"""A campaign: the search for failures of one rule. Hypothesis generates, shrinks and remembers
examples; the caller sends and judges them.

A campaign runs in rounds. A round may end with one failure, shrunk, which later rounds ignore. It
blocks, so it runs in a thread of its own. It knows no sockets, no event loop and no report.
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

from conformance.fuzz.campaign.outcomes import Aborted, ExampleResult, Failure, TargetDown

BATCH = 8
"""Messages in one example of Hypothesis's, which costs as much as drawing several of them."""
ROUND_EXAMPLES = 9
"""Examples of Hypothesis's in a round. From the tenth on it builds most of them by copying parts of
one over others. That finds what two equal values break, but with messages that must be new each time
it only makes repeats."""
SEQUENCE_STEPS = 7
"""Steps of a sequence."""
MAX_FAILURES = 5
"""Distinct failures after which a campaign ends: five are enough to fix at a time."""
MAX_SHRINKS, SHRINK_SECONDS = 400, 10.0
"""Attempts and seconds for shrinking a failure; an answer that never comes takes seconds each time."""
MAX_KNOWN = 30
"""Examples with known failures after which a campaign ends, if they are also half of all examples."""

_PHASES = (Phase.reuse, Phase.generate)


class EndRound(KeyboardInterrupt):
    """Ends a round at once. Hypothesis takes only an Exception for a failing example, and it does not
    store the example of a KeyboardInterrupt."""


class _TargetDownError(BaseException):
    """Ends a round at once as well, but Hypothesis stores the example."""


class _FailedError(Exception):
    """An example failed."""


class _RoundDatabase(ExampleDatabase):
    """The examples of one round: those that were `stored` before, and `fresh` ones that fail."""

    def __init__(self, stored: Iterable[bytes]) -> None:
        super().__init__()
        self.stored = set(stored)
        self.fresh: set[bytes] = set()

    def fetch(self, key: bytes) -> Iterable[bytes]:
        return () if _is_auxiliary(key) else [*self.stored, *self.fresh]

    def save(self, key: bytes, value: bytes) -> None:
        if not _is_auxiliary(key):
            self.fresh.add(value)

    def delete(self, key: bytes, value: bytes) -> None:
        if not _is_auxiliary(key):
            self.stored.discard(value)
            self.fresh.discard(value)


def _is_auxiliary(key: bytes) -> bool:
    """Whether a key belongs to a corpus that Hypothesis keeps besides that of failing examples."""
    return key.endswith((b".secondary", b".pareto"))


def _update(
    database: ExampleDatabase, key: bytes, fresh: Iterable[bytes], obsolete: Iterable[bytes]
) -> None:
    """Store what failed; delete what no longer fails, or was shrunk to something smaller."""
    with suppress(OSError):  # a folder that cannot be written stores nothing
        for value in fresh:
            database.save(key, value)
        for value in obsolete:
            database.delete(key, value)


@dataclass(slots=True)
class Campaign:
    """The campaign of one rule: at most `example_limit` examples, until the clock `monotonic` (seconds)
    reaches `until`.

    `rule` and `seed` determine the draws. `examples` is the folder that stores failing examples from
    run to run, or None; `target` identifies the target they belong to. `confirm` tries a failure once
    more and returns it as it is then, or None; unless Hypothesis `shrinks` failures, `confirm` shrinks
    them as well.

    When the campaign has ended, `tried` counts the examples, `failures` are the distinct failures,
    `unsteady` counts those that could not be confirmed, and `stop_reason` is the result that ended the
    campaign early, if any did.
    """

    rule: str
    target: str
    example_limit: int
    seed: int
    until: float
    monotonic: Callable[[], float]
    confirm: Callable[[Failure], Failure | None]
    shrinks: bool = True
    examples: Path | None = None

    tried: int = 0
    failures: list[Failure] = field(default_factory=list)
    unsteady: int = 0
    stop_reason: TargetDown | Aborted | None = None
    _known_count: int = 0
    _first: Failure | None = None
    _smallest: Failure | None = None
    _shrinks: int = 0
    _shrink_until: float = 0.0
    _stored_left: int = 0  # stored examples that this round may still begin with
    _handled: list[Failure] = field(default_factory=list)
    _unconfirmed: list[Failure] = field(default_factory=list)

    @property
    def shrinking(self) -> bool:
        """Whether a failure is being shrunk."""
        return self._first is not None

    @property
    def left(self) -> int:
        """Examples that are still to be tried."""
        return self.example_limit - self.tried

    @property
    def late(self) -> bool:
        """Whether the time is used up."""
        return self.monotonic() >= self.until

    @property
    def _shrunk(self) -> bool:
        """Whether the limits of shrinking are reached."""
        return self._shrinks >= MAX_SHRINKS or self.monotonic() >= self._shrink_until

    @property
    def _finished(self) -> bool:
        """Whether all examples were tried, or more of them would add nothing."""
        masked = self._known_count > MAX_KNOWN and self._known_count > self.tried / 2
        return self.left <= 0 or masked or len(self.failures) >= MAX_FAILURES

    @property
    def short(self) -> bool:
        """Whether the time ran out before all examples were tried."""
        return not self._finished and self.stop_reason is None

    def knows(self, failure: Failure) -> bool:
        """Whether an earlier round has dealt with this failure."""
        return any(known.covers(failure) for known in self._handled)

    def start_example(self) -> None:
        """Call this before each example. Raises EndRound when it must not be tried."""
        if self.late or (self._shrunk if self.shrinking else self._finished):
            raise EndRound
        self._shrinks += self.shrinking
        self._stored_left = max(0, self._stored_left - 1)

    def report(self, result: ExampleResult) -> None:
        """Call this with the result of each example. Raises what signals the result to Hypothesis."""
        if isinstance(result, Aborted):
            self.stop_reason = result
            raise EndRound
        if isinstance(result, TargetDown):
            self.stop_reason = result
            raise _TargetDownError
        if result is None:
            return
        if self.knows(result):
            self._known_count += not self.shrinking
            return
        if self._first is None:
            self._first = result
            self._shrink_until = self.monotonic() + SHRINK_SECONDS
        if result.origin != self._first.origin:
            return  # Hypothesis would go on with whichever is smaller
        if self._smallest is None or result.size <= self._smallest.size:
            self._smallest = result
        raise _FailedError

    def messages(
        self,
        strategy: st.SearchStrategy[Any],
        attempt: Callable[[tuple[Any, ...]], ExampleResult],
    ) -> None:
        """Search examples from `strategy`.

        `attempt` tries several, one after the other, and stops at the first that fails. It counts them
        in `tried`, except while the campaign is shrinking.
        """
        batches = st.tuples(*[strategy] * BATCH)

        def one_round(how: settings, draw: str) -> None:
            @how
            @seed(draw)
            @given(batches)
            def example(batch: tuple[Any, ...]) -> None:
                self.start_example()
                whole = self.shrinking or self._stored_left
                self.report(attempt(batch if whole else batch[: self.left]))

            example()

        self.rounds(one_round)

    def rounds(self, one_round: Callable[[settings, str], None]) -> None:
        """Run rounds until a limit of the campaign is reached."""
        database = self._database()
        key = f"{self.rule} {self.target}".encode()
        stored = set(database.fetch(key)) if database is not None else set()
        for number in itertools.count():
            memory = _RoundDatabase(stored)
            self._first = self._smallest = None
            # One more, because it is counted down before an example is tried.
            self._shrinks, self._stored_left = 0, len(stored) + 1 if stored else 0
            self._run_round(one_round, memory, f"{self.seed} {self.rule} {number}")
            if database is not None:
                obsolete = stored - memory.stored - memory.fresh
                _update(database, key, memory.fresh, obsolete)
            stored = memory.stored - memory.fresh
            if self.stop_reason is not None or self._finished or self.late:
                return

    def _run_round(
        self, one_round: Callable[[settings, str], None], memory: _RoundDatabase, draw: str
    ) -> None:
        how = settings(
            max_examples=min(ROUND_EXAMPLES, max(1, self.left)),
            database=memory,
            phases=(*_PHASES, Phase.shrink) if self.shrinks else _PHASES,
            stateful_step_count=SEQUENCE_STEPS,
            report_multiple_bugs=False,
            deadline=None,
            derandomize=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )
        with suppress(EndRound, _TargetDownError, _FailedError, Flaky):
            one_round(how, draw)
        if self._first is None or self._smallest is None or self.stop_reason is not None:
            return
        self._confirm(self._first, self._smallest)

    def _confirm(self, first: Failure, smallest: Failure) -> None:
        """Add the round's failure to `failures` if it can be confirmed, shrunk or as it first was."""
        for failure in dict.fromkeys((smallest, first)):
            confirmed = self.confirm(failure)
            if confirmed is not None:
                if not any(known.covers(confirmed) for known in self.failures):
                    self.failures.append(confirmed)
                self._handled += [confirmed, first]
                return
        self.unsteady += 1
        if any(known.covers(first) for known in self._unconfirmed):
            self._handled.append(first)
        self._unconfirmed.append(first)

    def _database(self) -> ExampleDatabase | None:
        if self.examples is None:
            return None
        return DirectoryBasedExampleDatabase(self.examples)
