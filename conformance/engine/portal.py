"""Lets a blocking function have coroutines run on the event loop, and wait for their results.

The function runs Hypothesis, so it holds TURN, except while it waits. Knows nothing of what the
coroutines do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from conformance.fuzz.turn import TURN

T = TypeVar("T")


class Portal:
    """Runs one blocking function on a thread beside the loop. The function uses `call` for whatever
    needs the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # Both are touched on the loop's thread alone.
        self._pending: asyncio.Task[Any] | None = None
        self._closed = False

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, or what it raises; to be called by the function. Raises CancelledError (of
        concurrent.futures, which is an Exception) once the run is cancelled."""
        TURN.release()
        try:
            return asyncio.run_coroutine_threadsafe(self._carry_out(work), self._loop).result()
        finally:
            TURN.acquire()

    async def run(self, function: Callable[[], T]) -> T:
        """The result of `function`, which runs on a thread. When this is cancelled, the pending call is
        cancelled too, and the function has ended before this returns."""
        # A thread of its own: the loop's pool also looks up host names, for which the calls may wait.
        pool = ThreadPoolExecutor(1, thread_name_prefix="hookproof fuzz")
        running = self._loop.run_in_executor(pool, _in_turn, function)
        pool.shutdown(wait=False)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._closed = True
            if self._pending is not None:
                self._pending.cancel()
            await asyncio.wait([running])
            running.exception()  # retrieved, so that asyncio does not log it
            raise

    async def _carry_out(self, work: Coroutine[Any, Any, T]) -> T:
        self._pending = asyncio.current_task()
        if self._closed:
            work.close()
            raise asyncio.CancelledError
        return await work


def _in_turn(function: Callable[[], T]) -> T:
    with TURN:
        return function()
