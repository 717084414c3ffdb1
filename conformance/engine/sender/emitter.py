"""Hands message events to the sender under test, and records that."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from conformance.engine.command import run_command
from conformance.engine.exchanges import USER_AGENT, Place, exchange_of
from conformance.engine.sender.session import SenderSession, with_query
from conformance.model.exchange import Answer, Exchange, Fault, Request, Role
from conformance.protocol.message import build, mark_in, marked
from conformance.scenario.sender import Emit
from conformance.wire.reply import Reply

SHORT_ID, LONG_ID = (10**14, 9 * 10**14), (10**18, 9 * 10**18)
"""Ranges of ids. A double holds a short id exactly; only the scenario about rounding uses a long one."""

ID_STEP = 11
"""Distance between ids."""


@dataclass(frozen=True, slots=True)
class EmittedMessage:
    """A message event as it is handed to the sender: the guide's body without `timestamp`."""

    msg_id: str
    fields: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The event as it is sent."""
        return json.dumps(self.fields, ensure_ascii=False, separators=(",", ":")).encode()


class Emitter:
    """Makes events with fresh ids, and emits them: by --emit-url or by --emit-command."""

    def __init__(self, session: SenderSession) -> None:
        self._session = session
        self._emitted_ids: set[str | None] = set()
        self._place = asyncio.Semaphore(session.options.concurrency)  # held by each command
        source = random.SystemRandom()
        self._next_id = source.randrange(*SHORT_ID)
        self._next_long = source.randrange(*LONG_ID)

    def events(self, emit: Emit, kind: str) -> list[EmittedMessage]:
        """The events that `emit` describes, with fresh ids. `kind` stands for "any" message."""
        events = []
        for _ in range(emit.messages):
            msg_id = self._fresh_long_id() if emit.long_id else self._fresh_id()
            event_kind = kind if emit.message == "any" else emit.message
            fields = build(event_kind, msg_id, int(self._session.clock.now())).fields()
            del fields["timestamp"]
            fields["content"] = marked(event_kind, msg_id)
            if emit.content_size is not None:
                fields["content"] = _resize(fields["content"], emit.content_size)
            events.append(EmittedMessage(msg_id, {**fields, **emit.fields}))
        return events

    def events_with(self, contents: Iterable[tuple[int, Any]]) -> list[EmittedMessage]:
        """Events with these message types and contents, and fresh ids."""
        events = []
        for msg_type, content in contents:
            msg_id = self._fresh_id()
            fields = build("text", msg_id, int(self._session.clock.now())).fields()
            del fields["timestamp"]
            fields |= {"msgType": msg_type, "content": content}
            events.append(EmittedMessage(msg_id, fields))
        return events

    def _fresh_id(self) -> str:
        """A msgId that no run has used before."""
        self._next_id += ID_STEP
        return self._noted(str(self._next_id))

    def _fresh_long_id(self) -> str:
        self._next_long += ID_STEP
        return self._noted(str(self._next_long))

    def _noted(self, msg_id: str) -> str:
        self._emitted_ids.add(msg_id)
        return msg_id

    def was_emitted(self, arrival: Exchange) -> bool:
        """Whether an arrival delivers an emitted message, rather than a message of Test."""
        return arrival.msg_id in self._emitted_ids or mark_in(arrival.request.body) is not None

    async def emit(self, event: EmittedMessage, place: Place) -> Exchange:
        """Hand one event to the sender, and record the exchange."""
        reply = await self._hand_over(event)
        url = self._session.options.emit_url or "--emit-command"
        recorded = Request("POST", url, (), event.body)
        return self._session.trace.add(exchange_of(recorded, reply, Role.EMIT, place, event.msg_id))

    async def _hand_over(self, event: EmittedMessage) -> Reply:
        options = self._session.options
        if options.emit_url is None:
            assert options.emit_command is not None  # noqa: S101 - one of the two is set
            return await self._run_command(options.emit_command, event.body)
        url, key = options.emit_url, options.api_key
        if key is not None and urlsplit(url).netloc == urlsplit(options.api_url).netloc:
            url = with_query(url, {"key": key.decode("utf-8", "replace")})
        headers = (
            (b"User-Agent", USER_AGENT.encode()),
            (b"Content-Type", b"application/json"),
        )
        return await self._session.send(Request("POST", url, headers, event.body))

    async def _run_command(self, command: str, body: bytes) -> Reply:
        started = self._session.clock.monotonic()
        async with self._place:
            status, output = await run_command(command, body)
        now = self._session.clock.monotonic()
        detail = f"the command ended with {status}"
        if status == 0:
            return Reply(Answer(200, (), output), None, detail, started, now, now)
        return Reply(Answer(500, (), output), Fault.CLOSED, detail, started, now, now)


def accepted(emitted: Exchange) -> bool:
    """Whether the sender accepted an event: with a 2xx, or a command that ended with 0."""
    return emitted.status is not None and 200 <= emitted.status < 300


def _resize(content: object, size: int) -> object:
    """A text of `size` characters that begins as `content` does."""
    text = content if isinstance(content, str) else ""
    return (text + "長文" * size)[:size] if not _is_base64(text) else "A" * (size + -size % 4)


def _is_base64(text: str) -> bool:
    return bool(text) and " " not in text and ":" not in text
