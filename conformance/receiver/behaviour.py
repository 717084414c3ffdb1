"""A receiver's decisions about a request, one function a step, collected in a `ReceiverBehaviour`.

`ReceiverBehaviour()` conforms to every receiver rule. A faulty receiver replaces one of its steps
(`dataclasses.replace`), and a scripted one reuses the steps that it does not script. All steps are
pure except three: `receive` and `respond` see the raw request, and `store` awaits the inbox. Knows
nothing of routes and servers.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aiohttp import web

from conformance.model.exchange import Headers
from conformance.protocol.dialect import Dialect, sign
from conformance.protocol.encodings import refuse_constant
from conformance.protocol.fast_validation import message_fits
from conformance.protocol.signing import Signer
from conformance.receiver.inbox import Delivery, Inbox

Message = dict[str, Any]

LIMIT = 16 * 1024 * 1024
"""Bytes of a body: Base64 media is large (訊息類型說明)."""

STALL = 4.0
"""Seconds that a body may stall: its sender gives up after 5 (伺服器要求 3)."""

TOLERANCE = 300.0
"""Seconds by which a timestamp may differ from the clock, in either direction."""

_LONGEST_TIMESTAMP = 20  # digits: int() refuses more than 4,300, and no time needs that many


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request: a status, an explanation where one helps, and headers in addition to
    those of every answer.

    Anyone may have sent the request, so an answer never holds a secret, a valid signature, a path or
    a traceback.
    """

    status: int
    message: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> bytes:
        """The answer as JSON, in the form of the guide's samples (示例代碼)."""
        return _encode("success" if 200 <= self.status < 300 else "error", self.message)


@lru_cache(maxsize=64)
def _encode(status: str, message: str | None) -> bytes:
    fields = {"status": status}
    if message is not None:
        fields["message"] = message
    return json.dumps(fields).encode()


_SUCCESS, _DUPLICATE = Response(200), Response(200, "duplicate")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that has passed every check. `connected()` is whether its sender is still waiting."""

    headers: Headers
    message: Message
    delivery: Delivery
    connected: Callable[[], bool]


def credentials(headers: Headers, dialect: Dialect) -> tuple[bytes, bytes] | Response:
    """The values of the timestamp header and the signature header. Each header must appear once and
    must not be empty."""
    pair = []
    for name in (dialect.timestamp_header, dialect.signature_header):
        lower, size = name.lower().encode(), len(name)
        values = [value for key, value in headers if len(key) == size and key.lower() == lower]
        if len(values) != 1 or not values[0]:
            return Response(401, f"exactly one {name} header is needed")
        pair.append(values[0])
    return pair[0], pair[1]


def as_received(body: bytes) -> bytes:
    """The bytes over which the signature is checked: those that were received (驗證簽名)."""
    return body


def fresh(timestamp: bytes, now: float, dialect: Dialect, tolerance: float) -> Response | None:
    """Refuse a timestamp that is not a number, or is more than `tolerance` seconds from `now`."""
    if not timestamp.isdigit() or len(timestamp) > _LONGEST_TIMESTAMP:
        return Response(401, "the timestamp is not a whole number")
    unit = 1000 if dialect.timestamp_unit == "milliseconds" else 1
    ahead = int(timestamp) / unit - now
    if abs(ahead) > tolerance:
        side = "ahead of" if ahead > 0 else "behind"
        return Response(401, f"the timestamp is {abs(ahead):.0f} s {side} the receiver's clock")
    return None


def authenticate(  # noqa: PLR0913 - each keyword is one part, replaced by functools.partial
    headers: Headers,
    body: bytes,
    signer: Signer,
    now: float,
    *,
    credentials: Callable[[Headers, Dialect], tuple[bytes, bytes] | Response] = credentials,
    signed: Callable[[bytes], bytes] = as_received,
    matches: Callable[[bytes, bytes], bool] = hmac.compare_digest,
    fresh: Callable[[bytes, float, Dialect, float], Response | None] = fresh,
    tolerance: float = TOLERANCE,
) -> Response | None:
    """Refuse what the holder of the secret did not sign, or did not sign recently; None accepts it.

    `matches` gets the valid signature and the received one. `functools.partial` can replace each
    part by itself.
    """
    pair = credentials(headers, signer.dialect)
    if isinstance(pair, Response):
        return pair
    timestamp, signature = pair
    if not matches(sign(signer.dialect, signer.secret, timestamp, signed(body)), signature):
        return Response(401, "the signature does not fit the timestamp and the body")
    return fresh(timestamp, now, signer.dialect, tolerance)


class _Ambiguous(Message):
    """An object with more than one msgId: two parsers may read two different messages."""


def _object(pairs: list[tuple[str, Any]]) -> Message:
    fields = dict(pairs)
    if len(fields) < len(pairs) and sum(name == "msgId" for name, _ in pairs) > 1:
        return _Ambiguous(fields)
    return fields


_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_constant=refuse_constant)


def read(body: bytes) -> Message | Response:
    """The body as a JSON object, read strictly."""
    try:
        message = _JSON.decode(body.decode())
    except UnicodeDecodeError:
        return Response(400, "the body is not UTF-8")
    except RecursionError:
        return Response(400, "the body is nested too deeply")
    except ValueError:
        return Response(400, "the body is not JSON")
    if not isinstance(message, dict):
        return Response(400, "the body is not a JSON object")
    if isinstance(message, _Ambiguous):
        return Response(400, "msgId stands in the body twice")
    return message


def msg_id(message: Message) -> str | Response:
    """The message's id: a non-empty string that can be encoded as UTF-8."""
    value = message.get("msgId")
    if not isinstance(value, str) or not value:
        return Response(400, "msgId must be a string that is not empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        return Response(400, "msgId is not Unicode text")
    return value


def process(message: Message) -> Response | None:
    """Refuse a message for its content. None is refused: an unknown type or field, or one of another
    JSON type, is handled after the answer, by the service that reads the inbox (最佳實踐 1)."""
    return None


def key(arrival: Arrival) -> str | None:
    """The dedup key: the msgId alone. With None every copy would take effect."""
    return arrival.delivery.msg_id


async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
    """Let the message take effect: True when it was new, False for a duplicate, a Response to refuse
    it. Raises NotStoredError when it cannot be committed."""
    return await inbox.add(arrival.delivery, key)


def acknowledge(arrival: Arrival, new: bool) -> Response:  # noqa: FBT001 - the result of `store`
    """Answer a message that is safely stored. A duplicate is a success too: the first answer may
    have been lost (常見問題 5)."""
    return _SUCCESS if new else _DUPLICATE


async def receive(request: web.Request) -> bytes | Response:
    """Read the whole body; a partial body is never passed on."""
    limit = request.client_max_size
    try:
        if request.content.is_eof():
            # Most bodies arrive with their head, and then there is nothing to wait for.
            whole = request.content.read_nowait()
            return whole if len(whole) <= limit else _too_large(limit)
        size = request.content_length or 0
        body = bytearray()
        while size <= limit:
            # Once a chunked body has begun, aiohttp never ends it when a later chunk is garbled.
            async with asyncio.timeout(STALL):
                piece = await request.content.readany()
            if not piece:
                return bytes(body)
            body += piece
            size = len(body)
    except TimeoutError:
        return Response(408, "the rest of the body did not arrive")
    except (ConnectionError, web.RequestPayloadError):
        return Response(400, "the body was cut short")
    return _too_large(limit)


def _too_large(limit: int) -> Response:
    return Response(413, f"the body is larger than {limit} bytes")


async def respond(request: web.Request, answer: Response) -> web.StreamResponse:
    """The HTTP response for `answer`."""
    headers = (("Content-Type", "application/json"), *answer.headers)
    return web.Response(status=answer.status, body=answer.body, headers=headers)


@dataclass(frozen=True, slots=True)
class ReceiverBehaviour:
    """The steps from a request to its answer, in order; a Response from any of them is the answer.

    `methods` are the HTTP methods that deliver (接收流程 1), `limit` is the largest body in bytes.
    `expect` handles an Expect header: a response ends the request, None lets it continue (RFC 9110,
    10.1.1).
    """

    methods: frozenset[str] = frozenset({"POST"})
    limit: int = LIMIT
    expect: Callable[[web.Request], Awaitable[web.StreamResponse | None]] | None = None
    receive: Callable[[web.Request], Awaitable[bytes | Response]] = receive
    authenticate: Callable[[Headers, bytes, Signer, float], Response | None] = authenticate
    read: Callable[[bytes], Message | Response] = read
    msg_id: Callable[[Message], str | Response] = msg_id
    process: Callable[[Message], Response | None] = process
    key: Callable[[Arrival], str | None] = key
    store: Callable[[Inbox, Arrival, str | None], Awaitable[bool | Response]] = store
    acknowledge: Callable[[Arrival, bool], Response] = acknowledge
    respond: Callable[[web.Request, Response], Awaitable[web.StreamResponse]] = respond

    def examine(
        self,
        headers: Headers,
        body: bytes,
        signer: Signer,
        now: float,
        connected: Callable[[], bool],
    ) -> Arrival | Response:
        """The pure steps, from `authenticate` to `process`: the message, or its refusal.

        `now` is in Unix seconds.
        """
        refusal = self.authenticate(headers, body, signer, now)
        if refusal is not None:
            return refusal
        message = self.read(body)
        if isinstance(message, Response):
            return message
        msg_id = self.msg_id(message)
        if isinstance(msg_id, Response):
            return msg_id
        refusal = self.process(message)
        if refusal is not None:
            return refusal
        delivery = Delivery(msg_id, body, now, message_fits(message))
        return Arrival(headers, message, delivery, connected)
