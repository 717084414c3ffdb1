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
from typing import Any, NoReturn
from unittest import SkipTest

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase
from hypothesis.errors import Flaky

from conformance.fuzz.campaign.outcomes import Aborted, ExampleResult, Failure, TargetDown
from conformance.model.rules import Unjudged

BATCH = 8
"""Messages in one of Hypothesis's examples: an example costs as much as drawing several messages."""
ROUND_EXAMPLES = 9
"""Examples of Hypothesis's in a round. From the tenth on it builds most of them by copying parts of
one over others. That finds what two equal values break, but with messages that must be new each time
it only makes repeats."""
MAX_FAILURES = 5
"""Distinct failures after which a campaign ends: five are enough to fix at a time."""
MAX_SHRINKS, SHRINK_SECONDS = 400, 10.0
"""Attempts and seconds for shrinking a failure; an answer that never comes takes seconds each time."""
MAX_KNOWN = 30
"""Examples with known failures after which a campaign ends, if they are also half of all examples."""


class EndRound(SkipTest):
    """Ends a round at once. Hypothesis passes a skip on; it takes any other Exception for a failure."""

    def __init__(self) -> None:
        super().__init__("the round has ended")


class _FailedError(Exception):
    """An example failed."""


class _StoredExamples(ExampleDatabase):
    """The failing examples of one rule and target, in a folder. One round tries each of them; later rounds
    would ignore what it shows."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__()
        self._folder, self._name = DirectoryBasedExampleDatabase(folder), name.encode()
        self.untried = set(self._folder.fetch(self._name))
        self.frozen = False  # whether changes are ignored

    def fetch(self, key: bytes) -> Iterable[bytes]:
        return () if _is_auxiliary(key) else tuple(self.untried)

    def save(self, key: bytes, value: bytes) -> None:
        self._change(self._folder.save, key, value)

    def delete(self, key: bytes, value: bytes) -> None:
        self._change(self._folder.delete, key, value)

    def _change(self, change: Callable[[bytes, bytes], None], key: bytes, value: bytes) -> None:
        if self.frozen or _is_auxiliary(key):
            return
        self.untried.discard(value)
        with suppress(OSError):  # a folder that cannot be written stores nothing
            change(self._name, value)


def _is_auxiliary(key: bytes) -> bool:
    """Whether a key belongs to a corpus that Hypothesis keeps besides that of failing examples."""
    return key.endswith((b".secondary", b".pareto"))


@dataclass(slots=True)
class Campaign:
    """The campaign of one rule: at most `example_limit` examples, until the clock `monotonic` (seconds)
    reaches `until`.

    `rule` and `seed` determine the draws. `examples` is the folder that stores failing examples from
    run to run, or None; `target` identifies the target they belong to. `attempt` tries at most `batch`
    examples, one after the other, and stops at the first that fails: it returns how many it tried, and
    the last one's result. `confirm` tries a failure once more and returns it as it is then, or None. A
    failure is shrunk for at most `shrink_seconds`.

    When the campaign has ended, `tried` counts the examples, except those for shrinking. `failures` are
    the distinct failures, `unsteady` counts those that could not be confirmed, `unjudged` says why
    examples got no judgement. `stop_reason` is the result that ended the campaign early, if any did, and
    `short` whether the time ran out before all examples were tried. `attempt` may add to `unsteady` and
    `unjudged`.
    """

    rule: str
    target: str
    example_limit: int
    seed: int
    until: float
    monotonic: Callable[[], float]
    attempt: Callable[[tuple[Any, ...]], tuple[int, ExampleResult]]
    confirm: Callable[[Failure], Failure | None]
    batch: int = BATCH
    shrink_seconds: float = field(default_factory=lambda: SHRINK_SECONDS)
    examples: Path | None = None

    tried: int = 0
    failures: list[Failure] = field(default_factory=list)
    unsteady: int = 0
    unjudged: list[Unjudged] = field(default_factory=list)
    stop_reason: TargetDown | Aborted | None = None
    short: bool = False
    _fault: Exception | None = None  # of `attempt`
    _known_count: int = 0
    _first: Failure | None = None
    _smallest: Failure | None = None
    _shrinks: int = 0
    _shrink_until: float = 0.0
    _stored: _StoredExamples | None = None
    _handled: list[Failure] = field(default_factory=list)
    _unconfirmed: list[Failure] = field(default_factory=list)

    @property
    def shrinking(self) -> bool:
        """Whether a failure is being shrunk."""
        return self._first is not None

    @property
    def _left(self) -> int:
        """Examples that are still to be tried."""
        return self.example_limit - self.tried

    @property
    def _late(self) -> bool:
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
        return self._left <= 0 or masked or len(self.failures) >= MAX_FAILURES

    def seeks(self, failure: Failure) -> bool:
        """Whether no earlier round has dealt with this failure; and while another is being shrunk, whether
        this is the same one."""
        known = any(known.covers(failure) for known in self._handled)
        return not known and (self._first is None or failure.covers(self._first))

    def search(self, strategy: st.SearchStrategy[Any]) -> None:
        """Search examples from `strategy` until a limit of the campaign is reached. Raises what `attempt` and
        `confirm` raise."""
        if self.examples is not None:
            self._stored = _StoredExamples(self.examples, f"{self.rule} {self.target}")
        for number in itertools.count():
            self._run_round(
                st.tuples(*[strategy] * self.batch), f"{self.seed} {self.rule} {number}"
            )
            if self._fault is not None:
                raise self._fault
            if self.stop_reason is not None or self._finished or self._late:
                break
        self.short = not self._finished and self.stop_reason is None

    def _run_round(self, batches: st.SearchStrategy[tuple[Any, ...]], draw: str) -> None:
        self._first = self._smallest = None
        self._shrinks = 0
        if self._stored is not None:
            self._stored.frozen = False
        how = settings(
            max_examples=min(ROUND_EXAMPLES, max(1, self._left)),
            database=self._stored,
            phases=(Phase.reuse, Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
            deadline=None,
            derandomize=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )

        @how
        @seed(draw)
        @given(batches)
        def example(batch: tuple[Any, ...]) -> None:
            self._try(batch)

        with suppress(EndRound, _FailedError, Flaky):
            example()
        if self._first is None or self._smallest is None:
            return
        if self.stop_reason is None and self._fault is None:
            self._confirm(self._first, self._smallest)

    def _try(self, batch: tuple[Any, ...]) -> None:
        """Try an example of Hypothesis's, unless the round must end. Raises what tells Hypothesis so, or
        that the example failed."""
        if self._late or (self._shrunk if self.shrinking else self._finished):
            self._end_round()
        whole = self.shrinking or (self._stored is not None and self._stored.untried)
        try:
            tried, result = self.attempt(batch if whole else batch[: self._left])
        except Exception as fault:  # a fault of the suite is not a failing example
            self._fault = fault
            self._end_round()
        if self.shrinking:
            self._shrinks += 1
        else:
            self.tried += tried
        match result:
            case Aborted():
                self.stop_reason = result
                self._end_round()
            case TargetDown():
                self.stop_reason = result
                raise EndRound  # and Hypothesis stores the example
            case Failure():
                self._report(result)

    def _end_round(self) -> NoReturn:
        """End the round, and keep Hypothesis from storing the example."""
        if self._stored is not None:
            self._stored.frozen = True
        raise EndRound

    def _report(self, failure: Failure) -> None:
        """Report a failure to Hypothesis if it is sought: it would go on with any other one that is
        smaller."""
        if not self.seeks(failure):
            self._known_count += not self.shrinking
            return
        if self._first is None:
            self._first = failure
            self._shrink_until = self.monotonic() + self.shrink_seconds
        if self._smallest is None or failure.size <= self._smallest.size:
            self._smallest = failure
        raise _FailedError

    def _confirm(self, first: Failure, smallest: Failure) -> None:
        """Add the round's failure to `failures` if it can be confirmed, shrunk or as it first was."""
        for failure in dict.fromkeys((smallest, first)):
            confirmed = self.confirm(failure)
            if confirmed is not None:
                if not any(known.covers(confirmed) for known in self.failures):
                    others = [known for known in self.failures if not confirmed.covers(known)]
                    self.failures = [*others, confirmed]
                self._handled += [confirmed, first]
                return
        self.unsteady += 1
        if any(known.covers(first) for known in self._unconfirmed):
            self._handled.append(first)
        self._unconfirmed.append(first)
