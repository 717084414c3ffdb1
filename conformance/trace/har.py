"""Exchanges as an HTTP Archive (HAR 1.2), which the network panel of a browser opens.

Written by hand: there is no library that is kept up for writing it, and the format is small. It goes
out piece by piece, so that a large trace is never held at once. Names with an underscore are the
format's own place for what it does not know.
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
_UNKNOWN = -1  # the format's word for a size that was not measured


def har(exchanges: Iterable[Exchange], epoch: float) -> Iterator[str]:
    """The archive in pieces; `epoch` is the Unix time at which the exchanges' clock stood at 0."""
    yield json.dumps({"log": {**_HEAD, "entries": []}})[: -len("]}}")]
    between = "\n"
    for each in exchanges:
        yield between + json.dumps(entry(each, epoch), ensure_ascii=False)
        between = ",\n"
    yield "\n]}}\n"


def entry(each: Exchange, epoch: float) -> dict[str, Any]:
    """One exchange as an entry. Without an answer its status is 0, as browsers have it."""
    begun = each.clock if each.clock is not None else epoch + each.started
    send, wait = (each.sent - each.started) * 1000, (each.ended - each.sent) * 1000
    made: dict[str, Any] = {
        "startedDateTime": datetime.fromtimestamp(begun, UTC).isoformat(timespec="microseconds"),
        "time": send + wait,
        "request": _request(each.request),
        "response": _response(each.answer),
        "cache": {},
        "timings": {"send": send, "wait": wait, "receive": 0},
        "comment": " ".join(filter(None, [each.role, each.name])),
        "_id": each.id,
        "_msgId": each.msg_id,
    }
    if each.fault is not None:
        made["_error"] = f"{each.fault} {each.detail}".strip()
    address = _address(each.peer)
    if address is not None and each.role not in (Role.ATTEMPT, Role.ELSEWHERE):  # the sender's
        made["serverIPAddress"] = address
    return made


def _address(peer: str | None) -> str | None:
    """The peer's address without its zone, if it is one."""
    try:
        return str(ipaddress.ip_address((peer or "").partition("%")[0]))
    except ValueError:
        return None


def _request(request: Request) -> dict[str, Any]:
    made: dict[str, Any] = {
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
        made["postData"] = {
            "mimeType": _value(request.headers, b"content-type"),
            **_text(request.body),
        }
    return made


def _response(answer: Answer | None) -> dict[str, Any]:
    if answer is None:
        answer = Answer(0, (), b"")
    return {
        "status": answer.status,
        "statusText": _phrase(answer.status),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(answer.headers),
        "content": {
            "size": len(answer.body),
            "mimeType": _value(answer.headers, b"content-type"),
            **_text(answer.body),
        },
        "redirectURL": _value(answer.headers, b"location"),
        "headersSize": _UNKNOWN,
        "bodySize": len(answer.body),
    }


def _text(body: bytes) -> dict[str, str]:
    """Text as it is, and what is none in Base64."""
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(body).decode(), "encoding": "base64"}


def _headers(headers: Headers) -> list[dict[str, str]]:
    return [{"name": _shown(name), "value": _shown(value)} for name, value in headers]


def _value(headers: Headers, wanted: bytes) -> str:
    return next((_shown(value) for name, value in headers if name.lower() == wanted), "")


def _shown(part: bytes) -> str:
    return part.decode("utf-8", "backslashreplace")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
