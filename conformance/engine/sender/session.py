"""One run's connection to its sender: what the run knows of it, the calls of its configuration API, and how
long it waits for deliveries.

Knows nothing of rules and judgements.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from conformance.checks.sender.profile import SenderProfile
from conformance.engine.exchanges import USER_AGENT, Place, exchange_of
from conformance.engine.stalls import Stalls
from conformance.model.clock import Clock
from conformance.model.exchange import Exchange, Headers, Request, Role
from conformance.options.secrets import MASK, other_secret
from conformance.options.sender import SenderOptions
from conformance.protocol.signing import Signer
from conformance.receiver.mock import Mock, MockEndpoint
from conformance.trace import Trace
from conformance.wire.reply import Reply
from conformance.wire.transport import ORDINARY, SendRequest

BEFORE = Place()
"""The place of exchanges that belong to no case."""

BATCH_SECONDS = 0.01
"""Seconds in which arrivals are gathered before they are examined."""

METHODS = {"Config": "POST", "List": "GET", "Test": "GET", "Update": "PUT", "Delete": "DELETE"}
"""API call → HTTP method. The protocol defines them, except for Delete, which some senders add."""

Settled = Callable[[], float | None]
"""When (monotonic) to stop waiting; None when everything has arrived."""


class SenderSession:
    """What all parts of one run share.

    `send` is the transport to the API. `mocks` maps the way in which an endpoint is reached to its mock
    receiver: "" for the default one, "http", "https", "untrusted". Preflight replaces `profile` as it
    learns; afterwards only `deletes` in it changes. `stalls` measures when this process itself was
    stalled.
    """

    def __init__(
        self,
        options: SenderOptions,
        send: SendRequest,
        mocks: Mapping[str, Mock],
        clock: Clock,
        stalls: Stalls,
    ) -> None:
        self.options = options
        self.mocks = dict(mocks)
        self.profile = SenderProfile(
            requested=Signer(options.dialect, options.secret),
            other_secret=other_secret(options.secret),
        )
        self.clock = clock
        self.stalls = stalls
        self.trace = Trace()
        self.send_options = ORDINARY
        self._send = send

    async def send(self, request: Request) -> Reply:
        """Send a request to the sender's API. Records nothing."""
        return await self._send(request, self.send_options)

    async def call(
        self, name: str, place: Place, fields: Mapping[str, Any] | None = None, **query: object
    ) -> Exchange:
        """Call the API: one of METHODS, with `fields` as the JSON body. Records the exchange without the
        secret and the API key."""
        recorded_query = {k: str(v) for k, v in query.items() if v is not None}
        key = self.options.api_key
        secret = {"key": key.decode("utf-8", "replace")} if key is not None else {}
        url = f"{self.options.api_url.rstrip('/')}/{name}"
        headers: Headers = ((b"User-Agent", USER_AGENT.encode()),)
        body = recorded_body = b""
        if fields is not None:
            headers += ((b"Content-Type", b"application/json"),)
            body = json.dumps(fields, ensure_ascii=False).encode()
            masked = {"Secret": MASK.decode()} if fields.get("Secret") else {}
            recorded_body = json.dumps({**fields, **masked}, ensure_ascii=False).encode()
        method = METHODS[name]
        reply = await self.send(
            Request(method, with_query(url, {**recorded_query, **secret}), headers, body)
        )
        request = Request(method, with_query(url, recorded_query), headers, recorded_body)
        return self.trace.add(exchange_of(request, reply, Role.API, place))

    async def until(self, endpoint: MockEndpoint, settled: Settled) -> None:
        """Wait for arrivals at `endpoint` until `settled` says that they suffice, or its time is over.
        Seconds for which this process was stalled meanwhile do not count."""
        begin = self.clock.monotonic()
        while (until := settled()) is not None:
            left = until + self.stalls.lost(begin) - self.clock.monotonic()
            if left <= 0:
                return
            if await endpoint.changed(left):
                await self.clock.sleep(BATCH_SECONDS)


def with_query(url: str, query: Mapping[str, str]) -> str:
    """`url` with more parameters in its query."""
    separator = "&" if urlsplit(url).query else "?"
    return f"{url}{separator}{urlencode(query, quote_via=quote)}" if query else url
