"""Receivers that make too much of a malformed body, or break on it. Rules: receiver.body.*

receiver.body.answered is about any body: whoever leaves one without an answer breaks the rule for that
body as well. Its narrow peer does so where the body's own rule is only MAY (deep-nesting).
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from conformance.gallery.peer import Faulty
from conformance.receiver import behaviour as behaviour
from conformance.receiver.behaviour import Message, ReceiverBehaviour, Response


def _tolerant(body: bytes, *, second: Callable[[str], Any]) -> Message | Response:
    """The message as it is read, or else as the `second` parser makes one of the body."""
    message = behaviour.read(body)
    if not isinstance(message, Response):
        return message
    try:
        found = second(body.decode())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return message
    return found if isinstance(found, dict) else message


def _trailing_commas(text: str) -> Any:
    return json.loads(re.sub(r",\s*([}\]])", r"\1", text))


def _python_literal(text: str) -> Any:
    """What Python prints of a dict, but for the names of its constants."""
    return ast.literal_eval(re.sub(r"\b(true|false)\b", lambda found: found[0].title(), text))


def _form(text: str) -> Any:
    """express.urlencoded beside express.json, or Flask's request.values."""
    return {name: values[0] for name, values in parse_qs(text).items()}


def _completed(text: str) -> Any:
    """A parser for streams, which closes what the text leaves open."""
    for end in ("}", '"}', '":null}', ":null}", "null}"):
        try:
            return json.loads(text + end)
        except ValueError:
            continue
    return None


def _throwing(body: bytes) -> Message | Response:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Response(400, "the body is not UTF-8")
    json.loads(text)
    return behaviour.read(body)


def _throwing_on_bytes(body: bytes) -> Message | Response:
    """`except json.JSONDecodeError` around the decoding too, which raises another error."""
    body.decode()
    return behaviour.read(body)


def _replacing(body: bytes) -> Message | Response:
    """Flask's as_text=True, Go's encoding/json."""
    return behaviour.read(body.decode(errors="replace").encode())


def _pong(body: bytes) -> Message | Response:
    return behaviour.read(body) if body else Response(200, "pong")


def _any_value(body: bytes) -> Message | Response:
    """Whatever parses goes on; the next step asks it for its msgId, and an array has no `get`."""
    message = behaviour.read(body)
    if message == Response(400, "the body is not a JSON object"):
        raise AttributeError("'list' object has no attribute 'get'")
    return message


def _batch(body: bytes) -> Message | Response:
    """Takes an array for a batch of messages, and an empty one for an empty batch."""
    if body.strip() == b"[]":
        return Response(200, "0 messages")
    return behaviour.read(body)


def _id_by_key(message: Message) -> str | Response:
    if "msgId" not in message:
        raise KeyError("msgId")
    return behaviour.msg_id(message)


def _id_invented(message: Message) -> str | Response:
    return behaviour.msg_id(message) if "msgId" in message else secrets.token_hex(8)


def _id_if_string(message: Message) -> str | Response:
    """isinstance(msgId, str), and no look at its length."""
    return "" if message.get("msgId") == "" else behaviour.msg_id(message)


def _id_nullable(message: Message) -> str | Response:
    """A property that is required and nullable: null is stored as the text of null."""
    return "null" if message.get("msgId", "") is None else behaviour.msg_id(message)


def _id_as_text(message: Message) -> str | Response:
    """str() of whatever is truthy."""
    found = message.get("msgId")
    return str(found) if found else Response(400, "msgId is missing")


def _id_in_set(message: Message) -> str | Response:
    """The guide's own sample: looks msgId up in a set before it knows that it is a string."""
    found = message.get("msgId")
    if not found:
        return Response(400, "msgId is missing")
    hash(found)
    return behaviour.msg_id(message)


def _type_as_int(message: Message) -> Response | None:
    int(message.get("msgType", 0))
    return None


def _text_stripped(message: Message) -> Response | None:
    if message.get("msgType") == 1:
        message.get("content", "").strip()
    return None


def _field_by_key(message: Message, *, name: str) -> Response | None:
    message[name]
    return None


def _encoded(message: Message) -> Response | None:
    """What a database driver does with text."""
    str(message.get("content")).encode()
    return None


async def _worker_dies(request: web.Request) -> bytes | Response:
    """A recursive parser in C without a limit: the stack ends, and the worker process with it."""
    body = await behaviour.receive(request)
    if isinstance(body, bytes) and body.count(b"[") > 1000 and request.transport is not None:
        request.transport.abort()
    return body


async def _never_answers(request: web.Request) -> bytes | Response:
    """Express 4 with an async handler: `body.msgId` of null throws, and nobody hears of it."""
    body = await behaviour.receive(request)
    if body == b"null":
        await asyncio.sleep(6.5)
    return body


BODY = (
    Faulty(
        "trailing-commas-taken",
        "reads JSON with a parser that lets trailing commas pass",
        ("receiver.body.invalid-json",),
        ReceiverBehaviour(read=partial(_tolerant, second=_trailing_commas)),
    ),
    Faulty(
        "python-literals-taken",
        "falls back on ast.literal_eval for a body that is not JSON",
        ("receiver.body.invalid-json",),
        ReceiverBehaviour(read=partial(_tolerant, second=_python_literal)),
    ),
    Faulty(
        "form-bodies-taken",
        "falls back on form fields for a body that is not JSON",
        ("receiver.body.invalid-json",),
        ReceiverBehaviour(read=partial(_tolerant, second=_form)),
    ),
    Faulty(
        "parse-errors-uncaught",
        "answers 500 to whatever json.loads throws at",
        (
            "receiver.body.invalid-json",
            "receiver.body.truncated-json",
            "receiver.body.empty",
        ),
        ReceiverBehaviour(read=_throwing),
    ),
    Faulty(
        "cut-json-repaired",
        "closes what a cut body leaves open, and takes the half for a message",
        ("receiver.body.truncated-json",),
        ReceiverBehaviour(read=partial(_tolerant, second=_completed)),
    ),
    Faulty(
        "empty-body-is-a-ping",
        "answers 200 to an empty body as to a health check",
        ("receiver.body.empty",),
        ReceiverBehaviour(read=_pong),
    ),
    Faulty(
        "any-value-is-a-message",
        "asks whatever the JSON is for its msgId, and answers 500 to an array or null",
        ("receiver.body.not-an-object",),
        ReceiverBehaviour(read=_any_value),
    ),
    Faulty(
        "arrays-are-batches",
        "takes an array for a batch, and acknowledges an empty one",
        ("receiver.body.not-an-object",),
        ReceiverBehaviour(read=_batch),
    ),
    Faulty(
        "bad-bytes-replaced",
        "decodes the body with replacement, and stores other text than was sent",
        ("receiver.body.invalid-utf8",),
        ReceiverBehaviour(read=_replacing),
    ),
    Faulty(
        "decode-errors-uncaught",
        "catches JSONDecodeError alone, and answers 500 to bytes that are not UTF-8",
        ("receiver.body.invalid-utf8",),
        ReceiverBehaviour(read=_throwing_on_bytes),
    ),
    Faulty(
        "missing-msgid-throws",
        'reads message["msgId"], and answers 500 when it is absent',
        ("receiver.body.missing-msgid",),
        ReceiverBehaviour(msg_id=_id_by_key),
    ),
    Faulty(
        "missing-msgid-invented",
        "gives a message without msgId an id of its own",
        ("receiver.body.missing-msgid",),
        ReceiverBehaviour(msg_id=_id_invented),
    ),
    Faulty(
        "empty-msgid-taken",
        "checks that msgId is a string, and not that it says anything",
        ("receiver.body.empty-msgid",),
        ReceiverBehaviour(msg_id=_id_if_string),
    ),
    Faulty(
        "null-msgid-taken",
        "declares msgId as required and nullable",
        ("receiver.body.null-msgid",),
        ReceiverBehaviour(msg_id=_id_nullable),
    ),
    Faulty(
        "msgid-made-text",
        "turns an object or an array in msgId into text, and takes that for the id",
        ("receiver.body.non-string-msgid",),
        ReceiverBehaviour(msg_id=_id_as_text),
    ),
    Faulty(
        "msgid-not-hashable",
        "looks msgId up in a set first, and answers 500 when it is an object or an array",
        ("receiver.body.non-string-msgid",),
        ReceiverBehaviour(msg_id=_id_in_set),
    ),
    Faulty(
        "msgtype-cast-throws",
        "calls int() on msgType, and answers 500 when it is no number",
        ("receiver.body.wrong-types",),
        ReceiverBehaviour(process=_type_as_int),
    ),
    Faulty(
        "content-method-throws",
        "calls a method of strings on the content of a text message before the answer",
        ("receiver.body.wrong-types",),
        ReceiverBehaviour(process=_text_stripped),
    ),
    Faulty(
        "missing-field-throws",
        'reads message["isHistory"], and answers 500 when it is absent',
        ("receiver.body.missing-field",),
        ReceiverBehaviour(process=partial(_field_by_key, name="isHistory")),
    ),
    Faulty(
        "lone-surrogate-throws",
        "encodes the content as UTF-8 before the answer, and answers 500 to a lone surrogate",
        ("receiver.body.lone-surrogate",),
        ReceiverBehaviour(process=_encoded),
    ),
    Faulty(
        "worker-dies-of-nesting",
        "loses its worker to a deeply nested body, and closes the connection without an answer",
        ("receiver.body.answered",),
        ReceiverBehaviour(receive=_worker_dies),
    ),
    Faulty(
        "null-never-answered",
        "throws on null in a handler whose errors nobody turns into an answer, and hangs",
        (
            "receiver.body.not-an-object",
            "receiver.body.answered",
            "receiver.time.within-deadline",
        ),
        ReceiverBehaviour(receive=_never_answers),
    ),
)
