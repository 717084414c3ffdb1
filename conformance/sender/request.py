"""Reading a call of the API: its parameters, its ID, its JSON body; and refusing it.

Knows nothing of what the calls do.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from conformance.model.errors import InputError
from conformance.protocol.encodings import refuse_constant

DRAINED = 64 * 1024 * 1024
"""How many bytes of a body that is too large are read anyway: many clients do not look for an answer
before they have sent everything."""


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of ours
    """The answer to a request that is refused. `status` is an HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def parameter(request: web.Request, name: str) -> str | None:
    """The parameter `name` (in lower case), matched in any case; None when it is missing or empty."""
    values = [value for key, value in request.query.items() if key.lower() == name]
    return values[-1] if values and values[-1] else None


def identifier(value: object) -> int:
    """An ID from a number or a string of digits. Raises InputError."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    if type(value) is int and 0 <= value < 2**63:
        return value
    raise InputError("ID must be a number that List shows")


async def json_body(request: web.Request, limit: int, empty: Any = None) -> Any:
    """The body, parsed strictly. An empty body is `empty`, unless that is None. Raises InputError for
    what is not JSON, and Refusal for a body of more than `limit` bytes."""
    body = bytearray()
    size = 0
    while piece := await request.content.readany():
        size += len(piece)
        if size <= limit:
            body += piece
        elif size > DRAINED:
            break
    if size > limit:
        raise Refusal(413, f"the body is larger than {limit} bytes")
    if not body and empty is not None:
        return empty
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=refuse_constant)
    except UnicodeDecodeError:
        raise InputError("the body is not UTF-8") from None
    except RecursionError:
        raise InputError("the body is nested too deeply") from None
    except ValueError as fault:
        raise InputError("the body is not JSON: {reason}", reason=str(fault)) from None
