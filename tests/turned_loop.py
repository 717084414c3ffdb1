"""An event loop of which the clock is turned: when all wait for a time, it is that time at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Does not wait for a time to come, but turns the clock to it; files and sockets it looks at."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(
            None if timeout is None else 0
        )
        if not ready and timeout:
            self.now += timeout
        return ready


class TurnedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run_turned(main: Coroutine[Any, Any, Any]) -> Any:
    """Run `main`, which waits for nothing but times and its own tasks."""
    with asyncio.Runner(loop_factory=TurnedLoop) as runner:
        return runner.run(main)
