"""Durations in logarithmic buckets: little memory, easy to merge, percentiles to one per cent.

Pure. A histogram maps a bucket to the number of durations in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, exp, floor, log

_STEPS = 100  # buckets for each factor of e: one per cent
_LEAST = 1e-6
WIDE = 10

Histogram = dict[int, int]


def bucket(seconds: float) -> int:
    """The bucket of a duration."""
    return floor(log(seconds) * _STEPS) if seconds > _LEAST else floor(log(_LEAST) * _STEPS)


def record(times: Histogram, seconds: float) -> None:
    """Count one duration."""
    at = bucket(seconds)
    times[at] = times.get(at, 0) + 1


def merge(times: Histogram, more: Mapping[int, int]) -> None:
    """Add the counts of `more` to `times`."""
    for at, number in more.items():
        times[at] = times.get(at, 0) + number


def percentile(times: Mapping[int, int], share: float) -> float | None:
    """The duration in seconds that `share` (0 to 1) of all durations do not exceed.

    At most one per cent below the true value and never above it. None for an empty histogram.
    """
    rank = ceil(share * sum(times.values()))
    for at in sorted(times):
        rank -= times[at]
        if rank <= 0:
            return exp(at / _STEPS)
    return None


def coarse(times: Mapping[int, int]) -> list[tuple[float, int]]:
    """For a chart: the beginning of each bucket that is ten times as wide, in seconds, and its durations."""
    wide: Histogram = {}
    for at, number in times.items():
        wide[at // WIDE] = wide.get(at // WIDE, 0) + number
    return [(exp(at * WIDE / _STEPS), wide[at]) for at in sorted(wide)]
