"""Reading the answers of a configuration API, generously: any case, RetryCount or retry_count, with an
envelope or without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from conformance.model.exchange import Exchange

Fields = dict[str, Any]

DEEPEST = 50
"""Levels to which an answer is looked into."""
LONGEST = 200
"""Characters of what it says that are told."""
ENVELOPES = ("data", "result")
FLAGS = ("success", "ok")
CODES = ("code", "ret", "errcode")
WORDS = ("message", "msg", "text", "errmsg", "error")
"""Names under which services say how a call went."""
FINE = {"0", "200", "ok", "success", "成功", "操作成功"}
FAILED = {"error", "fail", "failed", "failure"}


def lowered(value: Any, deepest: int = DEEPEST) -> Any:
    """`value` with every object's keys in lower case and without underscores, and nothing below the
    `deepest` level."""
    match value:
        case dict() | list() if deepest == 0:
            return None
        case dict():
            return {_plain(key): lowered(each, deepest - 1) for key, each in value.items()}
        case list():
            return [lowered(each, deepest - 1) for each in value]
        case _:
            return value


def _plain(key: str) -> str:
    return key.lower().replace("_", "")


def _body(exchange: Exchange) -> Any:
    """The answer's JSON, keys in lower case; None when it has none."""
    if exchange.answer is None:
        return None
    try:
        return lowered(json.loads(exchange.answer.body))
    except (ValueError, RecursionError):
        return None


def succeeded(exchange: Exchange) -> bool:
    """Whether a call succeeded: 2xx, and nothing in the body says otherwise."""
    if exchange.status is None or not 200 <= exchange.status < 300:
        return False
    body, inner = _body(exchange), data(exchange)
    if not isinstance(body, dict):
        return True
    said = [each.get(name) for each in (body, inner) if isinstance(each, dict) for name in FLAGS]
    if False in said or body.get("error") or _word(body.get("status")) in FAILED:
        return False
    codes = [body[name] for name in CODES if body.get(name) is not None]
    # Some count their codes from 1, and say in words what they mean.
    return not codes or _word(codes[0]) in FINE or _word(_said(body)) in FINE


def _word(value: object) -> str:
    return str(value).strip().lower()


def data(exchange: Exchange) -> Any:
    """What the answer is about, keys in lower case: its `data` or `result`, or all of it."""
    body = _body(exchange)
    if not isinstance(body, dict):
        return body
    inner = (body.get(name) for name in ENVELOPES)
    return next((each for each in inner if isinstance(each, dict | list)), body)


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
    said = _said(data(exchange)) or _said(_body(exchange))
    if not said and exchange.answer is not None:
        said = exchange.answer.body.decode("utf-8", "replace")
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"


def _said(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    words = (value.get(name) for name in WORDS)
    return next((each for each in words if isinstance(each, str) and each), "")
