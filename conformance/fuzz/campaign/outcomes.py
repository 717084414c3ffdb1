"""What can come of trying an example. Without Hypothesis: whoever tries examples makes these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """Something that broke. `what` was seen, `marks` say where in the input; a known failure covers
    every other one of the same `what` that has all of its marks. Of two failures of one `origin` the
    smaller is sought. `evidence` is the caller's."""

    what: str
    marks: frozenset[str]
    origin: str
    size: int
    evidence: Any

    def covers(self, other: Failure) -> bool:
        """Whether `other` is, for all that can be told, the same failure."""
        return self.what == other.what and self.marks <= other.marks


@dataclass(frozen=True, slots=True)
class TargetDown:
    """The target no longer takes plain messages; `evidence` is about the example that came before."""

    evidence: Any


@dataclass(frozen=True, slots=True)
class Aborted:
    """Nothing more can be judged, for `reason`."""

    reason: Any


Seen = Failure | TargetDown | Aborted | None
"""What came of trying an example."""
