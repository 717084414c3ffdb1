"""Senders that change the message itself, as services do that pass WeChat's own forms on.
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
    """What JSON.parse makes of an int64, and String() of that."""
    digits = message["msgId"]
    if not digits.isdecimal():
        return message
    return message | {"msgId": str(int(Decimal(repr(float(digits)))))}


def _link_as_xml(message: Message) -> Message:
    """An app message as WeChat itself hands it over."""
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
    """omitempty, at each field of a Go struct."""
    return {name: value for name, value in message.items() if value is not False}


def _flags_as_numbers(message: Message) -> Message:
    return {
        name: int(value) if isinstance(value, bool) else value for name, value in message.items()
    }


def _users_wrapped(message: Message) -> Message:
    """The protocol's own strings, which are objects."""
    return message | {name: {"string": message[name]} for name in ("fromUser", "toUser")}


def _text(change: Callable[[str], str]) -> SenderBehaviour:
    """Texts are changed, and nothing else is."""

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
        "writes 0 and 1 for false and true",
        _rule("schema"),
        writing(_flags_as_numbers),
    ),
    FaultySender(
        "false-left-out",
        "leaves out every field that is false",
        _rule("schema"),
        writing(_without_false),
    ),
    FaultySender(
        "users-wrapped",
        "passes users on as the protocol's own objects instead of strings",
        _rule("schema"),
        writing(_users_wrapped),
    ),
    FaultySender(
        "link-as-xml",
        "passes a link on as the XML that WeChat hands over",
        _rule("schema"),
        writing(_link_as_xml),
    ),
    FaultySender(
        "link-without-url",
        "takes title and description out of a link, and loses its URL",
        _rule("link-content", "faithful"),
        writing(_link_without_url),
    ),
    FaultySender(
        "trims-text",
        "trims texts",
        _rule("faithful"),
        _text(str.strip),
    ),
    FaultySender(
        "escapes-html",
        "escapes texts for HTML",
        _rule("faithful"),
        _text(lambda text: html.escape(text, quote=False)),
    ),
    FaultySender(
        "strips-direction-marks",
        "cleans texts of marks that are not seen, those of right-to-left writing among them",
        _rule("faithful[drawn]"),
        _text(lambda text: _DIRECTION.sub("", text)),
    ),
    FaultySender(
        "loses-emoji",
        "keeps texts in a three-byte column, where emoji become question marks",
        _rule("faithful"),
        _text(lambda text: _OUTSIDE_BMP.sub("?", text)),
    ),
    FaultySender(
        "cuts-long-text",
        f"cuts texts at {LONGEST} characters",
        _rule("faithful"),
        _text(lambda text: text[:LONGEST]),
    ),
    FaultySender(
        "id-through-a-double",
        "reads msgId as a number with a fraction, which changes its last digits",
        _rule("faithful"),
        writing(_id_as_double),
    ),
    FaultySender(
        "test-pings",
        "sends something else than a message for a Test",
        _rule("schema"),
        SenderBehaviour(test=lambda now: {"event": "ping", "timestamp": int(now)}),
    ),
    FaultySender(
        "test-id-fixed",
        "gives every test message the same msgId",
        _rule("msgid-unique"),
        SenderBehaviour(test=lambda now: test_message(now) | {"msgId": "test-message"}),
    ),
)
