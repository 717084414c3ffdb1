"""Exchanges as an HTTP Archive (HAR 1.2), which a browser's network panel can open.

Written by hand: no maintained library writes the format, and it is small. The output is streamed, so
that a large trace is never in memory at once. The format reserves names with an underscore for
custom fields.
"""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from conformance import __version__
from conformance.model.exchange import Answer, Exchange, Headers, Request, Role

_HEAD = {"version": "1.2", "creator": {"name": "Hookproof", "version": __version__}}
_UNKNOWN = -1  # the format's value for a size that was not measured


def har(exchanges: Iterable[Exchange], epoch: float) -> Iterator[str]:
    """The archive in pieces; `epoch` is the Unix time at which the exchanges' clock was 0."""
    yield json.dumps({"log": {**_HEAD, "entries": []}})[: -len("]}}")]
    separator = "\n"
    for exchange in exchanges:
        yield separator + json.dumps(entry(exchange, epoch), ensure_ascii=False)
        separator = ",\n"
    yield "\n]}}\n"


def entry(exchange: Exchange, epoch: float) -> dict[str, Any]:
    """One exchange as an entry. Without an answer its status is 0, as in browsers."""
    start = exchange.clock if exchange.clock is not None else epoch + exchange.started
    send, wait = (exchange.sent - exchange.started) * 1000, (exchange.ended - exchange.sent) * 1000
    fields: dict[str, Any] = {
        "startedDateTime": datetime.fromtimestamp(start, UTC).isoformat(timespec="microseconds"),
        "time": send + wait,
        "request": _request(exchange.request),
        "response": _response(exchange.answer),
        "cache": {},
        "timings": {"send": send, "wait": wait, "receive": 0},
        "comment": " ".join(filter(None, [exchange.role, exchange.name])),
        "_id": exchange.id,
        "_msgId": exchange.msg_id,
    }
    if exchange.raw is not None and not exchange.request.method:
        fields["request"] |= {"bodySize": len(exchange.raw), "postData": _content(exchange.raw, ())}
    if exchange.fault is not None:
        fields["_error"] = f"{exchange.fault} {exchange.detail}".strip()
    address = _address(exchange.peer)
    if address is not None and exchange.role not in (Role.ATTEMPT, Role.ELSEWHERE):  # the sender's
        fields["serverIPAddress"] = address
    return fields


def _address(peer: str | None) -> str | None:
    """The peer's address without its zone, if it is one."""
    try:
        return str(ipaddress.ip_address((peer or "").partition("%")[0]))
    except ValueError:
        return None


def _request(request: Request) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "method": request.method,
        "url": request.url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(request.headers),
        "queryString": [
            {"name": name, "value": value}
            for name, value in parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
        ],
        "headersSize": _UNKNOWN,
        "bodySize": len(request.body),
    }
    if request.body:
        fields["postData"] = _content(request.body, request.headers)
    return fields


def _response(answer: Answer | None) -> dict[str, Any]:
    if answer is None:
        answer = Answer(0, (), b"")
    return {
        "status": answer.status,
        "statusText": _phrase(answer.status),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(answer.headers),
        "content": {"size": len(answer.body), **_content(answer.body, answer.headers)},
        "redirectURL": _value(answer.headers, b"location"),
        "headersSize": _UNKNOWN,
        "bodySize": len(answer.body),
    }


def _content(body: bytes, headers: Headers) -> dict[str, str]:
    """Text unchanged; other bytes in Base64."""
    kind = _value(headers, b"content-type")
    try:
        return {"mimeType": kind, "text": body.decode()}
    except UnicodeDecodeError:
        text = base64.b64encode(body).decode()
        return {"mimeType": kind, "text": text, "encoding": "base64"}


def _headers(headers: Headers) -> list[dict[str, str]]:
    return [{"name": _decode(name), "value": _decode(value)} for name, value in headers]


def _value(headers: Headers, lower_name: bytes) -> str:
    return next((_decode(value) for name, value in headers if name.lower() == lower_name), "")


def _decode(part: bytes) -> str:
    return part.decode("utf-8", "backslashreplace")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
