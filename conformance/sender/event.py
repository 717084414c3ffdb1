"""What Emit takes: message events, judged against the message schema and made into bodies to send.

Pure. An event is the guide's body without `timestamp`, which is put in when the message is first
pushed. Guide: 請求體, 字段說明.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.model.errors import InputError
from conformance.protocol.message import CONTENT, TYPES, build
from conformance.protocol.validation import WHOLE, message_problems

FIELDS = tuple(build("text", "0", 0).fields())
_EVENT = frozenset(FIELDS) - {"timestamp"}
_SLOT = b',"timestamp":'
_NAMES = {name.lower(): name for name in FIELDS}

_KINDS = {
    name: type(value)
    for name, value in build("text", "0", 0).fields().items()
    if name not in ("timestamp", "content")
}
_CONTENT = {TYPES[kind]: type(value) for kind, value in CONTENT.items()}


@dataclass(frozen=True, slots=True)
class MessageBody:
    """A message's body, without its timestamp, which belongs between `content[:cut]` and the rest.
    Compact UTF-8 JSON in the guide's order, then the fields that the guide does not list."""

    content: bytes
    cut: int

    def stamped(self, timestamp: int) -> bytes:
        """The whole body, pushed at `timestamp` (Unix seconds)."""
        return b"%b%d%b" % (self.content[: self.cut], timestamp, self.content[self.cut :])


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """A message that was given to be delivered: its id, its fields for the filters, its body."""

    msg_id: str
    fields: dict[str, Any]
    body: MessageBody


def read(given: object) -> Iterator[MessageEvent]:
    """The events in `given`, parsed JSON: one object or an array of them; one at each step.

    The guide's names are matched whatever their case. A `timestamp` is replaced. Raises InputError,
    naming the field and, in an array, the place, for what does not fit the message schema.
    """
    if isinstance(given, list):
        for at, each in enumerate(given):
            yield _event(each, f"[{at}]")
    else:
        yield _event(given, "")


def _event(given: object, place: str) -> MessageEvent:
    if not isinstance(given, dict):
        raise InputError(f"{place or 'the body'} must be a message event, a JSON object")
    fields = _in_order(given)
    if not plainly_fits(fields):
        wrong = message_problems(fields)
        if wrong:
            raise InputError("; ".join(_at(place, str(problem)) for problem in wrong))
    try:
        fields["msgId"].encode()  # a lone surrogate is no text, and cannot be a key
        body = _body(fields)
    except UnicodeEncodeError:
        raise InputError(_at(place, "msgId must be Unicode text")) from None
    except ValueError:  # 1e400 is infinite to Python, and JSON has no word for that
        raise InputError(_at(place, f"{WHOLE} holds a number that is too large")) from None
    except RecursionError:
        raise InputError(_at(place, f"{WHOLE} is nested too deeply")) from None
    return MessageEvent(fields["msgId"], fields, body)


def plainly_fits(fields: Mapping[str, Any]) -> bool:
    """Whether a message, its timestamp apart, fits the schema at first sight. False says nothing.

    The schema is the authority, and takes thirty times as long; what this lets pass, it lets pass.
    """
    if not _KINDS.keys() <= fields.keys():
        return False
    if any(type(fields[name]) is not kind for name, kind in _KINDS.items()):
        return False
    wanted = _CONTENT.get(fields["msgType"])
    return (
        "content" in fields
        and bool(fields["msgId"])
        and -(2**63) <= fields["createTime"] < 2**63
        and (wanted is None or type(fields["content"]) is wanted)
    )


def _at(place: str, problem: str) -> str:
    if problem.startswith(WHOLE):
        problem = problem.removeprefix(WHOLE).strip()
        return f"{place or 'the body'} {problem}"
    return f"{place}.{problem}" if place else problem


def _in_order(given: dict[str, Any]) -> dict[str, Any]:
    """The guide's fields in its order and under its names, the timestamp still 0; then the others."""
    if given.keys() != _EVENT:
        exact = given
        given = {}
        for name, value in exact.items():
            known = _NAMES.get(name.lower(), name)
            given[name if known in exact else known] = value
    given = given | {"timestamp": 0}
    listed = {name: given[name] for name in FIELDS if name in given}
    return listed | given


def _body(fields: dict[str, Any]) -> MessageBody:
    whole = _json(fields)
    # Before it stand texts alone, in which a quotation mark is escaped.
    cut = whole.index(_SLOT) + len(_SLOT)
    return MessageBody(whole[:cut] + whole[cut + 1 :], cut)


def _json(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A lone surrogate stands in a string only, where its Python escape is its JSON escape.
    return text.encode("utf-8", "backslashreplace")
