"""Receivers that trip over HTTP itself, or tell too much by it. Rules: receiver.http.*

A receiver that dies takes what comes afterwards with it: the suite must put that down to
receiver.http.alive alone, and leave the rest unjudged.
"""

from __future__ import annotations

import asyncio
import json
import re
import traceback
from functools import partial

from aiohttp import web

from conformance.gallery.peer import Faulty
from conformance.model.exchange import Headers
from conformance.protocol.dialect import sign
from conformance.protocol.tampering import Signer
from conformance.receiver import behaviour as behaviour
from conformance.receiver.behaviour import Arrival, Message, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox


def _expected_told(
    headers: Headers, body: bytes, signer: Signer, now: float, *, secret: bool = False
) -> Response | None:
    """Help for whoever integrates, left in."""
    given = behaviour.credentials(headers, signer.dialect)
    if isinstance(given, Response):
        return given
    right = sign(signer.dialect, signer.secret, given[0], body)
    if right != given[1]:
        told = signer.secret if secret else right
        return Response(401, f"bad signature, {'key' if secret else 'expected'}: {told.decode()}")
    return behaviour.fresh(given[0], now, signer.dialect, behaviour.TOLERANCE)


def _traceback_told(body: bytes) -> Message | Response:
    """The debug mode of a framework, in production."""
    try:
        body.decode().index("{")
    except ValueError:
        return Response(400, traceback.format_exc())
    return behaviour.read(body)


def _path_told(body: bytes) -> Message | Response:
    """What PHP prints with display_errors on."""
    message = behaviour.read(body)
    if isinstance(message, Response):
        return Response(400, "Syntax error in /var/www/html/webhook/receiver.php on line 31")
    return message


async def _up(request: web.Request, answer: Response) -> web.StreamResponse:
    """A page for people who open the URL in a browser."""
    if request.method == "GET":
        return web.Response(text="The webhook receiver is running.")
    return await behaviour.respond(request, answer)


async def _sized_only(request: web.Request) -> bytes | Response:
    if "Transfer-Encoding" in request.headers:
        return Response(411, "Content-Length is needed")
    return await behaviour.receive(request)


async def _by_content_length(request: web.Request) -> bytes | Response:
    """CGI and WSGI, where a body is read by its Content-Length."""
    return await behaviour.receive(request) if request.content_length else b""


async def _exactly_json(request: web.Request) -> bytes | Response:
    if request.headers.get("Content-Type") != "application/json":
        return Response(415, "Content-Type must be application/json")
    return await behaviour.receive(request)


async def _no_expectations(request: web.Request) -> web.StreamResponse | None:
    """Old proxies answer 417 to whatever is expected of them."""
    return web.Response(status=417, text="expectations are not supported")


def _once_a_connection(answer: Response | None) -> ReceiverBehaviour:
    """Loses its place in a connection after the first request on it; None closes the connection."""
    used: set[object] = set()

    async def receive(request: web.Request) -> bytes | Response:
        connection = request.transport.get_extra_info("peername") if request.transport else None
        if connection not in used:
            used.add(connection)
            return await behaviour.receive(request)
        if answer is None and request.transport is not None:
            request.transport.abort()
        return answer or b""

    return ReceiverBehaviour(receive=receive)


async def _what_came(request: web.Request) -> tuple[bytes, str | None]:
    """As much of the body as came; and the msgId in it when that is not the whole."""
    body = bytearray()
    try:
        async for piece in request.content.iter_any():
            body += piece
    except (ConnectionError, web.RequestPayloadError):
        pass
    whole = len(body) >= (request.content_length or 0)
    found = None if whole else re.search(rb'"msgId":"([^"]+)"', body)
    return bytes(body), found[1].decode() if found else None


async def _field_by_field(request: web.Request) -> bytes | Response:
    body, cut = await _what_came(request)
    return json.dumps({"msgId": cut}).encode() if cut else body


def _checked_at_the_end(
    headers: Headers, body: bytes, signer: Signer, now: float
) -> Response | None:
    """A check that stands behind the last byte of the body."""
    size = next((value for name, value in headers if name.lower() == b"content-length"), b"0")
    return behaviour.authenticate(headers, body, signer, now) if len(body) >= int(size) else None


def _id_noted_first() -> ReceiverBehaviour:
    """Notes msgId as it comes in, so that of two copies at once only one goes on."""
    broken: set[str | None] = set()

    async def receive(request: web.Request) -> bytes | Response:
        body, cut = await _what_came(request)
        if cut:
            broken.add(cut)
        return body

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        return False if key in broken else await behaviour.store(inbox, arrival, key)

    return ReceiverBehaviour(receive=receive, store=store)


def _lock_kept() -> ReceiverBehaviour:
    """Has no `finally` around its lock: whoever hangs up in mid-body leaves it locked."""
    locked = False

    async def receive(request: web.Request) -> bytes | Response:
        nonlocal locked
        if locked:
            await asyncio.sleep(0.1)
            return Response(503, "the lock could not be had in time")
        body = await behaviour.receive(request)
        locked = locked or request.transport is None
        return body

    return ReceiverBehaviour(receive=receive)


TRANSPORT = (
    Faulty(
        "self-signed-certificate",
        "is served under a certificate that nobody has signed but itself",
        ("receiver.http.https",),
        ReceiverBehaviour(),
        tls=True,
    ),
    Faulty(
        "expected-signature-told",
        "tells whoever signs wrongly which signature it expected",
        ("receiver.http.reveals-nothing",),
        ReceiverBehaviour(authenticate=_expected_told),
        beside=("receiver.signature.*",),
    ),
    Faulty(
        "secret-told",
        "tells whoever signs wrongly which secret it checks with",
        ("receiver.http.reveals-nothing",),
        ReceiverBehaviour(authenticate=partial(_expected_told, secret=True)),
        beside=("receiver.signature.*",),
    ),
    Faulty(
        "traceback-told",
        "answers a body that is no JSON with 400 and its traceback",
        ("receiver.http.reveals-nothing",),
        ReceiverBehaviour(read=_traceback_told),
        beside=("receiver.body.*",),
    ),
    Faulty(
        "path-told",
        "answers a body that is no JSON with 400 and the path of its source",
        ("receiver.http.reveals-nothing",),
        ReceiverBehaviour(read=_path_told),
        beside=("receiver.body.*",),
    ),
    Faulty(
        "get-answered-200",
        "answers GET with a page that says it is running",
        ("receiver.http.method",),
        ReceiverBehaviour(respond=_up),
    ),
    Faulty(
        "put-delivers",
        "takes a PUT like a POST",
        ("receiver.http.method",),
        ReceiverBehaviour(methods=frozenset({"POST", "PUT"})),
    ),
    Faulty(
        "second-request-refused",
        "answers 400 to every request on a connection but the first",
        ("receiver.http.keep-alive",),
        partial(_once_a_connection, Response(400, "bad request")),
    ),
    Faulty(
        "second-request-dropped",
        "closes a connection without an answer when a second request comes on it",
        ("receiver.http.keep-alive",),
        partial(_once_a_connection, None),
    ),
    Faulty(
        "chunked-refused",
        "answers 411 to a body without Content-Length",
        ("receiver.http.chunked",),
        ReceiverBehaviour(receive=_sized_only),
    ),
    Faulty(
        "chunked-read-as-empty",
        "reads as many bytes as Content-Length says, and none without it",
        ("receiver.http.chunked",),
        ReceiverBehaviour(receive=_by_content_length),
    ),
    Faulty(
        "expectation-refused",
        "answers 417 to Expect: 100-continue",
        ("receiver.http.expect-continue",),
        ReceiverBehaviour(expect=_no_expectations),
    ),
    Faulty(
        "charset-refused",
        "compares Content-Type as a whole, and answers 415 when it names a charset",
        ("receiver.http.content-type-charset",),
        ReceiverBehaviour(receive=_exactly_json),
    ),
    Faulty(
        "cut-body-processed",
        "processes a body as it comes in, and checks it at its end, which a cut one never reaches",
        ("receiver.http.aborted-body",),
        ReceiverBehaviour(receive=_field_by_field, authenticate=_checked_at_the_end),
    ),
    Faulty(
        "cut-body-counts-as-seen",
        "notes the msgId of a body that is cut, and takes the message itself for a repeat",
        ("receiver.http.aborted-body",),
        _id_noted_first,
    ),
    Faulty(
        "lock-kept-after-cut-body",
        "keeps its lock when a body is cut, and answers 503 from then on",
        ("receiver.http.alive",),
        _lock_kept,
    ),
)
