"""Lets a thread that blocks have coroutines run on the event loop, and wait for their results.

Knows nothing of what the coroutines do.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class PortalClosed(KeyboardInterrupt):
    """Nobody waits for the thread's work any more. A KeyboardInterrupt passes through Hypothesis, which
    takes an Exception for a failing example."""


class Portal:
    """Runs one blocking function on a thread beside the loop. The function uses `call` for whatever
    needs the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: Future[Any] | None = None
        self._fault: Exception | None = None
        self._closed = False
        # Held while a call is registered, so that closing the portal finds every call.
        self._lock = threading.Lock()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; to be called from the thread.

        Raises PortalClosed when the run is over, and when the work failed: a fault of the suite itself
        is not a failing example. `run` raises that fault.
        """
        with self._lock:
            if self._closed:
                work.close()
                raise PortalClosed
            pending = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._pending = pending
        try:
            return pending.result()
        except CancelledError:
            raise PortalClosed from None
        except Exception as fault:
            self._fault = fault
            raise PortalClosed from fault

    async def run(self, function: Callable[[], T]) -> T:
        """The result of `function`, which runs on a thread. When this is cancelled, the pending call is
        cancelled too, and the thread has ended before this returns."""
        done: asyncio.Future[T] = self._loop.create_future()

        def thread() -> None:
            try:
                end = partial(done.set_result, function())
            except BaseException as fault:
                end = partial(done.set_exception, self._storable(fault))
            self._loop.call_soon_threadsafe(end)

        threading.Thread(target=thread, name="hookproof fuzz", daemon=True).start()
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            with self._lock:
                self._closed = True
            if self._pending is not None:
                self._pending.cancel()
            await asyncio.wait([done])
            if not done.cancelled():
                done.exception()  # retrieved, so that asyncio does not log it
            raise

    def _storable(self, fault: BaseException) -> Exception:
        """The fault in a form that a future can hold: a KeyboardInterrupt would end the loop."""
        cause = self._fault or fault
        return cause if isinstance(cause, Exception) else RuntimeError(repr(cause))
