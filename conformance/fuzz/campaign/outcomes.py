"""The possible results of trying an example. Free of Hypothesis: the caller creates these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from conformance.model.rules import Unjudged


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """A failure of the target.

    `what` says what was observed, `marks` where in the input it lies. A known failure covers every
    other one with the same `what` and all of its marks. The smaller (`size`) is preferred. `evidence`
    belongs to the caller and is passed through.
    """

    what: str
    marks: frozenset[str]
    size: int
    evidence: Any

    def covers(self, other: Failure) -> bool:
        """Whether `other` is the same failure, as far as can be known."""
        return self.what == other.what and self.marks <= other.marks


@dataclass(frozen=True, slots=True)
class TargetDown:
    """The target no longer accepts plain messages; `evidence` is about the last example before that."""

    evidence: Any


@dataclass(frozen=True, slots=True)
class Aborted:
    """Nothing more can be judged, for `reason`."""

    reason: Unjudged


ExampleResult = Failure | TargetDown | Aborted | None
"""The result of trying an example; None when the target behaved correctly."""
