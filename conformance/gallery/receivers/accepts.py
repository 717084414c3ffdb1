"""Receivers that refuse what is valid, or accept it by the wrong status. Rules: receiver.accepts.*"""

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
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")  # what MySQL's utf8 cannot hold: error 1366
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def _content_is_text(message: Message) -> Response | None:
    """A request model with `content: str`."""
    content = message.get("content")
    return Response(422, "content must be a string") if not isinstance(content, str) else None


def _recall(message: Message) -> Response | None:
    """A handler for recalls that expects XML, as other gateways to WeChat send it."""
    if message.get("msgType") == 10002 and "<revokemsg>" not in message["content"]:
        raise ValueError("no <revokemsg> in the recall")
    return None


def _closed_enum(message: Message) -> Response | None:
    if message.get("msgType") not in _DOCUMENTED:
        return Response(400, "unknown msgType")
    return None


def _people_only(message: Message) -> Response | None:
    """A pattern that was written while looking at private messages."""
    for name in ("fromUser", "toUser"):
        if not str(message.get(name)).startswith("wxid_"):
            return Response(400, f"{name} is not a wxid")
    return None


def _no_echo(message: Message) -> Response | None:
    """Keeps a bot from answering itself, in the wrong place."""
    return Response(403, "own messages are not taken") if message.get("isSelfMsg") else None


def _recent(message: Message) -> Response | None:
    """A check of age that was meant for the timestamp of the push."""
    pushed, created = message.get("timestamp"), message.get("createTime")
    if isinstance(pushed, int) and isinstance(created, int) and pushed - created > _MONTH:
        return Response(400, "the message is too old")
    return None


def _is_url(message: Message) -> bool:
    return str(message.get("content")).startswith(("http://", "https://"))


def _media_by_url(message: Message, *, types: Collection[int]) -> Response | None:
    if message.get("msgType") in types and not _is_url(message):
        return Response(400, "content must be a URL")
    return None


def _media_decoded(message: Message) -> Response | None:
    """Decodes what it takes for Base64 before the answer."""
    if message.get("msgType") in (3, 34, 43, 47):
        base64.b64decode(message["content"], validate=True)
    return None


def _without(
    message: Message, *, characters: re.Pattern[str], answer: Response | None = None
) -> Response | None:
    """Refuse content with one of `characters` by `answer`, or with an exception."""
    if not characters.search(str(message.get("content"))):
        return None
    if answer is None:
        raise ValueError("Incorrect string value for column 'content'")
    return answer


def _truthy(message: Message) -> Response | None:
    """`if not message.get(name)` for required fields."""
    return None if message.get("content") else Response(400, "content is missing")


def _column(message: Message, *, size: int, types: Collection[int]) -> Response | None:
    """A VARCHAR of `size` characters, in strict mode, for messages of these types."""
    if message.get("msgType") in types and len(str(message.get("content"))) > size:
        raise ValueError("Data too long for column 'content'")
    return None


def _closed_model(message: Message) -> Response | None:
    """pydantic's extra="forbid", or additionalProperties: false."""
    extra = sorted(message.keys() - _FIELDS)
    return Response(422, f"extra fields are not permitted: {', '.join(extra)}") if extra else None


def _with_status(arrival: Arrival, new: bool, *, status: int) -> Response:
    return Response(status, None if new else "duplicate")


ACCEPTS = (
    Faulty(
        "content-only-as-string",
        "declares content as a string and refuses the object of type 49",
        ("receiver.accepts.documented-type",),
        ReceiverBehaviour(process=_content_is_text),
    ),
    Faulty(
        "recall-handler-throws",
        "lets an exception of the handler for recalls (10002) become a 500",
        ("receiver.accepts.documented-type",),
        ReceiverBehaviour(process=_recall),
    ),
    Faulty(
        "closed-enum-of-types",
        "reads msgType into a closed enum of the documented types",
        ("receiver.accepts.unknown-type",),
        ReceiverBehaviour(process=_closed_enum),
    ),
    Faulty(
        "group-ids-refused",
        "takes fromUser and toUser only when they start with wxid_",
        ("receiver.accepts.group-self-history",),
        ReceiverBehaviour(process=_people_only),
    ),
    Faulty(
        "own-messages-refused",
        "answers 403 to messages with isSelfMsg instead of ignoring them",
        ("receiver.accepts.group-self-history",),
        ReceiverBehaviour(process=_no_echo),
    ),
    Faulty(
        "old-history-refused",
        "refuses messages whose createTime is more than 30 days back",
        ("receiver.accepts.group-self-history",),
        ReceiverBehaviour(process=_recent),
    ),
    Faulty(
        "voice-and-video-by-url-only",
        "takes Base64 for pictures, and nothing but a URL for voice and video",
        ("receiver.accepts.media-url-and-base64",),
        ReceiverBehaviour(process=partial(_media_by_url, types=(34, 43))),
    ),
    Faulty(
        "media-by-url-only",
        "validates the content of all media as a URL",
        ("receiver.accepts.media-url-and-base64", "receiver.accepts.large-media"),
        ReceiverBehaviour(process=partial(_media_by_url, types=(3, 34, 43, 47))),
    ),
    Faulty(
        "media-as-base64-only",
        "decodes the content of all media as Base64, and answers 500 to a URL",
        ("receiver.accepts.media-url-and-base64", "receiver.accepts.documented-type"),
        ReceiverBehaviour(process=_media_decoded),
    ),
    Faulty(
        "body-limit-100-kib",
        "keeps the 100 KiB limit of express.json",
        ("receiver.accepts.large-media",),
        ReceiverBehaviour(limit=100 * 1024),
    ),
    Faulty(
        "body-limit-1-mib",
        "keeps the 1 MiB limit of nginx and aiohttp, which 1 MiB of media passes",
        ("receiver.accepts.large-media",),
        ReceiverBehaviour(limit=1024 * 1024),
    ),
    Faulty(
        "no-emoji-in-database",
        "stores text in MySQL's three-byte utf8, and answers 500 to emoji",
        ("receiver.accepts.any-text",),
        ReceiverBehaviour(process=partial(_without, characters=_BEYOND_BMP)),
    ),
    Faulty(
        "empty-content-missing",
        "takes an empty content for a missing one",
        ("receiver.accepts.any-text",),
        ReceiverBehaviour(process=_truthy),
    ),
    Faulty(
        "control-characters-refused",
        "refuses text with control characters",
        ("receiver.accepts.any-text",),
        ReceiverBehaviour(
            process=partial(
                _without,
                characters=_CONTROL,
                answer=Response(400, "content holds control characters"),
            )
        ),
    ),
    Faulty(
        "text-column-of-4096",
        "stores text messages in a column of 4,096 characters, and answers 500 to longer ones",
        ("receiver.accepts.any-text",),
        ReceiverBehaviour(process=partial(_column, size=4096, types=(1,))),
    ),
    Faulty(
        "content-column-of-255",
        "stores every content in a column of 255 characters",
        ("receiver.accepts.any-text", "receiver.accepts.large-media"),
        ReceiverBehaviour(process=partial(_column, size=255, types=_DOCUMENTED)),
    ),
    Faulty(
        "unlisted-fields-refused",
        "validates messages against a closed model",
        ("receiver.accepts.unknown-field",),
        ReceiverBehaviour(process=_closed_model),
    ),
    Faulty(
        "answers-201",
        "answers 201 Created, as NestJS does by itself",
        ("receiver.accepts.status-exactly-200",),
        ReceiverBehaviour(acknowledge=partial(_with_status, status=201)),
    ),
    Faulty(
        "answers-202",
        "answers 202 Accepted, since the work comes later",
        ("receiver.accepts.status-exactly-200",),
        ReceiverBehaviour(acknowledge=partial(_with_status, status=202)),
    ),
    Faulty(
        "answers-204",
        "answers 204 No Content, since it has nothing to say",
        ("receiver.accepts.status-exactly-200",),
        ReceiverBehaviour(acknowledge=partial(_with_status, status=204)),
    ),
)
