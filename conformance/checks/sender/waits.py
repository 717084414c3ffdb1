"""The waits between the attempts for a message: measured, averaged, and told by their kind.

Guide: 重試機制. Waits are exponential when each mean wait is longer than the one before by a factor that
does not fall: over the last two steps by 1.36 each, since linear waits give 1.29 there (√(5/3)) and a
factor of 1.5 gives 1.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean, pstdev

from conformance.exchange import Exchange
from conformance.text import Text

GROWTH = 1.36
FLAT = 1.15
"""A wait that is not longer than the one before by this factor, at the end, is a plateau: the cap."""
NONE = 0.02
"""Seconds below which there is no wait at all."""
SCATTER = 0.4
"""Standard deviation of equal waits, as a share of their mean, beyond which they are random."""
FEWEST = 3


def waits(attempts: Sequence[Exchange]) -> list[float]:
    """The seconds from the end of each attempt to the beginning of the next."""
    pairs = pairwise(attempts)
    return [max(0.0, later.started - earlier.ended) for earlier, later in pairs]


def mean_waits(messages: Iterable[Sequence[Exchange]]) -> tuple[list[float], float]:
    """The mean first wait, second wait, … over many messages, as far as all of them have one; and how
    much single waits scatter around their mean, as a share of it."""
    measured = [waits(attempts) for attempts in messages]
    columns = list(zip(*measured, strict=False))
    means = [fmean(column) for column in columns]
    shares = [pstdev(c) / m for c, m in zip(columns, means, strict=True) if m > NONE]
    return means, fmean(shares) if shares else 0.0


def figures(means: Sequence[float]) -> str:
    """Waits as they are told, in seconds."""
    return ", ".join(f"{each:.2f}" if max(means) < 1 else f"{each:.1f}" for each in means)


def kind_of(means: Sequence[float], scatter: float) -> Text | None:
    """None for exponential waits; else what they are."""
    if max(means) < NONE:
        return _NO_WAIT
    grown = list(means)
    while len(grown) > 1 and grown[-1] < FLAT * grown[-2] and grown[-1] > grown[-2] / FLAT:
        grown.pop()
    if len(grown) == 1:
        return _RANDOM if scatter > SCATTER else _CONSTANT
    if grown[-1] < grown[0]:
        return _SHRINKING if sorted(grown, reverse=True) == grown else _RANDOM
    if sorted(grown) != grown:
        return _RANDOM
    if len(grown) >= 5:
        return None if (grown[-1] / grown[-3]) ** 0.5 >= GROWTH else _LINEAR
    # The cap was reached: what is left must grow by the same factor still.
    return None if grown[-1] / grown[-2] >= GROWTH else _LINEAR


_NO_WAIT = Text("there is no wait at all", "完全沒有間隔")
_CONSTANT = Text("constant, not exponential", "固定不變，而非指數增長")
_SHRINKING = Text("shrinking, not growing", "越來越短，而非增長")
_RANDOM = Text("random, not growing with each attempt", "隨機，沒有逐次增長")
_LINEAR = Text("linear, not exponential", "線性增長，而非指數增長")
