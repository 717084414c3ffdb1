"""Time as an argument, so that tests can control it.

Nothing below the I/O layer reads the time itself.
"""

import asyncio
import time


class Clock:
    """The machine's own clock. Tests pass a subclass whose time they control."""

    def now(self) -> float:
        """Seconds since the Unix epoch, as in timestamps."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that never steps, to measure durations with."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Waits for `seconds`."""
        await asyncio.sleep(seconds)
