"""Senders that change the message itself, as services do that forward WeChat's own formats.

Rules: sender.wire.schema, .faithful, .link-content, .msgid-unique
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from conformance.gallery.peer import Faults, row
from conformance.gallery.senders.serve import SENDER
from conformance.gallery.senders.steps import Message
from conformance.sender.behaviour import test_message

_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\ufeff]")
_OUTSIDE_BMP = re.compile("[\U00010000-\U0010ffff]")

faulty = Faults("sender.wire", SENDER)


@faulty("schema", step="message")
def id_as_number(message: Message) -> Message:
    """Writes msgId as a number."""
    digits = message["msgId"]
    return message | ({"msgId": int(digits)} if digits.isdecimal() else {})


@faulty(
    "schema",
    step="message",
    rows=(
        row("type-as-text", "msgType", name="msgType"),
        row("time-as-text", "createTime", name="createTime"),
    ),
)
def _as_text(message: Message, *, name: str) -> Message:
    """Writes {} as a string."""
    return message | {name: str(message[name])}


@faulty("schema", step="message")
def flags_as_numbers(message: Message) -> Message:
    """Writes false and true as 0 and 1."""
    return {
        name: int(value) if isinstance(value, bool) else value for name, value in message.items()
    }


@faulty("schema", step="message")
def false_left_out(message: Message) -> Message:
    """Leaves out fields that are false.

    `omitempty` on every field of a Go struct.
    """
    return {name: value for name, value in message.items() if value is not False}


@faulty("schema", step="message")
def users_wrapped(message: Message) -> Message:
    """Writes users as objects instead of strings.

    As WeChat's own protocol has all strings.
    """
    return message | {name: {"string": message[name]} for name in ("fromUser", "toUser")}


@faulty("schema", step="message")
def link_as_xml(message: Message) -> Message:
    """Forwards a link as WeChat's own XML."""
    link = message["content"]
    if not isinstance(link, dict):
        return message
    parts = "".join(f"<{name}>{html.escape(str(value))}</{name}>" for name, value in link.items())
    return message | {"content": f"<msg><appmsg>{parts}</appmsg></msg>"}


@faulty("link-content", "faithful", step="message")
def link_without_url(message: Message) -> Message:
    """Keeps the title and description of a link but loses its URL."""
    link = message["content"]
    if not isinstance(link, dict):
        return message
    return message | {"content": {name: link[name] for name in link if name != "url"}}


@faulty(
    "faithful",
    step="message",
    rows=(
        row("trims-text", "trims text", change=str.strip),
        row(
            "escapes-html",
            "escapes text for HTML",
            change=lambda text: html.escape(text, quote=False),
        ),
        row(
            "strips-direction-marks",
            "strips invisible characters from text, right-to-left marks among them",
            "faithful[drawn]",
            change=lambda text: _DIRECTION.sub("", text),
        ),
        row(
            "loses-emoji",
            "stores text in three-byte utf8, which turns emoji into question marks",
            change=lambda text: _OUTSIDE_BMP.sub("?", text),
        ),
        row(
            "cuts-long-text",
            "truncates text to 4096 characters",
            change=lambda text: text[:4096],
        ),
    ),
)
def _change_text(message: Message, *, change: Callable[[str], str]) -> Message:
    """Changes the text of messages, and nothing else."""
    text = message["content"]
    return message | ({"content": change(text)} if isinstance(text, str) else {})


@faulty("faithful", step="message")
def id_through_a_double(message: Message) -> Message:
    """Reads msgId as a floating-point number, which changes its last digits.

    As JSON.parse reads an int64, and String() writes the result.
    """
    digits = message["msgId"]
    if not digits.isdecimal():
        return message
    return message | {"msgId": str(int(Decimal(repr(float(digits)))))}


@faulty("schema", step="test")
def test_pings(now: float) -> dict[str, Any]:
    """Sends a Test that is not a message."""
    return {"event": "ping", "timestamp": int(now)}


@faulty("msgid-unique", step="test")
def test_id_fixed(now: float) -> dict[str, Any]:
    """Uses the same msgId for every test message."""
    return test_message(now) | {"msgId": "test-message"}
