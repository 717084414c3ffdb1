"""Calls the configuration API of the sender under test, and records the calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from conformance.engine.exchanges import USER_AGENT, Place, exchange_of
from conformance.engine.sender.session import SenderSession
from conformance.model.exchange import Exchange, Headers, Request, Role
from conformance.options.secrets import MASK

METHODS = {"Config": "POST", "List": "GET", "Test": "GET", "Update": "PUT", "Delete": "DELETE"}
"""API call → HTTP method. The protocol defines them, except for Delete, which some senders add."""


class ApiClient:
    """The client of one sender's API."""

    def __init__(self, session: SenderSession) -> None:
        self._session = session

    async def call(
        self, name: str, place: Place, fields: Mapping[str, Any] | None = None, **query: object
    ) -> Exchange:
        """Call the API: one of METHODS, with `fields` as the JSON body. Records the exchange without the
        secret and the API key."""
        recorded_query = {k: str(v) for k, v in query.items() if v is not None}
        session = self._session
        key = session.options.api_key
        secret = {"key": key.decode("utf-8", "replace")} if key is not None else {}
        url = f"{session.options.api_url.rstrip('/')}/{name}"
        headers: Headers = ((b"User-Agent", USER_AGENT.encode()),)
        body = recorded_body = b""
        if fields is not None:
            headers += ((b"Content-Type", b"application/json"),)
            body = json.dumps(fields, ensure_ascii=False).encode()
            masked = {"Secret": MASK.decode()} if fields.get("Secret") else {}
            recorded_body = json.dumps({**fields, **masked}, ensure_ascii=False).encode()
        method = METHODS[name]
        reply = await session.send(
            Request(method, with_query(url, {**recorded_query, **secret}), headers, body)
        )
        request = Request(method, with_query(url, recorded_query), headers, recorded_body)
        return session.trace.add(exchange_of(request, reply, Role.API, place))


def with_query(url: str, query: Mapping[str, str]) -> str:
    """`url` with more parameters in its query."""
    separator = "&" if urlsplit(url).query else "?"
    return f"{url}{separator}{urlencode(query, quote_via=quote)}" if query else url
