"""Reads a capture: the deliveries that a user's receiver got, one JSON object a line, as exchanges.

`schemas/capture.schema.json` describes a line. A signature is over the bytes of a body, so a capture
that holds only the parsed message cannot be judged, and is refused.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

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
from conformance.protocol.encodings import refuse_constant
from conformance.protocol.fast_validation import fits
from conformance.protocol.validation import problems

_WHITESPACE = b" \t\r\n"


def is_capture(path: Path) -> bool:
    """Whether a file begins like JSON Lines. Raises InputError when it cannot be read."""
    with _opened(path) as file:
        first = next((line for line in file if line.strip(_WHITESPACE)), b"")
    return first.lstrip(_WHITESPACE).startswith(b"{")


def read(path: Path) -> Iterator[Exchange]:
    """The deliveries in order, read line by line. Their times are Unix seconds; one without a time
    gets that of the delivery before it. Raises InputError, with file and line, for the first line
    that is not a delivery."""
    with _opened(path) as file:
        number, previous = 0, 0.0
        for line_number, line in enumerate(file, 1):
            if line.strip(_WHITESPACE):
                number += 1
                exchange = _exchange(number, line, f"{path}:{line_number}", previous)
                previous = exchange.started
                yield exchange


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file. Raises InputError, within the block too, when it cannot be read."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as fault:
        raise InputError(
            "{path} cannot be read: {reason}", path=str(path), reason=str(fault.strerror)
        ) from None


def _exchange(number: int, line: bytes, place: str, previous: float) -> Exchange:
    try:
        data = json.loads(line.decode(), parse_constant=refuse_constant)
    except (ValueError, RecursionError) as fault:
        raise InputError(
            "{place}: not a line of JSON: {reason}", place=place, reason=str(fault)
        ) from None
    if isinstance(data, dict) and "headers" not in data:
        raise InputError(
            "{place}: no `headers`, so it is not a capture (docs/traces.md says how to write "
            "one); the output of --export jsonl cannot be read back, but the trace itself can",
            place=place,
        )
    if not fits("capture", data) and (violations := problems("capture", data)):
        raise InputError("{place}: {violations}", place=place, violations=str(violations[0]))
    try:
        return _delivery(number, data, previous)
    except (ValueError, OverflowError, OSError) as fault:  # what a schema cannot express
        raise InputError("{place}: {violations}", place=place, violations=str(fault)) from None


def _delivery(number: int, data: dict[str, Any], previous: float) -> Exchange:
    body = _body(data)
    clock = _time(data["time"]) if "time" in data else None
    started = clock if clock is not None else previous
    ended = started + data.get("seconds", 0.0)
    if not isfinite(ended):
        raise ValueError("seconds is out of range")
    headers = _headers(data.get("answer_headers", {}))
    answer = None
    if data.get("status") is not None:
        answer = Answer(int(data["status"]), headers, data.get("answer_body", "").encode())
    return Exchange(
        id=number,
        role=Role.ATTEMPT,
        rule=None,
        case=None,
        step=0,
        msg_id=_msg_id(body),
        request=Request(
            data.get("method", "POST"),
            data.get("url", ""),
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
        ended=ended,
        peer=data.get("peer"),
        clock=clock,
        masked=frozenset({Masked.CONTENT}) if data.get("masked", False) else frozenset(),
    )


def _body(data: dict[str, Any]) -> bytes:
    if "body_base64" in data:
        return base64.b64decode(data["body_base64"], validate=True)
    body: str = data["body"]
    return body.encode()


def _headers(value: dict[str, str | list[str]] | list[list[str]]) -> Headers:
    """Headers from an object, whose values may be lists, or from a list of pairs."""
    pairs: Iterable[tuple[str, str | list[str]] | list[str]]
    pairs = value.items() if isinstance(value, dict) else value
    return tuple(
        (name.encode(), line.encode())
        for name, lines in pairs
        for line in ([lines] if isinstance(lines, str) else lines)
    )


def _time(value: float | str) -> float:
    """Unix seconds, from a number or from ISO 8601 (UTC when it names no zone)."""
    if isinstance(value, str):
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
    datetime.fromtimestamp(value, UTC)  # raises for a time outside the calendar
    return float(value)


def _msg_id(body: bytes) -> str | None:
    """The msgId of a message, even if it is a number: the checks report what is wrong with it."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    value = message.get("msgId") if isinstance(message, dict) else None
    return str(value) if type(value) in (str, int) else None
