"""Receivers that break on input that no fixed case sends. Rules: receiver.fuzz.*

Each passes, or nearly passes, the fixed rules of its kind. Its fault is in a field, a value or an
order that only drawn input reaches.
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
from conformance.gallery.receivers.duplicate import drop_oldest, mark_before_check
from conformance.receiver import behaviour
from conformance.receiver.behaviour import Arrival, Message, ReceiverBehaviour, Response
from conformance.receiver.inbox import Inbox


def _all_text(value: object) -> str:
    """All text in a JSON value, joined."""
    match value:
        case dict():
            return "".join(key + _all_text(inner) for key, inner in value.items())
        case list():
            return "".join(map(_all_text, value))
        case _:
            return str(value)


def _refuse_nul(message: Message) -> Response | None:
    """As PostgreSQL refuses U+0000 in a jsonb column."""
    if "\0" in _all_text(message.get("content")):
        raise ValueError("unsupported Unicode escape sequence")
    return None


def _encode_account(message: Message) -> Response | None:
    """Encodes text as a database driver does."""
    str(message.get("fromUser")).encode()
    return None


def _require_link_url(message: Message) -> Response | None:
    """A model of links written from a single example."""
    content = message.get("content")
    if message.get("msgType") == 49 and isinstance(content, dict) and "url" not in content:
        return Response(400, "content.url is missing")
    return None


def _convert_to_date(message: Message) -> Response | None:
    """A date to show with the message. Most int64 values are out of range."""
    created = message.get("createTime")
    if isinstance(created, int) and not isinstance(created, bool):
        datetime.fromtimestamp(created, UTC)
    return None


def _strip_id(message: Message) -> str | Response:
    """Calls strip() on any truthy value."""
    value: Any = message.get("msgId")
    return behaviour.msg_id({**message, "msgId": value.strip()} if value else message)


def _read_recursively(body: bytes) -> Message | Response:
    """Catches ValueError but not RecursionError."""
    with suppress(ValueError):
        json.loads(body.decode())
    return behaviour.read(body)


async def _decode_loosely(request: web.Request, *, errors: str) -> bytes | Response:
    body = await behaviour.receive(request)
    return body if isinstance(body, Response) else body.decode("utf-8", errors).encode()


def _matches_early_digits(right: bytes, signature: bytes) -> bool:
    """Compares digit by digit, in a loop that ends one pair too early."""
    return len(signature) == len(right) and all(
        one == other for one, other in zip(right[:62], signature[:62], strict=True)
    )


def _accept_third_copy() -> ReceiverBehaviour:
    """Counts copies instead of setting a flag, and takes the third for new."""
    copies: dict[str, int] = {}

    async def store(inbox: Inbox, arrival: Arrival, key: str | None) -> bool | Response:
        msg_id = arrival.delivery.msg_id
        copies[msg_id] = copies.get(msg_id, 0) + 1
        return copies[msg_id] in (1, 3) and await inbox.add(arrival.delivery, None)

    return ReceiverBehaviour(store=store)


def _fuzz(*names: str) -> tuple[str, ...]:
    """Ids of fuzz rules, or `rule[LEVEL]` for a finding of a lower level than the rule."""
    return tuple(f"receiver.fuzz.{name}" for name in names)


def _processing(process: Callable[[Message], Response | None]) -> ReceiverBehaviour:
    return ReceiverBehaviour(process=process)


FUZZ = (
    Faulty(
        "nul-breaks-storage",
        "answers 500 to U+0000 anywhere in the content, links included",
        _fuzz("valid[SHOULD]"),
        _processing(_refuse_nul),
    ),
    Faulty(
        "links-without-url-refused",
        "refuses the content of a type 49 message without the key url",
        _fuzz("valid"),
        _processing(_require_link_url),
    ),
    Faulty(
        "date-of-createtime",
        "converts createTime to a date and answers 500 when it is out of range",
        _fuzz("valid[SHOULD]"),
        _processing(_convert_to_date),
    ),
    Faulty(
        "surrogate-in-account-throws",
        "encodes fromUser as UTF-8 and answers 500 to a lone surrogate",
        _fuzz("malformed"),
        _processing(_encode_account),
    ),
    Faulty(
        "msgid-method-throws",
        "calls strip() on msgId and answers 500 when it is not a string",
        _fuzz("malformed"),
        ReceiverBehaviour(msg_id=_strip_id),
    ),
    Faulty(
        "recursion-uncaught",
        "does not catch the parser's RecursionError and answers 500 to deep nesting",
        _fuzz("malformed[MAY]"),
        ReceiverBehaviour(read=_read_recursively),
    ),
    Faulty(
        "bad-bytes-left-out",
        "drops invalid UTF-8 from the body before it checks the signature",
        _fuzz("forged[SHOULD]"),
        ReceiverBehaviour(receive=partial(_decode_loosely, errors="ignore")),
    ),
    Faulty(
        "bad-bytes-made-ufffd",
        "replaces invalid UTF-8 with U+FFFD before it checks the signature",
        _fuzz("forged[SHOULD]"),
        ReceiverBehaviour(receive=partial(_decode_loosely, errors="replace")),
    ),
    Faulty(
        "last-digits-left-out",
        "does not compare the last two digits of the signature",
        _fuzz("forged"),
        ReceiverBehaviour(
            authenticate=partial(behaviour.authenticate, matches=_matches_early_digits)
        ),
    ),
    Faulty(
        "forgets-after-300",
        "remembers only the last 300 ids",
        _fuzz("sequence[SHOULD]"),
        partial(drop_oldest, 300),
    ),
    Faulty(
        "id-noted-before-check",
        "marks the id of a forgery as seen and drops the real message as a repeat",
        _fuzz("sequence"),
        mark_before_check,
    ),
    Faulty(
        "third-time-new",
        "recognises the second copy of a message but processes the third",
        _fuzz("sequence"),
        _accept_third_copy,
    ),
)
