"""What a load run measured: counts and times of all its requests, of which its trace holds a few."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The kind of a request of a load run; also its name in Locust's tables."""

    MESSAGE = "message"
    REPEAT = "repeat"
    RETRY = "retry"
    FORGERY = "forgery"


VALID = (Kind.MESSAGE, Kind.REPEAT, Kind.RETRY)
"""The kinds that are signed as they must be."""


class ResponseClass(StrEnum):
    """How a request was answered. A forgery is `right` unless it is `accepted` or `unanswered`."""

    RIGHT = "right"
    LATE = "late"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """The figures of a run, as JSON values: `$defs/load` in `schemas/report.schema.json` describes each.

    Durations are seconds. `observer` is None where no observer was asked.
    """

    users: int
    workers: int
    missing_workers: int
    seconds: float
    limits: Mapping[str, float | None]
    rate: Mapping[str, Any]
    latency: Mapping[str, float | None]
    histogram: Sequence[Sequence[float]]
    late: int
    late_starts: Mapping[str, Any]
    generator: Mapping[str, Any]
    requests: Mapping[str, Mapping[str, int]]
    failures: Mapping[str, int]
    messages: Mapping[str, int]
    observer: Mapping[str, Any] | None
    timeline: Sequence[Mapping[str, Any]]

    def count(self, kinds: Iterable[Kind], *classes: ResponseClass) -> int:
        """How many requests of `kinds` were answered in one of `classes`; in any, if none is named."""
        return sum(
            self.requests[kind].get(response_class, 0)
            for kind in kinds
            for response_class in classes or ResponseClass
        )
