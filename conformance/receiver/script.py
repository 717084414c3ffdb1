"""One scripted answer, and how it goes out on the wire: whole, slow, or deliberately broken.

Knows nothing of messages, or of why an answer is given.
"""

from __future__ import annotations

import http.client
import socket
import struct
from dataclasses import dataclass

from aiohttp import web

from conformance.model.clock import Clock
from conformance.model.exchange import Answer, Fault

HANG = 60.0
"""Seconds after which a waiting sender is disconnected: no deadline is longer."""
DRIPS = 20
"""The most pieces of a dripping body: enough that no pause looks like an idle connection."""

_RECORDED = 64 * 1024  # bytes of a body that an `Answer` holds
_GARBAGE = b"\x00\x01 this is no HTTP \xff\xfe\r\n\r\n"
_FAULTS = (None, "reset", "close", "half", "garbage", "hang", "drip")
_WITHOUT_BODY = (204, 304)  # RFC 9110, 15.3.5 and 15.4.5

Outcome = tuple[Answer | None, Fault | None, str]
"""The end of an exchange: its answer, fault and detail."""


@dataclass(frozen=True, slots=True)
class Scripted:
    """One answer of a script. A redirect carries its Location in `headers`.

    `delay` is the seconds from the end of the request to the first byte of the answer, or to the
    fault. `fault` is one of: reset (RST before any byte), close (FIN before any byte), half (the
    head and half of the body, then closed), garbage (bytes that are not HTTP, then closed), hang (no
    answer until the sender leaves, at most HANG), drip (the head at once, the body in pieces, the
    last one after `delay`: a whole answer in the end). For half and drip an empty body counts as one
    space.
    Raises ValueError for another fault.
    """

    status: int = 200
    delay: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b'{"status": "success"}'
    fault: str | None = None

    def __post_init__(self) -> None:
        if self.fault not in _FAULTS:
            raise ValueError(f"fault: {self.fault!r} is not one of {_FAULTS}")


async def perform(
    request: web.Request, scripted: Scripted, sent: float, clock: Clock
) -> tuple[web.StreamResponse, Outcome]:
    """Answer a request that was complete at `sent` as `scripted` says. Returns what the handler has
    to return, and the end of the exchange. Raises ConnectionError when the sender is gone."""
    match scripted.fault:
        case None:
            await _until(sent + scripted.delay, clock)
            response = await _whole(request, scripted)
        case "drip":
            response = await _drip(request, scripted, sent, clock)
        case "hang":
            await _until(sent + HANG, clock)
            return _break(request, scripted)
        case _:
            await _until(sent + scripted.delay, clock)
            return _break(request, scripted)
    if response.headers.get("Connection", "").lower() == "close":
        response.force_close()
    headers = tuple((name.encode(), value.encode()) for name, value in response.headers.items())
    body = _body(request, scripted)
    return response, (
        Answer(scripted.status, headers, body[:_RECORDED], len(body) > _RECORDED),
        None,
        "",
    )


async def _until(when: float, clock: Clock) -> None:
    pause = when - clock.monotonic()
    if pause > 0:
        await clock.sleep(pause)


def _headers(scripted: Scripted) -> list[tuple[str, str]]:
    if any(name.lower() == "content-type" for name, _ in scripted.headers):
        return list(scripted.headers)
    return [("Content-Type", "application/json"), *scripted.headers]


def _body(request: web.Request, scripted: Scripted) -> bytes:
    """The body of a whole answer."""
    if request.method == "HEAD" or scripted.status in _WITHOUT_BODY:
        return b""
    return scripted.body or (b" " if scripted.fault else b"")


async def _whole(request: web.Request, scripted: Scripted) -> web.StreamResponse:
    response = web.Response(
        status=scripted.status, headers=_headers(scripted), body=_body(request, scripted)
    )
    await response.prepare(request)
    await response.write_eof()
    return response


async def _drip(
    request: web.Request, scripted: Scripted, sent: float, clock: Clock
) -> web.StreamResponse:
    body = _body(request, scripted)
    response = web.StreamResponse(status=scripted.status, headers=_headers(scripted))
    response.content_length = len(body)
    await response.prepare(request)
    step = max(1, -(-len(body) // DRIPS))
    for start in range(0, len(body), step):
        piece = body[start : start + step]
        await _until(sent + scripted.delay * (start + len(piece)) / len(body), clock)
        await response.write(piece)
    await response.write_eof()
    return response


def _break(request: web.Request, scripted: Scripted) -> tuple[web.StreamResponse, Outcome]:
    """End the connection. The whole request has been read, so a close is a FIN and not an RST."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the sender is gone")
    fault = Fault.CLOSED
    match scripted.fault:
        case "reset":
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        case "close":
            transport.abort()  # under TLS an orderly close would send close_notify first
        case "half":
            transport.write(_half(scripted))
        case "garbage":
            transport.write(_GARBAGE)
            fault = Fault.GARBAGE
        case "hang":
            fault = Fault.GIVEN_UP
    transport.close()
    return web.StreamResponse(), (None, fault, scripted.fault or "")


def _half(scripted: Scripted) -> bytes:
    body = scripted.body or b" "
    reason = http.client.responses.get(scripted.status, "")
    lines = [f"HTTP/1.1 {scripted.status} {reason}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in _headers(scripted)]
    return "\r\n".join((*lines, "", "")).encode() + body[: len(body) // 2]
