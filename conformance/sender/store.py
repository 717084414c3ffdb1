"""What the sender must not forget, in one SQLite file: the configurations and the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from conformance.sender import queue, registry
from conformance.sender.behaviour import CORRECT, SenderBehaviour
from conformance.sender.event import MessageEvent as Message
from conformance.sender.queue import Queue
from conformance.sender.registry import Registry
from conformance.storage.commits import Commits, NotStoredError
from conformance.storage.database import Tables

_TABLES = Tables(
    application=0x48505353,  # "HPSS"
    version=1,
    name="a queue of Hookproof's sender",
    script=registry.SCRIPT + queue.SCRIPT,
)


class Store:
    """The store in the file `path`, or in memory for ":memory:". Use as an async context manager.

    Entering raises InputError for a file that is another program's, that another sender has open or
    that cannot be written, and leaves such a file as it is. Leaving commits what has been handed in.
    """

    def __init__(self, path: str, behaviour: SenderBehaviour = CORRECT) -> None:
        self._commits = Commits(path, _TABLES)
        self._practice = behaviour

    async def __aenter__(self) -> Store:
        await self._commits.__aenter__()
        self.registry = Registry(self._commits)
        self.queue = Queue(self._commits)
        self.registry.load()
        self._deleted = asyncio.Event()
        self._purger = asyncio.create_task(self._purge(), name="purger")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._purger.cancel()
        with suppress(asyncio.CancelledError):
            await self._purger
        await self._commits.__aexit__(kind, fault, at)

    async def accept(self, messages: Sequence[Message], now: float) -> set[int]:
        """Queue each message for every configuration that wants it; the configurations that got
        something, once it is committed. Raises NotStoredError."""
        configurations, recipients = self.registry.configurations, self._practice.recipients
        wanted = [(each, recipients(configurations, each.fields)) for each in messages]
        due = self._practice.first_attempt(now)
        # What nobody wants is not kept: it may be given again when somebody does.
        return await self.queue.add([each for each in wanted if each[1]], due)

    async def delete(self, ident: int) -> None:
        """Delete a configuration. Its deliveries are forgotten bit by bit, after a restart too."""
        await self.registry.delete(ident)
        self._deleted.set()

    async def _purge(self) -> None:
        while True:
            for ident in list(self.registry.deleted):
                # A file that cannot be written now is tried again at the next deletion or start.
                with suppress(NotStoredError):
                    await self.queue.purge(ident)
                    await self.registry.forget(ident)
            self._deleted.clear()
            await self._deleted.wait()
