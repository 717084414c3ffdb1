"""Reads the answers of a configuration API leniently: names in any case, RetryCount or retry_count, with or
without an envelope."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from conformance.model.exchange import Exchange

Fields = dict[str, Any]

DEEPEST = 50
"""The levels of an answer that are read."""
LONGEST = 200
"""The most characters of its message that are quoted."""
ENVELOPES = ("data", "result")
FLAGS = ("success", "ok")
CODES = ("code", "ret", "errcode")
WORDS = ("message", "msg", "text", "errmsg", "error")
"""Names under which services report the result of a call."""
FINE = {"0", "200", "ok", "success", "成功", "操作成功"}
FAILED = {"error", "fail", "failed", "failure"}


def lowered(value: Any, deepest: int = DEEPEST) -> Any:
    """`value` with the keys of every object in lower case and without underscores; what is below level
    `deepest` is None."""
    match value:
        case dict() | list() if deepest == 0:
            return None
        case dict():
            return {_plain(key): lowered(inner, deepest - 1) for key, inner in value.items()}
        case list():
            return [lowered(inner, deepest - 1) for inner in value]
        case _:
            return value


def _plain(key: str) -> str:
    return key.lower().replace("_", "")


def _body(exchange: Exchange) -> Any:
    """The answer's JSON, with keys in lower case; None without JSON."""
    if exchange.answer is None:
        return None
    try:
        return lowered(json.loads(exchange.answer.body))
    except (ValueError, RecursionError):
        return None


def succeeded(exchange: Exchange) -> bool:
    """Whether a call succeeded: its status is 2xx, and nothing in the body says otherwise."""
    if exchange.status is None or not 200 <= exchange.status < 300:
        return False
    body, inner = _body(exchange), data(exchange)
    if not isinstance(body, dict):
        return True
    objects = [value for value in (body, inner) if isinstance(value, dict)]
    flags = [value.get(name) for value in objects for name in FLAGS]
    if False in flags or body.get("error") or _word(body.get("status")) in FAILED:
        return False
    codes = [body[name] for name in CODES if body.get(name) is not None]
    # Some services number their codes from 1, and say in words what they mean.
    return not codes or _word(codes[0]) in FINE or _word(_message_in(body)) in FINE


def _word(value: object) -> str:
    return str(value).strip().lower()


def data(exchange: Exchange) -> Any:
    """The answer without its envelope, keys in lower case: its `data` or `result`, or all of it."""
    body = _body(exchange)
    if not isinstance(body, dict):
        return body
    inner = (body.get(name) for name in ENVELOPES)
    return next((value for value in inner if isinstance(value, dict | list)), body)


def configurations(exchange: Exchange) -> list[Fields]:
    """The configurations in an answer of List: objects with a URL, at any level."""
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


def configuration_of(exchange: Exchange, url: str) -> Fields | None:
    """The configuration of `url` in an answer of List, or None."""
    return next((entry for entry in configurations(exchange) if entry["url"] == url), None)


def ident_of(exchange: Exchange) -> object:
    """The ID in an answer of Config, or None."""
    inner = data(exchange)
    return inner.get("id") if isinstance(inner, dict) else None


def message(exchange: Exchange) -> str:
    """What an answer says in words: its message, or else its body; cut to LONGEST characters."""
    text = _message_in(data(exchange)) or _message_in(_body(exchange))
    if not text and exchange.answer is not None:
        text = exchange.answer.body.decode("utf-8", "replace")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _message_in(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    words = (value.get(name) for name in WORDS)
    return next((word for word in words if isinstance(word, str) and word), "")
