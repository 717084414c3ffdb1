"""What a call of the API brings along: parameters, an ID, a JSON body; and why it is refused."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from aiohttp import web

from conformance.model.errors import InputError

DRAINED = 64 * 1024 * 1024
"""Bytes of a body that is too large that are read all the same: many clients do not look for an
answer before they have sent everything."""


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of ours
    """What a request is answered with instead of success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def parameter(request: web.Request, name: str) -> str | None:
    """The parameter `name`, whatever its case; None when it is not given or empty."""
    values = [value for key, value in request.query.items() if key.lower() == name]
    return values[-1] if values and values[-1] else None


def identifier(given: object) -> int:
    """An ID as a number or in digits."""
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 19:
        return int(given)
    if type(given) is int and 0 <= given < 2**63:
        return given
    raise InputError("ID must be a number that List shows")


async def json_body(request: web.Request, limit: int, empty: Any = None) -> Any:
    """The body, parsed strictly; `empty` for none, if that is allowed. Raises InputError, and
    Refusal for a body of more than `limit` bytes."""
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
        return json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise InputError("the body is not UTF-8") from None
    except RecursionError:
        raise InputError("the body is nested too deeply") from None
    except ValueError as fault:
        raise InputError(f"the body is not JSON: {fault}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
