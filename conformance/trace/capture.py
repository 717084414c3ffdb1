"""Reads a capture: the deliveries that a user's receiver got, one JSON object a line, as exchanges.

`schemas/capture.schema.json` describes a line. A signature is over the bytes of a body, so a capture
that holds only the parsed message cannot be judged, and is refused.
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

_WHITESPACE = b" \t\r\n"


def is_capture(path: Path) -> bool:
    """Whether a file begins like JSON Lines. Raises InputError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return (
                next((line for line in file if line.strip(_WHITESPACE)), b"").lstrip(_WHITESPACE)[
                    :1
                ]
                == b"{"
            )
    except OSError as fault:
        raise InputError(
            "{path} cannot be read: {reason}", path=str(path), reason=str(fault.strerror)
        ) from None


def read(path: Path) -> Iterator[Exchange]:
    """The deliveries in order, read line by line. Their times are Unix seconds; one without a time
    gets that of the delivery before it. Raises InputError, with file and line, for the first line
    that is not a delivery."""
    try:
        with path.open("rb") as file:
            number, previous = 0, 0.0
            for line_number, line in enumerate(file, 1):
                if line.strip(_WHITESPACE):
                    number += 1
                    exchange = _exchange(number, line, f"{path}:{line_number}", previous)
                    previous = exchange.started
                    yield exchange
    except OSError as fault:
        raise InputError(
            "{path} cannot be read: {reason}", path=str(path), reason=str(fault.strerror)
        ) from None


def _exchange(number: int, line: bytes, place: str, previous: float) -> Exchange:
    try:
        data = json.loads(line.decode())
    except (ValueError, RecursionError) as fault:
        raise InputError(
            "{place}: not a line of JSON: {reason}", place=place, reason=str(fault)
        ) from None
    # Only a line that cannot be read is validated against the schema, which describes what is wrong
    # but is slow.
    try:
        return _delivery(number, data, previous)
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError, OSError) as fault:
        if isinstance(data, dict) and "headers" not in data:
            raise InputError(
                "{place}: no `headers`, so it is not a capture (docs/traces.md says how to write "
                "one); the output of --export jsonl cannot be read back, but the trace itself can",
                place=place,
            ) from None
        violations = problems("capture", data)
        raise InputError(
            "{place}: {violations}",
            place=place,
            violations=str(violations[0] if violations else fault),
        ) from None


def _delivery(number: int, data: dict[str, Any], previous: float) -> Exchange:
    body = _body(data, "body")
    clock = _time(data["time"]) if "time" in data else None
    started = clock if clock is not None else previous
    answer = None
    headers = _headers(data.get("answer_headers", {}))
    answer_body = _text(data.get("answer_body", "")).encode()
    if data.get("status") is not None:
        answer = Answer(_status(data["status"]), headers, answer_body)
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
    text = _text(data[name]).encode() if name in data else b""
    if f"{name}_base64" in data:
        return base64.b64decode(_text(data[f"{name}_base64"]), validate=True)
    if name not in data:
        raise KeyError(name)
    return text


def _headers(value: Any) -> Headers:
    """Headers from an object, whose values may be lists, or from a list of pairs."""
    if isinstance(value, dict):
        pairs = [
            (name, line)
            for name, lines in value.items()
            for line in (lines if isinstance(lines, list) else [lines])
        ]
    elif isinstance(value, list) and all(isinstance(pair, list) for pair in value):
        pairs = value
    else:
        raise TypeError("not headers")
    return tuple((_text(name).encode(), _text(line).encode()) for name, line in pairs)


def _time(value: Any) -> float:
    """Unix seconds, from a number or from ISO 8601 (UTC when it names no zone)."""
    if isinstance(value, str):
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
    seconds = _number(value)
    datetime.fromtimestamp(seconds, UTC)  # raises for a time outside the calendar
    return seconds


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError("not a number")
    if not isfinite(value):
        raise ValueError(f"{value} is not a number")
    return float(value)


def _seconds(value: Any) -> float:
    seconds = _number(value)
    if not seconds >= 0:
        raise ValueError("not a duration")
    return seconds


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _status(value: Any) -> int:
    if not isinstance(value, int) or not 100 <= value <= 999:
        raise ValueError("not a status")
    return value


def _msg_id(body: bytes) -> str | None:
    """The msgId of a message, even if it is a number: the checks report what is wrong with it."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    value = message.get("msgId") if isinstance(message, dict) else None
    return str(value) if type(value) in (str, int) else None
