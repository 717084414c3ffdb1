"""A capture of deliveries that somebody's receiver got, one JSON object a line, as exchanges.

`schemas/capture.schema.json` describes a line. The bytes of a body are what a signature is over: a
capture that kept the parsed message alone cannot be judged, and is refused.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from conformance.model.errors import InputError
from conformance.model.exchange import (
    Answer,
    Exchange,
    Fault,
    Headers,
    Masked,
    Request,
    Role,
    Transport,
)
from conformance.protocol.validation import problems

_BLANK = b" \t\r\n"


def is_capture(path: Path) -> bool:
    """Whether a file begins as JSON Lines do. Raises InputError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return (
                next((line for line in file if line.strip(_BLANK)), b"").lstrip(_BLANK)[:1] == b"{"
            )
    except OSError as fault:
        raise InputError(f"{path} cannot be read: {fault.strerror}") from None


def read(path: Path) -> Iterator[Exchange]:
    """The deliveries in their order, read line by line; their clock stands at 0 in 1970, and one of
    which no time is known stands where the one before it does. Raises InputError, with file and
    line, for the first one that is none."""
    try:
        with path.open("rb") as file:
            number, before = 0, 0.0
            for place, line in enumerate(file, 1):
                if line.strip(_BLANK):
                    number += 1
                    each = _exchange(number, line, f"{path}:{place}", before)
                    before = each.started
                    yield each
    except OSError as fault:
        raise InputError(f"{path} cannot be read: {fault.strerror}") from None


def _exchange(number: int, line: bytes, place: str, before: float) -> Exchange:
    try:
        data = json.loads(line.decode())
    except (ValueError, RecursionError) as fault:
        raise InputError(f"{place}: not a line of JSON: {fault}") from None
    # The schema words what is wrong; it is asked only then, since it takes a while.
    try:
        return _delivery(number, data, before)
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError, OSError) as fault:
        if isinstance(data, dict) and "headers" not in data:
            raise InputError(
                f"{place}: no `headers`, so it is no capture (docs/traces.md tells how one is written); "
                "what --export jsonl wrote is not read again, the trace itself is"
            ) from None
        wrong = problems("capture", data)
        raise InputError(f"{place}: {wrong[0] if wrong else fault}") from None


def _delivery(number: int, data: dict[str, Any], before: float) -> Exchange:
    body = _body(data, "body")
    clock = _time(data["time"]) if "time" in data else None
    started = clock if clock is not None else before
    answer = None
    headers = _headers(data.get("answer_headers", {}))
    answered = _text(data.get("answer_body", "")).encode()
    if data.get("status") is not None:
        answer = Answer(_whole(data["status"]), headers, answered)
    return Exchange(
        id=number,
        role=Role.ATTEMPT,
        rule=None,
        case=None,
        step=0,
        msg_id=_msg_id(body),
        request=Request(
            _text(data.get("method", "POST")),
            _text(data.get("url", "")),
            _headers(data["headers"]),
            body,
            Transport.RAW,
        ),
        signing=None,
        answer=answer,
        fault=Fault(data["fault"]) if data.get("fault") is not None else None,
        detail="",
        started=started,
        sent=started,
        ended=started + _seconds(data.get("seconds", 0.0)),
        peer=_text(data["peer"]) if "peer" in data else None,
        clock=clock,
        masked=frozenset({Masked.CONTENT}) if _flag(data.get("masked", False)) else frozenset(),
    )


def _body(data: dict[str, Any], name: str) -> bytes:
    plain = _text(data[name]).encode() if name in data else b""
    if f"{name}_base64" in data:
        return base64.b64decode(_text(data[f"{name}_base64"]), validate=True)
    if name not in data:
        raise KeyError(name)
    return plain


def _headers(given: Any) -> Headers:
    """Headers as an object, whose values may be lists, or as a list of pairs."""
    if isinstance(given, dict):
        pairs = [
            (name, one)
            for name, value in given.items()
            for one in (value if isinstance(value, list) else [value])
        ]
    elif isinstance(given, list) and all(isinstance(pair, list) for pair in given):
        pairs = given
    else:
        raise TypeError("no headers")
    return tuple((_text(name).encode(), _text(value).encode()) for name, value in pairs)


def _time(given: Any) -> float:
    """Unix seconds, as a number or in ISO 8601 (UTC where it names no zone)."""
    if isinstance(given, str):
        read = datetime.fromisoformat(given)
        return (read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp()
    seconds = _number(given)
    datetime.fromtimestamp(seconds, UTC)  # raises for what no calendar holds
    return seconds


def _number(given: Any) -> float:
    if not isinstance(given, int | float) or isinstance(given, bool):
        raise TypeError("not a number")
    if not isfinite(given):
        raise ValueError(f"{given} is no number")
    return float(given)


def _seconds(given: Any) -> float:
    seconds = _number(given)
    if not seconds >= 0:
        raise ValueError("not a time that something takes")
    return seconds


def _flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise TypeError("neither true nor false")
    return given


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError("not a text")
    return given


def _whole(given: Any) -> int:
    if not isinstance(given, int) or not 100 <= given <= 999:
        raise ValueError("not a status")
    return given


def _msg_id(body: bytes) -> str | None:
    """The msgId of a message, a number too: what is wrong with it is found by the checks."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found = message.get("msgId") if isinstance(message, dict) else None
    return str(found) if type(found) in (str, int) else None
