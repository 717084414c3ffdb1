"""Receivers that mishandle HTTP itself, or reveal too much in it. Rules: receiver.http.*

A receiver that dies fails every later exchange. The suite must blame receiver.http.alive alone and
leave the other rules unjudged.
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
from conformance.protocol.signing import Signer
from conformance.receiver import behaviour
from conformance.receiver.behaviour import Arrival, Message, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox


def _reveal_signature(
    headers: Headers, body: bytes, signer: Signer, now: float, *, secret: bool = False
) -> Response | None:
    """Debugging help for integrators that was never removed."""
    pair = behaviour.credentials(headers, signer.dialect)
    if isinstance(pair, Response):
        return pair
    timestamp, signature = pair
    right = sign(signer.dialect, signer.secret, timestamp, body)
    if right != signature:
        leak = signer.secret if secret else right
        return Response(401, f"bad signature, {'key' if secret else 'expected'}: {leak.decode()}")
    return behaviour.fresh(timestamp, now, signer.dialect, behaviour.TOLERANCE)


def _reveal_traceback(body: bytes) -> Message | Response:
    """A framework's debug mode, in production."""
    try:
        body.decode().index("{")
    except ValueError:
        return Response(400, traceback.format_exc())
    return behaviour.read(body)


def _reveal_path(body: bytes) -> Message | Response:
    """As PHP with display_errors on."""
    message = behaviour.read(body)
    if isinstance(message, Response):
        return Response(400, "Syntax error in /var/www/html/webhook/receiver.php on line 31")
    return message


async def _answer_get(request: web.Request, answer: Response) -> web.StreamResponse:
    """A page for people who open the URL in a browser."""
    if request.method == "GET":
        return web.Response(text="The webhook receiver is running.")
    return await behaviour.respond(request, answer)


async def _refuse_chunked(request: web.Request) -> bytes | Response:
    if "Transfer-Encoding" in request.headers:
        return Response(411, "Content-Length is needed")
    return await behaviour.receive(request)


async def _read_by_length(request: web.Request) -> bytes | Response:
    """As in CGI and WSGI, where Content-Length is the size of the body."""
    return await behaviour.receive(request) if request.content_length else b""


async def _require_exact_type(request: web.Request) -> bytes | Response:
    if request.headers.get("Content-Type") != "application/json":
        return Response(415, "Content-Type must be application/json")
    return await behaviour.receive(request)


async def _refuse_expectation(request: web.Request) -> web.StreamResponse | None:
    """As old proxies, which answer 417 to any expectation."""
    return web.Response(status=417, text="expectations are not supported")


def _serve_one_request(answer: Response | None) -> ReceiverBehaviour:
    """Fails every request on a connection but the first: with `answer`, or by closing the connection."""
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


async def _receive_part(request: web.Request) -> tuple[bytes, str | None]:
    """The body as far as it arrived, and its msgId if the body is incomplete."""
    body = bytearray()
    try:
        async for piece in request.content.iter_any():
            body += piece
    except (ConnectionError, web.RequestPayloadError):
        pass
    whole = len(body) >= (request.content_length or 0)
    match = None if whole else re.search(rb'"msgId":"([^"]+)"', body)
    return bytes(body), match[1].decode() if match else None


async def _process_part(request: web.Request) -> bytes | Response:
    body, cut_id = await _receive_part(request)
    return json.dumps({"msgId": cut_id}).encode() if cut_id else body


def _check_at_end(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
    """Checks the signature only once the last byte of the body has arrived."""
    size = next((value for name, value in headers if name.lower() == b"content-length"), b"0")
    return behaviour.authenticate(headers, body, signer, now) if len(body) >= int(size) else None


def _note_id_early() -> ReceiverBehaviour:
    """Notes the msgId while the body arrives, so that only one of two concurrent copies goes on."""
    broken: set[str | None] = set()

    async def receive(request: web.Request) -> bytes | Response:
        body, cut_id = await _receive_part(request)
        if cut_id:
            broken.add(cut_id)
        return body

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        return False if key in broken else await behaviour.store(inbox, arrival, key)

    return ReceiverBehaviour(receive=receive, store=store)


def _keep_lock() -> ReceiverBehaviour:
    """Has no `finally` around its lock: a sender that hangs up in mid-body leaves it locked."""
    locked = False

    async def receive(request: web.Request) -> bytes | Response:
        nonlocal locked
        if locked:
            await asyncio.sleep(0.1)
            return Response(503, "could not take the lock in time")
        body = await behaviour.receive(request)
        locked = locked or request.transport is None
        return body

    return ReceiverBehaviour(receive=receive)


TRANSPORT = (
    Faulty(
        "self-signed-certificate",
        "serves a self-signed certificate",
        ("receiver.http.https",),
        ReceiverBehaviour(),
        tls=True,
    ),
    Faulty(
        "expected-signature-told",
        "reveals the expected signature when the signature is wrong",
        ("receiver.http.reveals-nothing",),
        ReceiverBehaviour(authenticate=_reveal_signature),
        beside=("receiver.signature.*",),
    ),
    Faulty(
        "secret-told",
        "reveals its secret when the signature is wrong",
        ("receiver.http.reveals-nothing",),
        ReceiverBehaviour(authenticate=partial(_reveal_signature, secret=True)),
        beside=("receiver.signature.*",),
    ),
    Faulty(
        "traceback-told",
        "answers a body that is not JSON with 400 and a traceback",
        ("receiver.http.reveals-nothing",),
        ReceiverBehaviour(read=_reveal_traceback),
        beside=("receiver.body.*",),
    ),
    Faulty(
        "path-told",
        "answers a body that is not JSON with 400 and the path of its source file",
        ("receiver.http.reveals-nothing",),
        ReceiverBehaviour(read=_reveal_path),
        beside=("receiver.body.*",),
    ),
    Faulty(
        "get-answered-200",
        "answers GET with 200 and a page that says it is running",
        ("receiver.http.method",),
        ReceiverBehaviour(respond=_answer_get),
    ),
    Faulty(
        "put-delivers",
        "accepts a delivery by PUT",
        ("receiver.http.method",),
        ReceiverBehaviour(methods=frozenset({"POST", "PUT"})),
    ),
    Faulty(
        "second-request-refused",
        "answers 400 to the second request on a connection",
        ("receiver.http.keep-alive",),
        partial(_serve_one_request, Response(400, "bad request")),
    ),
    Faulty(
        "second-request-dropped",
        "closes the connection without an answer on the second request",
        ("receiver.http.keep-alive",),
        partial(_serve_one_request, None),
    ),
    Faulty(
        "chunked-refused",
        "answers 411 to a body without Content-Length",
        ("receiver.http.chunked",),
        ReceiverBehaviour(receive=_refuse_chunked),
    ),
    Faulty(
        "chunked-read-as-empty",
        "reads a body by its Content-Length, and nothing without one",
        ("receiver.http.chunked",),
        ReceiverBehaviour(receive=_read_by_length),
    ),
    Faulty(
        "expectation-refused",
        "answers 417 to Expect: 100-continue",
        ("receiver.http.expect-continue",),
        ReceiverBehaviour(expect=_refuse_expectation),
    ),
    Faulty(
        "charset-refused",
        "answers 415 to a Content-Type with a charset",
        ("receiver.http.content-type-charset",),
        ReceiverBehaviour(receive=_require_exact_type),
    ),
    Faulty(
        "cut-body-processed",
        "processes a body as it arrives and checks the signature only at its end",
        ("receiver.http.aborted-body",),
        ReceiverBehaviour(receive=_process_part, authenticate=_check_at_end),
    ),
    Faulty(
        "cut-body-counts-as-seen",
        "notes the msgId of a truncated body and treats the full message as a repeat",
        ("receiver.http.aborted-body",),
        _note_id_early,
    ),
    Faulty(
        "lock-kept-after-cut-body",
        "keeps a lock after a truncated body and answers 503 from then on",
        ("receiver.http.alive",),
        _keep_lock,
    ),
)
