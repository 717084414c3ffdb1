"""Receivers that refuse valid messages, or accept them with the wrong status.

Rules: receiver.accepts.*
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from functools import partial

from conformance.gallery.peer import Faulty
from conformance.protocol.message import TYPES, build
from conformance.receiver.behaviour import Arrival, Message, ReceiverBehaviour, Response

_DOCUMENTED = frozenset(TYPES.values())
_FIELDS = frozenset(build("text", "", 0).fields())
_MONTH = 30 * 86400
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")  # MySQL's utf8 cannot store these: error 1366
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def _require_text_content(message: Message) -> Response | None:
    """A request model with `content: str`."""
    content = message.get("content")
    return Response(422, "content must be a string") if not isinstance(content, str) else None


def _require_recall_xml(message: Message) -> Response | None:
    """A handler for recalls that expects XML, which other WeChat gateways send."""
    if message.get("msgType") == 10002 and "<revokemsg>" not in message["content"]:
        raise ValueError("no <revokemsg> in the recall")
    return None


def _require_documented_type(message: Message) -> Response | None:
    if message.get("msgType") not in _DOCUMENTED:
        return Response(400, "unknown msgType")
    return None


def _require_people(message: Message) -> Response | None:
    """A pattern written from private messages alone."""
    for name in ("fromUser", "toUser"):
        if not str(message.get(name)).startswith("wxid_"):
            return Response(400, f"{name} is not a wxid")
    return None


def _refuse_own_messages(message: Message) -> Response | None:
    """Stops a bot from replying to itself, but does so in the HTTP answer."""
    return Response(403, "own messages are not accepted") if message.get("isSelfMsg") else None


def _refuse_old(message: Message) -> Response | None:
    """A check of the age that was meant for the time of the push."""
    pushed, created = message.get("timestamp"), message.get("createTime")
    if isinstance(pushed, int) and isinstance(created, int) and pushed - created > _MONTH:
        return Response(400, "the message is too old")
    return None


def _is_url(message: Message) -> bool:
    return str(message.get("content")).startswith(("http://", "https://"))


def _require_media_url(message: Message, *, types: Collection[int]) -> Response | None:
    if message.get("msgType") in types and not _is_url(message):
        return Response(400, "content must be a URL")
    return None


def _decode_media(message: Message) -> Response | None:
    """Decodes the content of media as Base64 before it answers."""
    if message.get("msgType") in (3, 34, 43, 47):
        base64.b64decode(message["content"], validate=True)
    return None


def _refuse_characters(
    message: Message, *, characters: re.Pattern[str], answer: Response | None = None
) -> Response | None:
    """Refuse content that holds one of `characters`: with `answer`, or else with an exception."""
    if not characters.search(str(message.get("content"))):
        return None
    if answer is None:
        raise ValueError("Incorrect string value for column 'content'")
    return answer


def _require_truthy_content(message: Message) -> Response | None:
    """`if not message.get(name)` for required fields."""
    return None if message.get("content") else Response(400, "content is missing")


def _store_in_column(message: Message, *, size: int, types: Collection[int]) -> Response | None:
    """A VARCHAR of `size` characters, in strict mode, for messages of these types."""
    if message.get("msgType") in types and len(str(message.get("content"))) > size:
        raise ValueError("Data too long for column 'content'")
    return None


def _refuse_extra_fields(message: Message) -> Response | None:
    """pydantic's extra="forbid", or additionalProperties: false."""
    extra = sorted(message.keys() - _FIELDS)
    return Response(422, f"extra fields are not permitted: {', '.join(extra)}") if extra else None


def _acknowledge_with(
    arrival: Arrival,
    new: bool,  # noqa: FBT001 - the signature of ReceiverBehaviour.acknowledge
    *,
    status: int,
) -> Response:
    return Response(status, None if new else "duplicate")


ACCEPTS = (
    Faulty(
        "content-only-as-string",
        "declares content as a string and refuses the object of a type 49 message",
        ("receiver.accepts.documented-type",),
        ReceiverBehaviour(process=_require_text_content),
    ),
    Faulty(
        "recall-handler-throws",
        "answers 500 when its handler for recalls (10002) throws",
        ("receiver.accepts.documented-type",),
        ReceiverBehaviour(process=_require_recall_xml),
    ),
    Faulty(
        "closed-enum-of-types",
        "accepts only the documented values of msgType",
        ("receiver.accepts.unknown-type",),
        ReceiverBehaviour(process=_require_documented_type),
    ),
    Faulty(
        "group-ids-refused",
        "accepts fromUser and toUser only if they start with wxid_",
        ("receiver.accepts.group-self-history",),
        ReceiverBehaviour(process=_require_people),
    ),
    Faulty(
        "own-messages-refused",
        "answers 403 to its own messages (isSelfMsg) instead of ignoring them",
        ("receiver.accepts.group-self-history",),
        ReceiverBehaviour(process=_refuse_own_messages),
    ),
    Faulty(
        "old-history-refused",
        "refuses messages whose createTime is more than 30 days old",
        ("receiver.accepts.group-self-history",),
        ReceiverBehaviour(process=_refuse_old),
    ),
    Faulty(
        "voice-and-video-by-url-only",
        "accepts Base64 for pictures, but only a URL for voice and video",
        ("receiver.accepts.media-url-and-base64",),
        ReceiverBehaviour(process=partial(_require_media_url, types=(34, 43))),
    ),
    Faulty(
        "media-by-url-only",
        "accepts only a URL as the content of media",
        ("receiver.accepts.media-url-and-base64", "receiver.accepts.large-media"),
        ReceiverBehaviour(process=partial(_require_media_url, types=(3, 34, 43, 47))),
    ),
    Faulty(
        "media-as-base64-only",
        "decodes the content of all media as Base64 and answers 500 to a URL",
        ("receiver.accepts.media-url-and-base64", "receiver.accepts.documented-type"),
        ReceiverBehaviour(process=_decode_media),
    ),
    Faulty(
        "body-limit-100-kib",
        "limits bodies to 100 KiB, the default of express.json",
        ("receiver.accepts.large-media",),
        ReceiverBehaviour(limit=100 * 1024),
    ),
    Faulty(
        "body-limit-1-mib",
        "limits bodies to 1 MiB, the default of nginx and aiohttp",
        ("receiver.accepts.large-media",),
        ReceiverBehaviour(limit=1024 * 1024),
    ),
    Faulty(
        "no-emoji-in-database",
        "stores text in MySQL's three-byte utf8 and answers 500 to emoji",
        ("receiver.accepts.any-text",),
        ReceiverBehaviour(process=partial(_refuse_characters, characters=_BEYOND_BMP)),
    ),
    Faulty(
        "empty-content-missing",
        "treats empty content as missing",
        ("receiver.accepts.any-text",),
        ReceiverBehaviour(process=_require_truthy_content),
    ),
    Faulty(
        "control-characters-refused",
        "refuses text that contains control characters",
        ("receiver.accepts.any-text",),
        ReceiverBehaviour(
            process=partial(
                _refuse_characters,
                characters=_CONTROL,
                answer=Response(400, "content contains control characters"),
            )
        ),
    ),
    Faulty(
        "text-column-of-4096",
        "stores text in a column of 4,096 characters and answers 500 to longer text",
        ("receiver.accepts.any-text",),
        ReceiverBehaviour(process=partial(_store_in_column, size=4096, types=(1,))),
    ),
    Faulty(
        "content-column-of-255",
        "stores all content in a column of 255 characters and answers 500 to longer content",
        ("receiver.accepts.any-text", "receiver.accepts.large-media"),
        ReceiverBehaviour(process=partial(_store_in_column, size=255, types=_DOCUMENTED)),
    ),
    Faulty(
        "unlisted-fields-refused",
        "refuses messages with fields that its model does not list",
        ("receiver.accepts.unknown-field",),
        ReceiverBehaviour(process=_refuse_extra_fields),
    ),
    Faulty(
        "answers-201",
        "answers 201 Created, the default of NestJS",
        ("receiver.accepts.status-exactly-200",),
        ReceiverBehaviour(acknowledge=partial(_acknowledge_with, status=201)),
    ),
    Faulty(
        "answers-202",
        "answers 202 Accepted, because it does the work later",
        ("receiver.accepts.status-exactly-200",),
        ReceiverBehaviour(acknowledge=partial(_acknowledge_with, status=202)),
    ),
    Faulty(
        "answers-204",
        "answers 204 No Content, because it has nothing to return",
        ("receiver.accepts.status-exactly-200",),
        ReceiverBehaviour(acknowledge=partial(_acknowledge_with, status=204)),
    ),
)
