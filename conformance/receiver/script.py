"""One scripted answer, and how it goes out on the wire: whole, slow, or deliberately broken.

Knows nothing of messages, or of why an answer is given.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import struct
from dataclasses import dataclass
from email.utils import formatdate

from conformance.model.clock import Clock
from conformance.model.exchange import Answer, Fault, Headers

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
    transport: asyncio.Transport | None, method: str, scripted: Scripted, sent: float, clock: Clock
) -> Outcome:
    """Answer a request that was complete at `sent` as `scripted` says, on the connection that it came on,
    which stays open unless the script has a fault or the header "Connection: close". Returns the end of
    the exchange. Raises ConnectionError when the sender is gone."""
    match scripted.fault:
        case "drip":
            return await _drip(_open(transport), method, scripted, sent, clock)
        case "hang":
            await _until(sent + HANG, clock)
            return _break(_open(transport), scripted)
    await _until(sent + scripted.delay, clock)
    transport = _open(transport)
    if scripted.fault is not None:
        return _break(transport, scripted)
    headers, body = _headers(scripted), _body(method, scripted)
    transport.write(_head(scripted.status, headers) + body)
    return _answered(scripted, headers, body)


def _open(transport: asyncio.Transport | None) -> asyncio.Transport:
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the sender is gone")
    return transport


def _answered(scripted: Scripted, headers: Headers, body: bytes) -> Outcome:
    answer = Answer(scripted.status, headers, body[:_RECORDED], len(body) > _RECORDED)
    return answer, None, ""


async def _until(when: float, clock: Clock) -> None:
    pause = when - clock.monotonic()
    if pause > 0:
        await clock.sleep(pause)


def _headers(scripted: Scripted) -> Headers:
    """The script's headers, and those that every answer has."""
    headers = list(scripted.headers)
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.insert(0, ("Content-Type", "application/json"))
    if scripted.status not in _WITHOUT_BODY:
        headers.append(("Content-Length", str(len(_body("", scripted)))))
    headers.append(("Date", formatdate(usegmt=True)))
    return tuple((name.encode(), value.encode()) for name, value in headers)


def _body(method: str, scripted: Scripted) -> bytes:
    """The body of a whole answer."""
    if method == "HEAD" or scripted.status in _WITHOUT_BODY:
        return b""
    return scripted.body or (b" " if scripted.fault else b"")


def _head(status: int, headers: Headers) -> bytes:
    lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}".encode()]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join((*lines, b"", b""))


async def _drip(
    transport: asyncio.Transport, method: str, scripted: Scripted, sent: float, clock: Clock
) -> Outcome:
    headers, body = _headers(scripted), _body(method, scripted)
    transport.write(_head(scripted.status, headers))
    step = max(1, -(-len(body) // DRIPS))
    for start in range(0, len(body), step):
        piece = body[start : start + step]
        await _until(sent + scripted.delay * (start + len(piece)) / len(body), clock)
        _open(transport).write(piece)
    return _answered(scripted, headers, body)


def _break(transport: asyncio.Transport, scripted: Scripted) -> Outcome:
    """End the connection. The whole request has been read, so a close is a FIN and not an RST."""
    fault = Fault.CLOSED
    match scripted.fault:
        case "reset":
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        case "close":
            transport.abort()  # under TLS an orderly close would send close_notify first
        case "half":
            body = scripted.body or b" "
            transport.write(_head(scripted.status, _headers(scripted)) + body[: len(body) // 2])
        case "garbage":
            transport.write(_GARBAGE)
            fault = Fault.GARBAGE
        case "hang":
            fault = Fault.GIVEN_UP
    transport.close()
    return None, fault, scripted.fault or ""
