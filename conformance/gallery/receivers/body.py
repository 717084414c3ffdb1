"""Receivers that accept malformed bodies, or break on them. Rules: receiver.body.*

receiver.body.answered covers every body: a receiver that leaves one unanswered also breaks the rule
for that kind of body. Its narrow peer leaves a deeply nested body unanswered, since the rule for
those is only MAY.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from conformance.gallery.peer import Faults, row
from conformance.gallery.receivers.serve import RECEIVER
from conformance.receiver import behaviour
from conformance.receiver.behaviour import Arrival, Message, ReceiverBehaviour, Response

faulty = Faults("receiver.body", RECEIVER)


def _parse_trailing_commas(text: str) -> Any:
    return json.loads(re.sub(r",\s*([}\]])", r"\1", text))


def _parse_python_literal(text: str) -> Any:
    """A Python dict literal, also with JSON's `true` and `false`."""
    return ast.literal_eval(re.sub(r"\b(true|false)\b", lambda match: match[0].title(), text))


def _parse_form(text: str) -> Any:
    """As express.urlencoded beside express.json, or Flask's request.values."""
    return {name: values[0] for name, values in parse_qs(text).items()}


def _parse_completed(text: str) -> Any:
    """A streaming parser, which closes what the text leaves open."""
    for end in ("}", '"}', '":null}', ":null}", "null}"):
        try:
            return json.loads(text + end)
        except ValueError:
            continue
    return None


@faulty(
    "invalid-json",
    step="read",
    rows=(
        row(
            "trailing-commas-taken",
            "reads JSON with a parser that allows trailing commas",
            fallback=_parse_trailing_commas,
        ),
        row(
            "python-literals-taken",
            "falls back to ast.literal_eval when a body is not JSON",
            fallback=_parse_python_literal,
        ),
        row(
            "form-bodies-taken",
            "falls back to form fields when a body is not JSON",
            fallback=_parse_form,
        ),
        row(
            "cut-json-repaired",
            "repairs a truncated body and accepts it as a message",
            "truncated-json",
            fallback=_parse_completed,
        ),
    ),
)
def _read_leniently(body: bytes, *, fallback: Callable[[str], Any]) -> Message | Response:
    """Reads the message as strict JSON, or else with the `fallback` parser."""
    message = behaviour.read(body)
    if not isinstance(message, Response):
        return message
    try:
        value = fallback(body.decode())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return message
    return value if isinstance(value, dict) else message


@faulty("invalid-json", "truncated-json", "empty", step="read")
def parse_errors_uncaught(body: bytes) -> Message | Response:
    """Does not catch the exceptions of json.loads and answers 500."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Response(400, "the body is not UTF-8")
    json.loads(text)
    return behaviour.read(body)


@faulty("empty", step="read")
def empty_body_is_a_ping(body: bytes) -> Message | Response:
    """Answers 200 to an empty body, as to a health check."""
    return behaviour.read(body) if body else Response(200, "pong")


@faulty("not-an-object", step="read")
def any_value_is_a_message(body: bytes) -> Message | Response:
    """Reads msgId from any JSON value and answers 500 to an array or null."""
    message = behaviour.read(body)
    if message == Response(400, "the body is not a JSON object"):
        raise AttributeError("'list' object has no attribute 'get'")
    return message


@faulty("not-an-object", step="read")
def arrays_are_batches(body: bytes) -> Message | Response:
    """Treats an array as a batch of messages and acknowledges an empty one."""
    if body.strip() == b"[]":
        return Response(200, "0 messages")
    return behaviour.read(body)


@faulty("invalid-utf8", step="read")
def bad_bytes_replaced(body: bytes) -> Message | Response:
    """Replaces invalid UTF-8 in the body and stores text that was not sent.

    As Flask's as_text=True and Go's encoding/json do.
    """
    return behaviour.read(body.decode(errors="replace").encode())


@faulty("invalid-utf8", step="read")
def decode_errors_uncaught(body: bytes) -> Message | Response:
    """Catches only JSONDecodeError and answers 500 to a body that is not UTF-8.

    Decoding raises UnicodeDecodeError.
    """
    body.decode()
    return behaviour.read(body)


@faulty("missing-msgid", step="msg_id")
def missing_msgid_throws(message: Message) -> str | Response:
    """Reads message["msgId"] and answers 500 when it is absent."""
    if "msgId" not in message:
        raise KeyError("msgId")
    return behaviour.msg_id(message)


@faulty("missing-msgid", step="msg_id")
def missing_msgid_invented(message: Message) -> str | Response:
    """Makes up an id for a message without msgId."""
    return behaviour.msg_id(message) if "msgId" in message else secrets.token_hex(8)


@faulty("empty-msgid", step="msg_id")
def empty_msgid_taken(message: Message) -> str | Response:
    """Checks that msgId is a string, but not that it is not empty."""
    return "" if message.get("msgId") == "" else behaviour.msg_id(message)


@faulty("null-msgid", step="msg_id")
def null_msgid_taken(message: Message) -> str | Response:
    """Declares msgId as required but nullable, and accepts null.

    null is stored as the text "null".
    """
    return "null" if message.get("msgId", "") is None else behaviour.msg_id(message)


@faulty("non-string-msgid", step="msg_id")
def msgid_made_text(message: Message) -> str | Response:
    """Converts an object or an array in msgId to text and uses that as the id.

    str() of any truthy value.
    """
    value = message.get("msgId")
    return str(value) if value else Response(400, "msgId is missing")


@faulty("non-string-msgid", step="msg_id")
def msgid_not_hashable(message: Message) -> str | Response:
    """Looks msgId up in a set and answers 500 when it is an object or an array.

    As in the guide's own sample, which looks before it checks that msgId is a string.
    """
    value = message.get("msgId")
    if not value:
        return Response(400, "msgId is missing")
    hash(value)
    return behaviour.msg_id(message)


@faulty("wrong-types", step="process")
def msgtype_cast_throws(message: Message) -> None:
    """Calls int() on msgType and answers 500 when it is not a number."""
    int(message.get("msgType", 0))


@faulty("wrong-types", step="process")
def content_method_throws(message: Message) -> None:
    """Calls strip() on the content of text messages and answers 500 when it is not a string."""
    if message.get("msgType") == 1:
        message.get("content", "").strip()


@faulty("missing-field", step="process")
def missing_field_throws(message: Message) -> None:
    """Reads message["isHistory"] and answers 500 when it is absent."""
    message["isHistory"]


@faulty("lone-surrogate", step="process")
def lone_surrogate_throws(message: Message) -> None:
    """Encodes the content as UTF-8 and answers 500 to a lone surrogate.

    As a database driver does.
    """
    str(message.get("content")).encode()


@faulty("deep-nesting", step="read")
def nesting_throws(body: bytes) -> Message | Response:
    """Answers 500 to a body that is nested too deeply for its parser.

    It catches only what the parser raises for text that is not JSON.
    """
    message = behaviour.read(body)
    if isinstance(message, Response) and "nested" in (message.message or ""):
        raise RecursionError("maximum recursion depth exceeded")
    return message


@faulty("refusal-status", step="read")
def bodies_refused_with_422(body: bytes) -> Message | Response:
    """Answers 422 to a body that it cannot read, the default of FastAPI."""
    message = behaviour.read(body)
    return replace(message, status=422) if isinstance(message, Response) else message


@faulty("duplicate-keys")
def two_readings_of_the_id() -> ReceiverBehaviour:
    """Recognises repeats by the first msgId in a body but processes the message under the last."""

    def read(body: bytes) -> Message | Response:
        message = behaviour.read(body)
        twice = isinstance(message, Response) and "twice" in (message.message or "")
        return json.loads(body) if twice else message

    def key(arrival: Arrival) -> str | None:
        first = re.search(rb'"msgId"\s*:\s*"([^"]*)"', arrival.delivery.body)
        return first[1].decode() if first else None

    return ReceiverBehaviour(read=read, key=key)


@faulty("answered", step="receive")
async def worker_dies_of_nesting(request: web.Request) -> bytes | Response:
    """Crashes its worker on a deeply nested body and closes the connection unanswered.

    A recursive parser in C without a limit: the stack overflows and kills the worker process.
    """
    body = await behaviour.receive(request)
    if isinstance(body, bytes) and body.count(b"[") > 1000 and request.transport is not None:
        request.transport.abort()
    return body


@faulty("not-an-object", "answered", "receiver.time.within-deadline", step="receive")
async def null_never_answered(request: web.Request) -> bytes | Response:
    """Throws on a body of null, never turns the error into an answer, and hangs.

    Express 4 with an async handler: `body.msgId` throws on null, and nothing handles the error.
    """
    body = await behaviour.receive(request)
    if body == b"null":
        await asyncio.sleep(8)  # longer than the suite waits past the deadline
    return body
