"""The waits between the attempts for a message: measures, averages and classifies them.

Guide: 重試機制. Waits are exponential when each mean wait is longer than the one before by a factor that
does not fall: over the last two steps of five by 1.36 each, since linear waits give 1.29 there (√(5/3))
and a factor of 1.5 gives 1.5; of four by 1.46, since they give 1.41 (√(4/2)). Where a cap was reached,
only the waits before it count, and the first at the cap does not: it may have been cut short.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, dropwhile, pairwise
from statistics import fmean, pstdev

from conformance.model.exchange import Exchange
from conformance.model.sentence import Sentence

GROWTH, GROWTH_OF_FOUR = 1.36, 1.46
FLAT, WILDLY_FLAT = 1.15, 1.35
"""Waits that differ from the last one by less than this factor are its plateau: the cap. The means of
waits that scatter are less exact."""
NONE = 0.02
"""Seconds below which there is no wait at all."""
SCATTER = 0.4
"""Standard deviation of equal waits, as a share of their mean, beyond which they are random."""
FALLING = 0.9
"""Share of the first factor below which a later one has fallen: over three linear waits to 0.75."""
BEND = 1.5
"""Factor by which the last step of at least three is longer than the first. Linear steps are alike, and a
factor of 1.36 makes the last one 1.85 times as long; what a machine adds to all waits changes none."""
BLUR = 0.15
"""Seconds by which a busy machine may blur a mean wait: a first wait of 0.2 s and a second of 0.18 s, with
longer and longer ones behind them, grow."""
FEWEST = 4
HALVINGS = 40
"""Steps of the search for the straight line that measured waits are closest to."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of waits that are not exponential: the code of the finding, and its words."""

    code: str
    text: Sentence


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
    """Waits in seconds, as findings list them."""
    return ", ".join(f"{each:.2f}" if max(means) < 1 else f"{each:.1f}" for each in means)


def kind_of(means: Sequence[float], scatter: float, blur: float = BLUR) -> Kind | None:
    """None for exponential waits, of which there must be at least FEWEST; else what they are instead.
    `blur` is the seconds by which any of them may be too long."""
    if max(means) < NONE:
        return _NO_WAIT
    wild = scatter > SCATTER
    flat = WILDLY_FLAT if wild else FLAT
    # Some retry at once, and then begin to wait: 0, 1, 2, 3 is as linear as 1, 2, 3.
    means = list(dropwhile(lambda wait: wait < NONE, means))
    grown = list(means)
    while len(grown) > 1 and means[-1] / flat < grown[-2] < means[-1] * flat:
        grown.pop()
    if len(grown) == 1:
        return _RANDOM if wild else _CONSTANT
    if grown[-1] < grown[0]:
        return _SHRINKING if sorted(grown, reverse=True) == grown else _RANDOM
    if any(later < earlier - blur for earlier, later in pairwise(grown)):
        return _RANDOM
    capped = len(grown) < len(means)
    # The last steps show most: the first waits are short, and a busy machine adds most to them.
    needed = GROWTH if len(grown) > FEWEST else GROWTH_OF_FOUR
    grows = len(grown) >= FEWEST and (grown[-1] / max(grown[-3], NONE)) ** 0.5 >= needed
    if grows and not capped and _bends(grown):
        return None
    free = grown[:-1]
    if len(free) < 3:
        return None if grown[-1] / grown[0] >= GROWTH else _CONSTANT
    # A cap may have cut the last one short; wild means do not show by how much they grow before it.
    return None if (wild and capped) or _goes_on_growing(free, wild=wild) else _LINEAR


def are_too_short(means: Sequence[float]) -> bool:
    """Whether a busy machine may have made all of these waits: how they grow shows nothing then."""
    return max(means) < BLUR


def slack_of(means: Sequence[float]) -> float:
    """The seconds that must be added to one mean wait, at least, for exponential waits to look like these:
    of waits that double, a third one that is longer by a quarter of the fifth. A wait that is longer than a
    later one must have been longer by the difference."""
    drops = [earlier - later for earlier, later in combinations(means, 2)]
    return max(BLUR, means[-1] / 4, *drops)


def slack_of_growth(means: Sequence[float]) -> float:
    """The seconds that must have been added to single mean waits, at least, for linear waits to look like
    these, whether a cap ends them or not."""
    waits = list(dropwhile(lambda wait: wait < NONE, means))
    least = [_least_added(waits, free) for free in range(2, len(waits) + 1)]
    # Of short waits a short stall may have made all the growth.
    return max(min(BLUR, max(means) / 4), min(least, default=0.0))


def _least_added(waits: Sequence[float], free: int) -> float:
    """The same for waits of which the first `free` grow, and a cap holds the rest."""
    low, high = 0.0, min(wait / place for place, wait in enumerate(waits[1:free], 1))
    for _ in range(HALVINGS):  # what was added is convex over the slope
        third = (high - low) / 3
        if _added(waits, low + third, free) < _added(waits, high - third, free):
            high -= third
        else:
            low += third
    return _added(waits, (low + high) / 2, free)


def _added(waits: Sequence[float], slope: float, free: int) -> float:
    """The most that was added to a wait, if the first `free` grow by `slope` and a cap holds the rest."""
    start = _start(waits, slope, free)
    cap = min([*waits[free:], start + slope * free])
    linear = [start + slope * place if place < free else cap for place in range(len(waits))]
    return max(wait - line for wait, line in zip(waits, linear, strict=True))


def _start(waits: Sequence[float], slope: float, free: int) -> float:
    """The first wait, if the first `free` grow by `slope` and none was shortened."""
    return min(wait - slope * place for place, wait in enumerate(waits[:free]))


def _bends(grown: Sequence[float]) -> bool:
    return grown[-1] - grown[-2] >= BEND * (grown[1] - grown[0])


def _goes_on_growing(free: Sequence[float], *, wild: bool) -> bool:
    """Whether the factor stays, or the steps grow though it falls: 1, 10, 30 is not linear."""
    first, last = free[1] / free[0], free[-1] / max(free[-2], NONE)
    return last >= GROWTH and (last >= FALLING * first or (not wild and _bends(free)))


_NO_WAIT = Kind("no-wait", Sentence("there is no wait at all"))
_CONSTANT = Kind("waits-constant", Sentence("constant, not exponential"))
_SHRINKING = Kind("waits-shrink", Sentence("shrinking, not growing"))
_RANDOM = Kind("waits-random", Sentence("random, not growing with each attempt"))
_LINEAR = Kind("waits-linear", Sentence("linear, not exponential"))
