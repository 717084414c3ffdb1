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
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from conformance.gallery.peer import Faulty
from conformance.receiver import behaviour
from conformance.receiver.behaviour import Message, ReceiverBehaviour, Response


def _read_leniently(body: bytes, *, fallback: Callable[[str], Any]) -> Message | Response:
    """The message as strict JSON, or else as the `fallback` parser reads it."""
    message = behaviour.read(body)
    if not isinstance(message, Response):
        return message
    try:
        value = fallback(body.decode())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return message
    return value if isinstance(value, dict) else message


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


def _read_without_catching(body: bytes) -> Message | Response:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Response(400, "the body is not UTF-8")
    json.loads(text)
    return behaviour.read(body)


def _decode_without_catching(body: bytes) -> Message | Response:
    """Catches only json.JSONDecodeError, but decoding raises UnicodeDecodeError."""
    body.decode()
    return behaviour.read(body)


def _replace_bad_bytes(body: bytes) -> Message | Response:
    """As Flask's as_text=True and Go's encoding/json do."""
    return behaviour.read(body.decode(errors="replace").encode())


def _answer_ping(body: bytes) -> Message | Response:
    return behaviour.read(body) if body else Response(200, "pong")


def _read_any_value(body: bytes) -> Message | Response:
    """Passes any JSON value on. The next step calls `get` on it, which an array does not have."""
    message = behaviour.read(body)
    if message == Response(400, "the body is not a JSON object"):
        raise AttributeError("'list' object has no attribute 'get'")
    return message


def _read_batch(body: bytes) -> Message | Response:
    """Treats an array as a batch of messages, and an empty array as an empty batch."""
    if body.strip() == b"[]":
        return Response(200, "0 messages")
    return behaviour.read(body)


def _require_id_key(message: Message) -> str | Response:
    if "msgId" not in message:
        raise KeyError("msgId")
    return behaviour.msg_id(message)


def _invent_id(message: Message) -> str | Response:
    return behaviour.msg_id(message) if "msgId" in message else secrets.token_hex(8)


def _require_id_string(message: Message) -> str | Response:
    """isinstance(msgId, str), without a check of its length."""
    return "" if message.get("msgId") == "" else behaviour.msg_id(message)


def _allow_null_id(message: Message) -> str | Response:
    """A property that is required and nullable: null is stored as the text "null"."""
    return "null" if message.get("msgId", "") is None else behaviour.msg_id(message)


def _convert_id(message: Message) -> str | Response:
    """str() of any truthy value."""
    value = message.get("msgId")
    return str(value) if value else Response(400, "msgId is missing")


def _hash_id(message: Message) -> str | Response:
    """As in the guide's own sample: looks msgId up in a set before checking that it is a string."""
    value = message.get("msgId")
    if not value:
        return Response(400, "msgId is missing")
    hash(value)
    return behaviour.msg_id(message)


def _convert_type(message: Message) -> Response | None:
    int(message.get("msgType", 0))
    return None


def _strip_text(message: Message) -> Response | None:
    if message.get("msgType") == 1:
        message.get("content", "").strip()
    return None


def _require_key(message: Message, *, name: str) -> Response | None:
    message[name]
    return None


def _encode_content(message: Message) -> Response | None:
    """Encodes text as a database driver does."""
    str(message.get("content")).encode()
    return None


async def _abort_on_nesting(request: web.Request) -> bytes | Response:
    """A recursive parser in C without a limit: the stack overflows and kills the worker process."""
    body = await behaviour.receive(request)
    if isinstance(body, bytes) and body.count(b"[") > 1000 and request.transport is not None:
        request.transport.abort()
    return body


async def _hang_on_null(request: web.Request) -> bytes | Response:
    """Express 4 with an async handler: `body.msgId` throws on null, and nothing handles the error."""
    body = await behaviour.receive(request)
    if body == b"null":
        await asyncio.sleep(8)  # longer than the suite waits past the deadline
    return body


BODY = (
    Faulty(
        "trailing-commas-taken",
        "reads JSON with a parser that allows trailing commas",
        ("receiver.body.invalid-json",),
        ReceiverBehaviour(read=partial(_read_leniently, fallback=_parse_trailing_commas)),
    ),
    Faulty(
        "python-literals-taken",
        "falls back to ast.literal_eval when a body is not JSON",
        ("receiver.body.invalid-json",),
        ReceiverBehaviour(read=partial(_read_leniently, fallback=_parse_python_literal)),
    ),
    Faulty(
        "form-bodies-taken",
        "falls back to form fields when a body is not JSON",
        ("receiver.body.invalid-json",),
        ReceiverBehaviour(read=partial(_read_leniently, fallback=_parse_form)),
    ),
    Faulty(
        "parse-errors-uncaught",
        "does not catch the exceptions of json.loads and answers 500",
        (
            "receiver.body.invalid-json",
            "receiver.body.truncated-json",
            "receiver.body.empty",
        ),
        ReceiverBehaviour(read=_read_without_catching),
    ),
    Faulty(
        "cut-json-repaired",
        "repairs a truncated body and accepts it as a message",
        ("receiver.body.truncated-json",),
        ReceiverBehaviour(read=partial(_read_leniently, fallback=_parse_completed)),
    ),
    Faulty(
        "empty-body-is-a-ping",
        "answers 200 to an empty body, as to a health check",
        ("receiver.body.empty",),
        ReceiverBehaviour(read=_answer_ping),
    ),
    Faulty(
        "any-value-is-a-message",
        "reads msgId from any JSON value and answers 500 to an array or null",
        ("receiver.body.not-an-object",),
        ReceiverBehaviour(read=_read_any_value),
    ),
    Faulty(
        "arrays-are-batches",
        "treats an array as a batch of messages and acknowledges an empty one",
        ("receiver.body.not-an-object",),
        ReceiverBehaviour(read=_read_batch),
    ),
    Faulty(
        "bad-bytes-replaced",
        "replaces invalid UTF-8 in the body and stores text that was not sent",
        ("receiver.body.invalid-utf8",),
        ReceiverBehaviour(read=_replace_bad_bytes),
    ),
    Faulty(
        "decode-errors-uncaught",
        "catches only JSONDecodeError and answers 500 to a body that is not UTF-8",
        ("receiver.body.invalid-utf8",),
        ReceiverBehaviour(read=_decode_without_catching),
    ),
    Faulty(
        "missing-msgid-throws",
        'reads message["msgId"] and answers 500 when it is absent',
        ("receiver.body.missing-msgid",),
        ReceiverBehaviour(msg_id=_require_id_key),
    ),
    Faulty(
        "missing-msgid-invented",
        "makes up an id for a message without msgId",
        ("receiver.body.missing-msgid",),
        ReceiverBehaviour(msg_id=_invent_id),
    ),
    Faulty(
        "empty-msgid-taken",
        "checks that msgId is a string, but not that it is not empty",
        ("receiver.body.empty-msgid",),
        ReceiverBehaviour(msg_id=_require_id_string),
    ),
    Faulty(
        "null-msgid-taken",
        "declares msgId as required but nullable, and accepts null",
        ("receiver.body.null-msgid",),
        ReceiverBehaviour(msg_id=_allow_null_id),
    ),
    Faulty(
        "msgid-made-text",
        "converts an object or an array in msgId to text and uses that as the id",
        ("receiver.body.non-string-msgid",),
        ReceiverBehaviour(msg_id=_convert_id),
    ),
    Faulty(
        "msgid-not-hashable",
        "looks msgId up in a set and answers 500 when it is an object or an array",
        ("receiver.body.non-string-msgid",),
        ReceiverBehaviour(msg_id=_hash_id),
    ),
    Faulty(
        "msgtype-cast-throws",
        "calls int() on msgType and answers 500 when it is not a number",
        ("receiver.body.wrong-types",),
        ReceiverBehaviour(process=_convert_type),
    ),
    Faulty(
        "content-method-throws",
        "calls strip() on the content of text messages and answers 500 when it is not a string",
        ("receiver.body.wrong-types",),
        ReceiverBehaviour(process=_strip_text),
    ),
    Faulty(
        "missing-field-throws",
        'reads message["isHistory"] and answers 500 when it is absent',
        ("receiver.body.missing-field",),
        ReceiverBehaviour(process=partial(_require_key, name="isHistory")),
    ),
    Faulty(
        "lone-surrogate-throws",
        "encodes the content as UTF-8 and answers 500 to a lone surrogate",
        ("receiver.body.lone-surrogate",),
        ReceiverBehaviour(process=_encode_content),
    ),
    Faulty(
        "worker-dies-of-nesting",
        "crashes its worker on a deeply nested body and closes the connection unanswered",
        ("receiver.body.answered",),
        ReceiverBehaviour(receive=_abort_on_nesting),
    ),
    Faulty(
        "null-never-answered",
        "throws on a body of null, never turns the error into an answer, and hangs",
        (
            "receiver.body.not-an-object",
            "receiver.body.answered",
            "receiver.time.within-deadline",
        ),
        ReceiverBehaviour(receive=_hang_on_null),
    ),
)
