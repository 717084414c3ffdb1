"""Receivers that break on input that no fixed case sends. Rules: receiver.fuzz.*

Each passes, or nearly passes, the fixed rules of its kind. Its fault is in a field, a value or an
order that only drawn input reaches.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from conformance.gallery.peer import Faults, row
from conformance.gallery.receivers.duplicate import drop_oldest, id_marked_before_check
from conformance.gallery.receivers.serve import RECEIVER
from conformance.model.exchange import Headers
from conformance.protocol.signing import Signer
from conformance.receiver import behaviour
from conformance.receiver.behaviour import Arrival, Message, Response
from conformance.receiver.inbox import Inbox

faulty = Faults("receiver.fuzz", RECEIVER)


def _all_text(value: object) -> str:
    """All text in a JSON value, joined."""
    match value:
        case dict():
            return "".join(key + _all_text(inner) for key, inner in value.items())
        case list():
            return "".join(map(_all_text, value))
        case _:
            return str(value)


@faulty("valid[SHOULD]", step="process")
def nul_breaks_storage(message: Message) -> None:
    """Answers 500 to U+0000 anywhere in the content, links included.

    As PostgreSQL refuses U+0000 in a jsonb column.
    """
    if "\0" in _all_text(message.get("content")):
        raise ValueError("unsupported Unicode escape sequence")


@faulty("valid", step="process")
def links_without_url_refused(message: Message) -> Response | None:
    """Refuses the content of a type 49 message without the key url.

    A model of links written from a single example.
    """
    content = message.get("content")
    if message.get("msgType") == 49 and isinstance(content, dict) and "url" not in content:
        return Response(400, "content.url is missing")
    return None


@faulty("valid[SHOULD]", step="process")
def date_of_createtime(message: Message) -> None:
    """Converts createTime to a date and answers 500 when it is out of range.

    A date to show with the message. Most int64 values are out of range.
    """
    created = message.get("createTime")
    if isinstance(created, int) and not isinstance(created, bool):
        datetime.fromtimestamp(created, UTC)


@faulty("malformed", step="process")
def surrogate_in_account_throws(message: Message) -> None:
    """Encodes fromUser as UTF-8 and answers 500 to a lone surrogate.

    As a database driver does.
    """
    str(message.get("fromUser")).encode()


@faulty("malformed", step="msg_id")
def msgid_method_throws(message: Message) -> str | Response:
    """Calls strip() on msgId and answers 500 when it is not a string."""
    value: Any = message.get("msgId")
    return behaviour.msg_id({**message, "msgId": value.strip()} if value else message)


@faulty("malformed[MAY]", step="read")
def recursion_uncaught(body: bytes) -> Message | Response:
    """Does not catch the parser's RecursionError and answers 500 to deep nesting."""
    with suppress(ValueError):
        json.loads(body.decode())
    return behaviour.read(body)


@faulty(
    "forged[SHOULD]",
    step="body",
    rows=(
        row(
            "bad-bytes-left-out",
            "drops invalid UTF-8 from the body",
            errors="ignore",
        ),
        row("bad-bytes-made-ufffd", "replaces invalid UTF-8 with U+FFFD", errors="replace"),
    ),
)
def _decode_loosely(body: bytes, *, errors: str) -> bytes:
    """{} before it checks the signature."""
    return body.decode("utf-8", errors).encode()


@faulty("forged", step="matches")
def last_digits_left_out(right: bytes, signature: bytes) -> bool:
    """Does not compare the last two digits of the signature.

    Compares digit by digit, in a loop that ends one pair too early.
    """
    return len(signature) == len(right) and right[:62] == signature[:62]


@faulty("sequence[SHOULD]", step="store", state=dict)
async def forgets_after_300(
    known: dict[str, None], inbox: Inbox, arrival: Arrival, key: str | None
) -> bool:
    """Remembers only the last 300 ids."""
    return await drop_oldest(known, inbox, arrival, key, size=300)


@faulty("sequence", step="authenticate", state=set)
def id_noted_before_check(
    known: set[bytes], headers: Headers, body: bytes, signer: Signer, now: float
) -> Response | None:
    """Marks the id of a forgery as seen and drops the real message as a repeat."""
    return id_marked_before_check(known, headers, body, signer, now)


@faulty("sequence", step="store", state=Counter)
async def third_time_new(
    copies: Counter[str], inbox: Inbox, arrival: Arrival, key: str | None
) -> bool | Response:
    """Recognises the second copy of a message but processes the third.

    Counts copies instead of setting a flag.
    """
    msg_id = arrival.delivery.msg_id
    copies[msg_id] += 1
    return copies[msg_id] in (1, 3) and await inbox.add(arrival.delivery, None)
