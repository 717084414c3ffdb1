"""The input of Emit: message events, validated against the schema and made into bodies to send.

Pure. An event is the guide's body without `timestamp`, which is added when the message is first
pushed. Guide: 請求體, 字段說明.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from conformance.model.errors import InputError
from conformance.model.sentence import Sentence, clauses, verbatim
from conformance.protocol.message import CONTENT, TYPES, build
from conformance.protocol.validation import WHOLE, Problem, message_problems

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
    """A message's body without its timestamp, which goes between `content[:cut]` and the rest.
    Compact UTF-8 JSON: the guide's fields in its order, then the fields that it does not list."""

    content: bytes
    cut: int

    def stamped(self, timestamp: int) -> bytes:
        """The whole body, with `timestamp` (Unix seconds)."""
        return b"%b%d%b" % (self.content[: self.cut], timestamp, self.content[self.cut :])


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """A message to deliver: its id, its fields for the filters, and its body."""

    msg_id: str
    fields: dict[str, Any]
    body: MessageBody


def read(data: object) -> Iterator[MessageEvent]:
    """The events in `data`, parsed JSON: one object or an array of them. Lazy, one event at a time.

    The guide's names match in any case. A `timestamp` is replaced. Raises InputError for an event
    that does not fit the message schema; it names the field and, in an array, the index.
    """
    if isinstance(data, list):
        for index, item in enumerate(data):
            yield _event(item, f"[{index}]")
    else:
        yield _event(data, "")


def _event(item: object, place: str) -> MessageEvent:
    if not isinstance(item, dict):
        problem = Problem(WHOLE, Sentence("must be a message event, a JSON object"))
        raise InputError(_at(place, problem))
    fields = _in_order(item)
    if not plainly_fits(fields):
        problems = message_problems(fields)
        if problems:
            raise InputError(clauses(_at(place, problem) for problem in problems))
    try:
        fields["msgId"].encode()  # a lone surrogate is not text, and cannot be a key
        body = _body(fields)
    except UnicodeEncodeError:
        problem = Problem("msgId", Sentence("must be Unicode text"))
        raise InputError(_at(place, problem)) from None
    except ValueError:  # Python reads 1e400 as infinity, which JSON cannot express
        problem = Problem(WHOLE, Sentence("holds a number that is too large"))
        raise InputError(_at(place, problem)) from None
    except RecursionError:
        problem = Problem(WHOLE, Sentence("is nested too deeply"))
        raise InputError(_at(place, problem)) from None
    return MessageEvent(fields["msgId"], fields, body)


def plainly_fits(fields: Mapping[str, Any]) -> bool:
    """Whether a message obviously fits the schema, apart from its timestamp. False proves nothing.

    The schema is the authority, but takes thirty times as long; it accepts whatever this accepts.
    """
    if not _KINDS.keys() <= fields.keys():
        return False
    if any(type(fields[name]) is not kind for name, kind in _KINDS.items()):
        return False
    kind = _CONTENT.get(fields["msgType"])
    return (
        "content" in fields
        and bool(fields["msgId"])
        and -(2**63) <= fields["createTime"] < 2**63
        and (kind is None or type(fields["content"]) is kind)
    )


def _at(place: str, problem: Problem) -> Sentence:
    if place and problem.path != WHOLE:
        problem = replace(problem, path=f"{place}.{problem.path}")
    return problem.sentence(verbatim(place) if place else Sentence("the body"))


def _in_order(fields: dict[str, Any]) -> dict[str, Any]:
    """The guide's fields in its order and under its names, with a timestamp of 0; then the others."""
    if fields.keys() != _EVENT:
        exact = fields
        fields = {}
        for name, value in exact.items():
            canonical = _NAMES.get(name.lower(), name)
            fields[name if canonical in exact else canonical] = value
    fields = fields | {"timestamp": 0}
    listed = {name: fields[name] for name in FIELDS if name in fields}
    return listed | fields


def _body(fields: dict[str, Any]) -> MessageBody:
    whole = _json(fields)
    # Only strings come before it, and they escape their quotation marks.
    cut = whole.index(_SLOT) + len(_SLOT)
    return MessageBody(whole[:cut] + whole[cut + 1 :], cut)


def _json(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A lone surrogate occurs only in a string, where its Python escape equals its JSON escape.
    return text.encode("utf-8", "backslashreplace")
