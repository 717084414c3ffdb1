"""When this process was held up itself: what it saw late may have been in time.

A busy machine, or a burst of work in the same process, delays everything that this process does. A case
is run again when it was held up for as long as it takes to make its finding. Knows neither sides nor
rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from conformance.model.clock import Clock
from conformance.model.rules import GRAVITY, Finding, Held, Judgement, Unjudged
from conformance.model.text import Text

EVERY = 0.1
"""Seconds between two looks at the clock."""
NOTED = 0.05
"""Seconds by which a look must be late to be noted."""
CHAIN = 2.0
"""Seconds in which stalls add up: an answer takes several steps, and each of them may be late."""
FORGIVEN = 0.15
"""Seconds at a stretch that change nothing that is not measured to the second."""


class Stalls:
    """When this process was held up, as far as it is watched."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._noted: list[tuple[float, float]] = []  # when it ended, and its seconds
        self._looked: float | None = None

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at the clock all the time within the context."""
        looker = asyncio.create_task(self._look(), name="stalls")
        try:
            yield
        finally:
            looker.cancel()
            await asyncio.wait([looker])
            self._looked = None

    async def _look(self) -> None:
        while True:
            self._looked = self._clock.monotonic()
            await self._clock.sleep(EVERY)
            late = self._late()
            if late > NOTED:
                self._noted.append((self._clock.monotonic(), late))

    def _late(self) -> float:
        """Seconds by which the next look is late by now."""
        if self._looked is None:
            return 0.0
        return self._clock.monotonic() - self._looked - EVERY

    def _since(self, begin: float) -> list[float]:
        noted = [late for ended, late in self._noted if ended >= begin]
        late = self._late()  # of a stall that has just ended, and was not looked at
        return [*noted, late] if late > NOTED else noted

    def worst(self, since: float) -> float:
        """The most seconds that were lost within CHAIN seconds, `since` a monotonic time."""
        noted = [*self._noted, (self._clock.monotonic(), self._late())]
        recent = [(ended, late) for ended, late in noted if ended >= since and late > NOTED]
        sums = (
            sum(late for end, late in recent if 0 <= end - ended <= CHAIN) for ended, _ in recent
        )
        return max(sums, default=0.0)

    def lost(self, since: float) -> float:
        """The seconds for which it was held up in all, `since` a monotonic time."""
        return sum(self._since(since))

    def any(self, since: float) -> bool:
        """Whether there was a loss of more than FORGIVEN seconds, `since` a monotonic time."""
        return self.worst(since) > FORGIVEN


def sound(found: Iterable[Judgement], lost: float) -> list[Finding | Unjudged]:
    """What a case came to, without what may be the work of a loss of `lost` seconds; nothing at all where
    that was the gravest. What holds leaves nothing, unless a loss may have made it: see `is_spoilt`."""
    left: list[Finding | Unjudged] = []
    doubtful: list[Judgement] = []
    for each in found:
        if _may_be_made(each, lost):
            doubtful.append(each)
        elif not isinstance(each, Held):
            left.append(each)
    if doubtful and _gravity(left) < max(1, _gravity(doubtful)):
        return []
    return left


def is_spoilt(found: Sequence[Judgement], lost: float) -> bool:
    """Whether a loss of `lost` seconds may have made all that a case came to, or hidden what is graver."""
    return any(_may_be_made(each, lost) for each in found) and not sound(found, lost)


def _gravity(found: Iterable[Judgement]) -> int:
    weights = (1 + GRAVITY[each.level] for each in found if not isinstance(each, Unjudged))
    return max(weights, default=0)


def _may_be_made(each: Judgement, lost: float) -> bool:
    if each.slack is not None:
        return each.slack <= lost
    return isinstance(each, Unjudged) and each.error and lost > FORGIVEN


def spoilt(found: Sequence[Judgement]) -> list[Finding | Unjudged]:
    """What is said of a case of which nothing else was left, should it not be run again."""
    unjudged: list[Finding | Unjudged] = [each for each in found if isinstance(each, Unjudged)]
    return unjudged if len(unjudged) == len(found) else [Unjudged(_STALLED, error=True)]


_STALLED = Text(
    "not judged: Hookproof itself was held up whenever it ran this, and what it saw late may have been "
    "in time: give a longer --timeout, or a machine that is less busy",
    "未判定：每次執行時 Hookproof 自己都被耽擱，看似遲到的可能其實準時：請加長 --timeout，或換較不忙碌的機器",
)
