"""Receivers that mishandle HTTP itself, or reveal too much in it. Rules: receiver.http.*

A receiver that dies fails every later exchange. The suite must blame receiver.http.alive alone and
leave the other rules unjudged.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import traceback

from aiohttp import web

from conformance.gallery.peer import Faults, row
from conformance.gallery.receivers.serve import HTTPS, RECEIVER
from conformance.model.exchange import Headers
from conformance.protocol.dialect import sign
from conformance.protocol.signing import Signer
from conformance.receiver import behaviour
from conformance.receiver.behaviour import Arrival, Message, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox
from conformance.serving import certificates

faulty = Faults("receiver.http", RECEIVER)
over_https = Faults("receiver.http", HTTPS)


@over_https("https")
def self_signed_certificate() -> ssl.SSLContext:
    """Serves a self-signed certificate."""
    return certificates.self_signed()


@faulty(
    "reveals-nothing",
    step="authenticate",
    beside=("receiver.signature.*",),
    rows=(
        row("expected-signature-told", "the expected signature", secret=False),
        row("secret-told", "its secret", secret=True),
    ),
)
def _reveal_signature(
    headers: Headers, body: bytes, signer: Signer, now: float, *, secret: bool
) -> Response | None:
    """Reveals {} when the signature is wrong.

    Debugging help for integrators that was never removed.
    """
    pair = behaviour.credentials(headers, signer.dialect)
    if isinstance(pair, Response):
        return pair
    timestamp, signature = pair
    right = sign(signer.dialect, signer.secret, timestamp, body)
    if right != signature:
        leak = signer.secret if secret else right
        return Response(401, f"bad signature, {'key' if secret else 'expected'}: {leak.decode()}")
    return behaviour.fresh(timestamp, now, signer.dialect, behaviour.TOLERANCE)


@faulty("reveals-nothing", step="read", beside=("receiver.body.*",))
def traceback_told(body: bytes) -> Message | Response:
    """Answers a body that is not JSON with 400 and a traceback.

    A framework's debug mode, in production.
    """
    try:
        body.decode().index("{")
    except ValueError:
        return Response(400, traceback.format_exc())
    return behaviour.read(body)


@faulty("reveals-nothing", step="read", beside=("receiver.body.*",))
def path_told(body: bytes) -> Message | Response:
    """Answers a body that is not JSON with 400 and the path of its source file.

    As PHP with display_errors on.
    """
    message = behaviour.read(body)
    if isinstance(message, Response):
        return Response(400, "Syntax error in /var/www/html/webhook/receiver.php on line 31")
    return message


@faulty("method", step="respond")
async def get_answered_200(request: web.Request, answer: Response) -> web.StreamResponse:
    """Answers GET with 200 and a page that says it is running."""
    if request.method == "GET":
        return web.Response(text="The webhook receiver is running.")
    return await behaviour.respond(request, answer)


@faulty("method")
def put_delivers() -> ReceiverBehaviour:
    """Accepts a delivery by PUT."""
    return ReceiverBehaviour(methods=frozenset({"POST", "PUT"}))


@faulty(
    "keep-alive",
    step="receive",
    state=set,
    rows=(
        row(
            "second-request-refused",
            "answers 400 to the second request on a connection",
            answer=Response(400, "bad request"),
        ),
        row(
            "second-request-dropped",
            "closes the connection without an answer on the second request",
            answer=None,
        ),
    ),
)
async def _serve_one_request(
    used: set[object], request: web.Request, *, answer: Response | None
) -> bytes | Response:
    """Fails every request on a connection but the first: with `answer`, or by closing the connection."""
    connection = request.transport.get_extra_info("peername") if request.transport else None
    if connection not in used:
        used.add(connection)
        return await behaviour.receive(request)
    if answer is None and request.transport is not None:
        request.transport.abort()
    return answer or b""


@faulty("chunked", step="receive")
async def chunked_refused(request: web.Request) -> bytes | Response:
    """Answers 411 to a body without Content-Length."""
    if "Transfer-Encoding" in request.headers:
        return Response(411, "Content-Length is needed")
    return await behaviour.receive(request)


@faulty("chunked", step="receive")
async def chunked_read_as_empty(request: web.Request) -> bytes | Response:
    """Reads a body by its Content-Length, and nothing without one.

    As in CGI and WSGI, where Content-Length is the size of the body.
    """
    return await behaviour.receive(request) if request.content_length else b""


@faulty("expect-continue", step="expect")
async def expectation_refused(request: web.Request) -> web.StreamResponse | None:
    """Answers 417 to Expect: 100-continue.

    As old proxies do, to any expectation.
    """
    return web.Response(status=417, text="expectations are not supported")


@faulty("content-type-charset", step="receive")
async def charset_refused(request: web.Request) -> bytes | Response:
    """Answers 415 to a Content-Type with a charset."""
    if request.headers.get("Content-Type") != "application/json":
        return Response(415, "Content-Type must be application/json")
    return await behaviour.receive(request)


@faulty("content-type", step="authenticate")
def parser_chosen_by_type(
    headers: Headers, body: bytes, signer: Signer, now: float
) -> Response | None:
    """Chooses a parser by the Content-Type and answers 500 when it has none."""
    refusal = behaviour.authenticate(headers, body, signer, now)
    kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
    if refusal is None and b"json" not in kind:
        raise KeyError("no parser")
    return refusal


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


@faulty("aborted-body")
def cut_body_processed() -> ReceiverBehaviour:
    """Processes a body as it arrives and checks the signature only at its end."""

    async def receive(request: web.Request) -> bytes | Response:
        body, cut_id = await _receive_part(request)
        return json.dumps({"msgId": cut_id}).encode() if cut_id else body

    def check(headers: Headers, body: bytes, signer: Signer, now: float) -> Response | None:
        size = next((value for name, value in headers if name.lower() == b"content-length"), b"0")
        whole = len(body) >= int(size)
        return behaviour.authenticate(headers, body, signer, now) if whole else None

    return ReceiverBehaviour(receive=receive, authenticate=check)


@faulty("aborted-body")
def cut_body_counts_as_seen() -> ReceiverBehaviour:
    """Notes the msgId of a truncated body and treats the full message as a repeat.

    It notes the msgId while the body arrives, so that only one of two concurrent copies goes on.
    """
    broken: set[str | None] = set()

    async def receive(request: web.Request) -> bytes | Response:
        body, cut_id = await _receive_part(request)
        if cut_id:
            broken.add(cut_id)
        return body

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        return False if key in broken else await behaviour.store(inbox, arrival, key)

    return ReceiverBehaviour(receive=receive, store=store)


@faulty("alive")
def lock_kept_after_cut_body() -> ReceiverBehaviour:
    """Keeps a lock after a truncated body and answers 503 from then on.

    Has no `finally` around its lock: a sender that hangs up in mid-body leaves it locked.
    """
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
