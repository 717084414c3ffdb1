"""A sender of the gallery, driven through its API against the mock receiver, and what arrives."""

from __future__ import annotations

import asyncio
import itertools
import json
import shlex
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from conformance.clock import Clock
from conformance.dialect import Secret
from conformance.exchange import Exchange
from conformance.gallery.senders.serve import Served
from conformance.message import build
from conformance.receiver.mock import Endpoint, Mock, Scripted, listening

SECRET = Secret(b"a lighthouse")
TYPES = ["1", "3", "34", "43", "47", "49", "10000", "10002"]
PATIENCE = 20.0

_NUMBERS = itertools.count(7_654_321_098_765_432_101)


def event(kind: str = "text", **fields: Any) -> dict[str, Any]:
    """A message event with an id of its own, beyond what a double holds."""
    return build(kind, str(next(_NUMBERS)), int(time.time())).fields() | fields


def header(attempt: Exchange, name: str) -> str:
    values = [
        value for key, value in attempt.request.headers if key.lower() == name.lower().encode()
    ]
    return values[0].decode() if values else ""


def message(attempt: Exchange) -> Any:
    return json.loads(attempt.request.body)


def waits(attempts: Sequence[Exchange]) -> list[float]:
    return [later.started - sooner.ended for sooner, later in itertools.pairwise(attempts)]


@dataclass
class Driven:
    """A sender and a mock receiver for it."""

    served: Served
    mock: Mock
    session: aiohttp.ClientSession

    async def call(self, method: str, name: str, body: object = None, **query: str) -> Any:
        """One call of the API: its answer with its status as `status`."""
        url = f"{self.served.api_url}/{name}"
        async with self.session.request(method, url, json=body, params=query) as answer:
            return await answer.json() | {"status": answer.status}

    async def configure(self, *script: int | Scripted, **fields: Any) -> Endpoint:
        """An endpoint with a script, configured."""
        hook = self.mock.endpoint([Scripted(s) if isinstance(s, int) else s for s in script])
        await self.settings(hook.url, **fields)
        return hook

    async def settings(self, url: str, **fields: Any) -> Any:
        plain = {"URL": url, "Secret": SECRET.decode(), "MessageTypes": TYPES, "RetryCount": 3}
        return await self.call("POST", "Config", plain | fields)

    async def emit(self, *events: dict[str, Any]) -> None:
        assert (await self.call("POST", "Emit", list(events)))["status"] == 202

    async def deliver(self, *script: int | Scripted, given: Any = None, **fields: Any) -> Any:
        """The attempts of one message, once it is settled."""
        hook = await self.configure(*script, **fields)
        given = given or event()
        await self.emit(given)
        await self.settled()
        return list(hook.arrivals)

    async def listed_as(self, state: str) -> int:
        """How many deliveries are in a state."""
        return len((await self.call("GET", "Deliveries", status=state))["data"])

    async def settled(self) -> None:
        """Wait until nothing is to be attempted any more."""
        async with asyncio.timeout(PATIENCE):
            while await self.listed_as("waiting"):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.02)

    async def kept(self, count: int) -> None:
        """Wait until the sender has written down that `count` messages were delivered."""
        async with asyncio.timeout(PATIENCE):
            while await self.listed_as("delivered") < count:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.02)

    async def arrived(self, hook: Endpoint, count: int = 1) -> list[Exchange]:
        """What came to `hook`, once there are `count` requests and the last is answered."""
        async with asyncio.timeout(PATIENCE):
            while len(hook.arrivals) < count or not hook.arrivals[count - 1].answer:
                await hook.changed(PATIENCE)
        return hook.arrivals

    async def restart(self) -> None:
        command = shlex.split(self.served.restart_command or "")
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == 0

    async def listed(self, url: str) -> dict[str, Any]:
        """The configuration of `url` as List shows it."""
        found = (await self.call("GET", "List"))["data"]
        return next((each for each in found if each["URL"] == url), {})


@asynccontextmanager
async def driven(served: Served, tls: Any = None) -> AsyncIterator[Driven]:
    async with listening(clock=Clock(), tls=tls) as mock, aiohttp.ClientSession() as session:
        yield Driven(served, mock, session)
