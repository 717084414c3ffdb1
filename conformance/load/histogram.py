"""Durations in logarithmic buckets: little memory, easily merged, percentiles to one per cent.

Pure. A histogram is a mapping from a bucket to how many durations fell into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, exp, floor, log

_STEPS = 100  # buckets for each factor of e: one per cent
_LEAST = 1e-6

Histogram = dict[int, int]


def bucket(seconds: float) -> int:
    """The bucket of a duration."""
    return floor(log(seconds) * _STEPS) if seconds > _LEAST else floor(log(_LEAST) * _STEPS)


def count(times: Histogram, seconds: float) -> None:
    """Put one duration in."""
    at = bucket(seconds)
    times[at] = times.get(at, 0) + 1


def add(times: Histogram, more: Mapping[int, int]) -> None:
    """Merge `more` into `times`."""
    for at, number in more.items():
        times[at] = times.get(at, 0) + number


def percentile(times: Mapping[int, int], share: float) -> float | None:
    """The duration in seconds that `share` (0 to 1) of all durations do not exceed, or up to one
    per cent less; None when there are none."""
    rank = ceil(share * sum(times.values()))
    for at in sorted(times):
        rank -= times[at]
        if rank <= 0:
            return exp(at / _STEPS)
    return None


def above(times: Mapping[int, int], seconds: float) -> int:
    """How many durations were longer than `seconds`, to one per cent."""
    return sum(number for at, number in times.items() if at > bucket(seconds))
