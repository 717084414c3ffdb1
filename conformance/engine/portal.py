"""A thread that blocks, and the loop on which what it asks for is carried out.

Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Gone(KeyboardInterrupt):
    """Nobody waits for the thread's work any more."""


class Bridge:
    """Runs one blocking function beside the loop; it calls `ask` for whatever takes the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked: Future[Any] | None = None
        self._fault: Exception | None = None
        self._closed = False
        self._turn = threading.Lock()  # what is asked for is known before the run can be closed

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, from within the thread. Raises Gone when the run is over, or when the
        work failed: a fault of the suite's own is no failing example, and `run` raises it."""
        with self._turn:
            if self._closed:
                work.close()
                raise Gone
            asked = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._asked = asked
        try:
            return asked.result()
        except CancelledError:
            raise Gone from None
        except Exception as fault:
            self._fault = fault
            raise Gone from fault

    async def run(self, function: Callable[[], T]) -> T:
        """The result of `function`, run on a thread. When the waiting is cancelled, what was asked for
        is cancelled too, and the thread has ended before this returns."""
        done: asyncio.Future[T] = self._loop.create_future()

        def thread() -> None:
            try:
                end = partial(done.set_result, function())
            except BaseException as fault:
                end = partial(done.set_exception, self._said(fault))
            self._loop.call_soon_threadsafe(end)

        threading.Thread(target=thread, name="hookproof fuzz", daemon=True).start()
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            with self._turn:
                self._closed = True
            if self._asked is not None:
                self._asked.cancel()
            await asyncio.wait([done])
            if not done.cancelled():
                done.exception()  # looked at, so that nobody is told of it
            raise

    def _said(self, fault: BaseException) -> Exception:
        """The fault as a future can hold it: a KeyboardInterrupt would end the loop."""
        said = self._fault or fault
        return said if isinstance(said, Exception) else RuntimeError(repr(said))
