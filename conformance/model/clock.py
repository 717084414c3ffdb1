"""Time as a value that is handed in, so that tests can turn it.

Nothing below the I/O layer reads the time by itself.
"""

import asyncio
import time


class Clock:
    """The machine's own clock. A test hands in a subclass whose time it turns."""

    def now(self) -> float:
        """Seconds since the Unix epoch: what stands in timestamps."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that never steps: what durations are measured with."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await asyncio.sleep(seconds)
