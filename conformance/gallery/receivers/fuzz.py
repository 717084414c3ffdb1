"""Receivers that break on what no fixed case sends. Rules: receiver.fuzz.*

Each would pass, or nearly, the rules of its kind: the fault is in a field, a value or an order that
somebody must come upon.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import web

from conformance.gallery.peer import Faulty
from conformance.gallery.receivers.duplicate import first_in_first_out, marked_before_check
from conformance.receiver import behaviour as behaviour
from conformance.receiver.behaviour import Arrival, Message, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox


def _texts(value: object) -> str:
    """Every text in a JSON value."""
    match value:
        case dict():
            return "".join(key + _texts(inner) for key, inner in value.items())
        case list():
            return "".join(map(_texts, value))
        case _:
            return str(value)


def _stored_as_text(message: Message) -> Response | None:
    """What PostgreSQL says of U+0000 in a column of type jsonb."""
    if "\0" in _texts(message.get("content")):
        raise ValueError("unsupported Unicode escape sequence")
    return None


def _account_encoded(message: Message) -> Response | None:
    """What a database driver does with text."""
    str(message.get("fromUser")).encode()
    return None


def _link_fields(message: Message) -> Response | None:
    """A model of links made of the first one that came."""
    content = message.get("content")
    if message.get("msgType") == 49 and isinstance(content, dict) and "url" not in content:
        return Response(400, "content.url is missing")
    return None


def _as_date(message: Message) -> Response | None:
    """A date for the page that shows the message; there is none for most of what an int64 holds."""
    created = message.get("createTime")
    if isinstance(created, int) and not isinstance(created, bool):
        datetime.fromtimestamp(created, UTC)
    return None


def _id_stripped(message: Message) -> str | Response:
    """Calls a method of strings on whatever is truthy."""
    found: Any = message.get("msgId")
    return behaviour.msg_id({**message, "msgId": found.strip()} if found else message)


def _recursive(body: bytes) -> Message | Response:
    """Catches the parser's own error, and not that of the stack."""
    with suppress(ValueError):
        json.loads(body.decode())
    return behaviour.read(body)


async def _decoded(request: web.Request, *, errors: str) -> bytes | Response:
    body = await behaviour.receive(request)
    return body if isinstance(body, Response) else body.decode("utf-8", errors).encode()


def _same_digits(right: bytes, given: bytes) -> bool:
    """Compares digit by digit, in a loop that ends one pair too early."""
    return len(given) == len(right) and all(
        one == other for one, other in zip(right[:62], given[:62], strict=True)
    )


def _third_time_new() -> ReceiverBehaviour:
    """A flag that is turned instead of set: every other repeat counts as new."""
    seen: dict[str, int] = {}

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        msg_id = arrival.delivery.msg_id
        seen[msg_id] = seen.get(msg_id, 0) + 1
        return seen[msg_id] in (1, 3) and await inbox.add(arrival.delivery, None)

    return ReceiverBehaviour(store=store)


def _fuzz(*names: str) -> tuple[str, ...]:
    """Rules, or `rule[LEVEL]` where what is found weighs less than the rule."""
    return tuple(f"receiver.fuzz.{name}" for name in names)


def _processing(process: Callable[[Message], Response | None]) -> ReceiverBehaviour:
    return ReceiverBehaviour(process=process)


FUZZ = (
    Faulty(
        "nul-breaks-storage",
        "answers 500 to U+0000 anywhere in the content, that of links included",
        _fuzz("valid[SHOULD]"),
        _processing(_stored_as_text),
    ),
    Faulty(
        "links-without-url-refused",
        "refuses a content of type 49 that has no key of the name url",
        _fuzz("valid"),
        _processing(_link_fields),
    ),
    Faulty(
        "date-of-createtime",
        "makes a date of createTime before the answer, and answers 500 where there is none",
        _fuzz("valid[SHOULD]"),
        _processing(_as_date),
    ),
    Faulty(
        "surrogate-in-account-throws",
        "encodes fromUser as UTF-8 before the answer, and answers 500 to half a surrogate pair",
        _fuzz("malformed"),
        _processing(_account_encoded),
    ),
    Faulty(
        "msgid-method-throws",
        "calls a method of strings on msgId, and answers 500 when it is no string",
        _fuzz("malformed"),
        ReceiverBehaviour(msg_id=_id_stripped),
    ),
    Faulty(
        "recursion-uncaught",
        "does not catch the parser's RecursionError, and answers 500 to deep nesting",
        _fuzz("malformed[MAY]"),
        ReceiverBehaviour(read=_recursive),
    ),
    Faulty(
        "bad-bytes-left-out",
        "decodes the body without its invalid bytes, and checks and reads what is left",
        _fuzz("forged[SHOULD]"),
        ReceiverBehaviour(receive=partial(_decoded, errors="ignore")),
    ),
    Faulty(
        "bad-bytes-made-ufffd",
        "decodes the body with U+FFFD for invalid bytes, and checks and reads that text",
        _fuzz("forged[SHOULD]"),
        ReceiverBehaviour(receive=partial(_decoded, errors="replace")),
    ),
    Faulty(
        "last-digits-left-out",
        "compares the signature but for its last two digits",
        _fuzz("forged"),
        ReceiverBehaviour(authenticate=partial(behaviour.authenticate, matches=_same_digits)),
    ),
    Faulty(
        "forgets-after-300",
        "remembers the last 300 ids in memory",
        _fuzz("sequence[SHOULD]"),
        partial(first_in_first_out, 300),
    ),
    Faulty(
        "id-noted-before-check",
        "notes the id of a forgery, and takes the message itself for a repeat",
        _fuzz("sequence"),
        marked_before_check,
    ),
    Faulty(
        "third-time-new",
        "knows the second copy of a message, and processes the third",
        _fuzz("sequence"),
        _third_time_new,
    ),
)
