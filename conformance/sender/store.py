"""The sender's durable state in one SQLite file: its configurations and its queue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from conformance.model.sentence import Sentence
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
    name=Sentence("a queue of Hookproof's sender"),
    script=registry.SCRIPT + queue.SCRIPT,
)


class Store:
    """The store in the file `path`, or in memory for ":memory:". Use as an async context manager.

    Entering raises InputError for a file that belongs to another program, is open in another sender,
    or cannot be written, and leaves that file as it is. Leaving commits what has been submitted.
    """

    def __init__(self, path: str, behaviour: SenderBehaviour = CORRECT) -> None:
        self._commits = Commits(path, _TABLES)
        self._behaviour = behaviour

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
        """Queue each message for every configuration whose filters accept it. Returns the
        configurations with new deliveries, once they are committed. Raises NotStoredError."""
        configurations, recipients = self.registry.configurations, self._behaviour.recipients
        pairs = [(message, recipients(configurations, message.fields)) for message in messages]
        due = self._behaviour.first_attempt(now)
        # A message without recipients is not stored, so that it can be emitted again later.
        return await self.queue.add([pair for pair in pairs if pair[1]], due)

    async def delete(self, ident: int) -> None:
        """Delete a configuration. Its deliveries are purged in the background, also after a restart."""
        await self.registry.delete(ident)
        self._deleted.set()

    async def _purge(self) -> None:
        while True:
            for ident in list(self.registry.deleted):
                # If the file cannot be written now, the next deletion or start tries again.
                with suppress(NotStoredError):
                    await self.queue.purge(ident)
                    await self.registry.forget(ident)
            self._deleted.clear()
            await self._deleted.wait()
