"""Receivers that refuse valid messages, or accept them with the wrong status.

Rules: receiver.accepts.*
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection

from conformance.gallery.peer import Faults, row
from conformance.gallery.receivers.serve import RECEIVER
from conformance.protocol.message import TYPES, build
from conformance.receiver.behaviour import Arrival, Message, ReceiverBehaviour, Response

_DOCUMENTED = frozenset(TYPES.values())
_FIELDS = frozenset(build("text", "", 0).fields())
_MEDIA = (3, 34, 43, 47)
_MONTH = 30 * 86400
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")  # MySQL's utf8 cannot store these: error 1366
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")

faulty = Faults("receiver.accepts", RECEIVER)


@faulty("documented-type", step="process")
def content_only_as_string(message: Message) -> Response | None:
    """Declares content as a string and refuses the object of a type 49 message.

    A request model with `content: str`.
    """
    content = message.get("content")
    return Response(422, "content must be a string") if not isinstance(content, str) else None


@faulty("documented-type", step="process")
def recall_handler_throws(message: Message) -> None:
    """Answers 500 when its handler for recalls (10002) throws.

    The handler expects XML, which other WeChat gateways send.
    """
    if message.get("msgType") == 10002 and "<revokemsg>" not in message["content"]:
        raise ValueError("no <revokemsg> in the recall")


@faulty("unknown-type", step="process")
def closed_enum_of_types(message: Message) -> Response | None:
    """Accepts only the documented values of msgType."""
    known = message.get("msgType") in _DOCUMENTED
    return None if known else Response(400, "unknown msgType")


@faulty("group-self-history", step="process")
def group_ids_refused(message: Message) -> Response | None:
    """Accepts fromUser and toUser only if they start with wxid_.

    A pattern written from private messages alone.
    """
    for name in ("fromUser", "toUser"):
        if not str(message.get(name)).startswith("wxid_"):
            return Response(400, f"{name} is not a wxid")
    return None


@faulty("group-self-history", step="process")
def own_messages_refused(message: Message) -> Response | None:
    """Answers 403 to its own messages (isSelfMsg) instead of ignoring them.

    Stops a bot from replying to itself, but does so in the HTTP answer.
    """
    return Response(403, "own messages are not accepted") if message.get("isSelfMsg") else None


@faulty("group-self-history", step="process")
def old_history_refused(message: Message) -> Response | None:
    """Refuses messages whose createTime is more than 30 days old.

    A check of the age that was meant for the time of the push.
    """
    pushed, created = message.get("timestamp"), message.get("createTime")
    if isinstance(pushed, int) and isinstance(created, int) and pushed - created > _MONTH:
        return Response(400, "the message is too old")
    return None


@faulty(
    "media-url-and-base64",
    step="process",
    rows=(
        row(
            "voice-and-video-by-url-only",
            "accepts Base64 for pictures, but only a URL for voice and video",
            types=(34, 43),
        ),
        row(
            "media-by-url-only",
            "accepts only a URL as the content of media",
            *("media-url-and-base64", "large-media"),
            types=_MEDIA,
        ),
    ),
)
def _require_media_url(message: Message, *, types: Collection[int]) -> Response | None:
    """Accepts only a URL as the content of messages of these types."""
    url = str(message.get("content")).startswith(("http://", "https://"))
    if message.get("msgType") in types and not url:
        return Response(400, "content must be a URL")
    return None


@faulty("media-url-and-base64", "documented-type", step="process")
def media_as_base64_only(message: Message) -> None:
    """Decodes the content of all media as Base64 and answers 500 to a URL."""
    if message.get("msgType") in _MEDIA:
        base64.b64decode(message["content"], validate=True)


@faulty(
    "large-media",
    rows=(
        row("body-limit-100-kib", "100 KiB, the default of express.json", size=100 * 1024),
        row("body-limit-1-mib", "1 MiB, the default of nginx and aiohttp", size=1024 * 1024),
    ),
)
def _limit_bodies(size: int) -> ReceiverBehaviour:
    """Limits bodies to {}."""
    return ReceiverBehaviour(limit=size)


@faulty("any-text", step="process")
def no_emoji_in_database(message: Message) -> None:
    """Stores text in MySQL's three-byte utf8 and answers 500 to emoji."""
    if _BEYOND_BMP.search(str(message.get("content"))):
        raise ValueError("Incorrect string value for column 'content'")


@faulty("any-text", step="process")
def empty_content_missing(message: Message) -> Response | None:
    """Treats empty content as missing.

    `if not message.get(name)` for required fields.
    """
    return None if message.get("content") else Response(400, "content is missing")


@faulty("any-text", step="process")
def control_characters_refused(message: Message) -> Response | None:
    """Refuses text that contains control characters."""
    found = _CONTROL.search(str(message.get("content")))
    return Response(400, "content contains control characters") if found else None


@faulty(
    step="process",
    rows=(
        row(
            "text-column-of-4096",
            "text in a column of 4,096 characters and answers 500 to longer text",
            "any-text",
            size=4096,
            types=(1,),
        ),
        row(
            "content-column-of-255",
            "all content in a column of 255 characters and answers 500 to longer content",
            *("any-text", "large-media"),
            size=255,
            types=_DOCUMENTED,
        ),
    ),
)
def _store_in_column(message: Message, *, size: int, types: Collection[int]) -> None:
    """Stores {}.

    A VARCHAR of `size` characters, in strict mode, for messages of these types.
    """
    if message.get("msgType") in types and len(str(message.get("content"))) > size:
        raise ValueError("Data too long for column 'content'")


@faulty("unknown-field", step="process")
def unlisted_fields_refused(message: Message) -> Response | None:
    """Refuses messages with fields that its model does not list.

    pydantic's extra="forbid", or additionalProperties: false.
    """
    extra = sorted(message.keys() - _FIELDS)
    return Response(422, f"extra fields are not permitted: {', '.join(extra)}") if extra else None


@faulty(
    "status-exactly-200",
    step="acknowledge",
    rows=(
        row("answers-201", "201 Created, the default of NestJS", status=201),
        row("answers-202", "202 Accepted, because it does the work later", status=202),
        row("answers-204", "204 No Content, because it has nothing to return", status=204),
    ),
)
def _acknowledge_with(
    arrival: Arrival,
    new: bool,  # noqa: FBT001 - the signature of ReceiverBehaviour.acknowledge
    *,
    status: int,
) -> Response:
    """Answers {}."""
    return Response(status, None if new else "duplicate")
