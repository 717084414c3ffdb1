"""Senders that change the message itself, as services do that forward WeChat's own formats.

Rules: sender.wire.schema, .faithful, .link-content, .msgid-unique
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from decimal import Decimal

from conformance.gallery.senders.peer import FaultySender, Message, writing
from conformance.sender.behaviour import SenderBehaviour, test_message

LONGEST = 4096
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\ufeff]")
_OUTSIDE_BMP = re.compile("[\U00010000-\U0010ffff]")


def _id_as_number(message: Message) -> Message:
    digits = message["msgId"]
    return message | ({"msgId": int(digits)} if digits.isdecimal() else {})


def _id_as_double(message: Message) -> Message:
    """As JSON.parse reads an int64, and String() writes the result."""
    digits = message["msgId"]
    if not digits.isdecimal():
        return message
    return message | {"msgId": str(int(Decimal(repr(float(digits)))))}


def _link_as_xml(message: Message) -> Message:
    """An app message in WeChat's own XML."""
    link = message["content"]
    if not isinstance(link, dict):
        return message
    parts = "".join(f"<{name}>{html.escape(str(value))}</{name}>" for name, value in link.items())
    return message | {"content": f"<msg><appmsg>{parts}</appmsg></msg>"}


def _link_without_url(message: Message) -> Message:
    link = message["content"]
    if not isinstance(link, dict):
        return message
    return message | {"content": {name: link[name] for name in link if name != "url"}}


def _without_false(message: Message) -> Message:
    """`omitempty` on every field of a Go struct."""
    return {name: value for name, value in message.items() if value is not False}


def _flags_as_numbers(message: Message) -> Message:
    return {
        name: int(value) if isinstance(value, bool) else value for name, value in message.items()
    }


def _users_wrapped(message: Message) -> Message:
    """Strings as WeChat's own protocol has them: as objects."""
    return message | {name: {"string": message[name]} for name in ("fromUser", "toUser")}


def _changing_text(change: Callable[[str], str]) -> SenderBehaviour:
    """Changes the text of messages, and nothing else."""

    def changed(message: Message) -> Message:
        text = message["content"]
        return message | ({"content": change(text)} if isinstance(text, str) else {})

    return writing(changed)


def _rule(*names: str) -> tuple[str, ...]:
    return tuple(f"sender.wire.{name}" for name in names)


MESSAGE = (
    FaultySender(
        "id-as-number",
        "writes msgId as a number",
        _rule("schema"),
        writing(_id_as_number),
    ),
    FaultySender(
        "type-as-text",
        "writes msgType as a string",
        _rule("schema"),
        writing(lambda message: message | {"msgType": str(message["msgType"])}),
    ),
    FaultySender(
        "time-as-text",
        "writes createTime as a string",
        _rule("schema"),
        writing(lambda message: message | {"createTime": str(message["createTime"])}),
    ),
    FaultySender(
        "flags-as-numbers",
        "writes false and true as 0 and 1",
        _rule("schema"),
        writing(_flags_as_numbers),
    ),
    FaultySender(
        "false-left-out",
        "leaves out fields that are false",
        _rule("schema"),
        writing(_without_false),
    ),
    FaultySender(
        "users-wrapped",
        "writes users as objects instead of strings",
        _rule("schema"),
        writing(_users_wrapped),
    ),
    FaultySender(
        "link-as-xml",
        "forwards a link as WeChat's own XML",
        _rule("schema"),
        writing(_link_as_xml),
    ),
    FaultySender(
        "link-without-url",
        "keeps the title and description of a link but loses its URL",
        _rule("link-content", "faithful"),
        writing(_link_without_url),
    ),
    FaultySender(
        "trims-text",
        "trims text",
        _rule("faithful"),
        _changing_text(str.strip),
    ),
    FaultySender(
        "escapes-html",
        "escapes text for HTML",
        _rule("faithful"),
        _changing_text(lambda text: html.escape(text, quote=False)),
    ),
    FaultySender(
        "strips-direction-marks",
        "strips invisible characters from text, right-to-left marks among them",
        _rule("faithful[drawn]"),
        _changing_text(lambda text: _DIRECTION.sub("", text)),
    ),
    FaultySender(
        "loses-emoji",
        "stores text in three-byte utf8, which turns emoji into question marks",
        _rule("faithful"),
        _changing_text(lambda text: _OUTSIDE_BMP.sub("?", text)),
    ),
    FaultySender(
        "cuts-long-text",
        f"truncates text to {LONGEST} characters",
        _rule("faithful"),
        _changing_text(lambda text: text[:LONGEST]),
    ),
    FaultySender(
        "id-through-a-double",
        "reads msgId as a floating-point number, which changes its last digits",
        _rule("faithful"),
        writing(_id_as_double),
    ),
    FaultySender(
        "test-pings",
        "sends a Test that is not a message",
        _rule("schema"),
        SenderBehaviour(test=lambda now: {"event": "ping", "timestamp": int(now)}),
    ),
    FaultySender(
        "test-id-fixed",
        "uses the same msgId for every test message",
        _rule("msgid-unique"),
        SenderBehaviour(test=lambda now: test_message(now) | {"msgId": "test-message"}),
    ),
)
