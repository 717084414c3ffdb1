"""Reading the answers of a configuration API, generously: any case, with an envelope or without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from conformance.exchange import Exchange

Fields = dict[str, Any]


def parsed(exchange: Exchange) -> Any:
    """The answer's JSON; None when it has none."""
    if exchange.answer is None:
        return None
    try:
        return json.loads(exchange.answer.body)
    except (ValueError, RecursionError):
        return None


def lowered(value: Any) -> Any:
    """`value` with every object's keys in lower case."""
    match value:
        case dict():
            return {str(key).lower(): lowered(inner) for key, inner in value.items()}
        case list():
            return [lowered(inner) for inner in value]
        case _:
            return value


def succeeded(exchange: Exchange) -> bool:
    """Whether a call succeeded: 2xx, and nothing in the body says otherwise."""
    if exchange.status is None or not 200 <= exchange.status < 300:
        return False
    body, inner = lowered(parsed(exchange)), data(exchange)
    if not isinstance(body, dict):
        return True
    said = [each.get("success") for each in (body, inner) if isinstance(each, dict)]
    return body.get("code", 0) in (0, 200, "0", "200", None) and False not in said


def data(exchange: Exchange) -> Any:
    """What the answer is about, keys in lower case: its `data`, or all of it."""
    body = lowered(parsed(exchange))
    return body["data"] if isinstance(body, dict) and body.get("data") is not None else body


def configurations(exchange: Exchange) -> list[Fields]:
    """The configurations in an answer of List: objects that bear a URL, wherever they stand."""
    return list(_with_url(data(exchange)))


def _with_url(value: Any) -> Iterator[Fields]:
    match value:
        case {"url": str()}:
            yield value
        case dict():
            for inner in value.values():
                yield from _with_url(inner)
        case list():
            for inner in value:
                yield from _with_url(inner)


def found(exchange: Exchange, url: str) -> Fields | None:
    """The configuration of `url` in an answer of List, or None."""
    return next((each for each in configurations(exchange) if each["url"] == url), None)


def ident_of(exchange: Exchange) -> object:
    """The ID in an answer of Config, or None."""
    inner = data(exchange)
    return inner.get("id") if isinstance(inner, dict) else None


def message(exchange: Exchange) -> str:
    """What an answer says in words: its message, or the start of its body."""
    body = lowered(parsed(exchange))
    inner = data(exchange)
    for place in (inner, body):
        if isinstance(place, dict) and isinstance(place.get("message"), str):
            return str(place["message"])[:200]
    return "" if exchange.answer is None else exchange.answer.body[:200].decode("utf-8", "replace")
