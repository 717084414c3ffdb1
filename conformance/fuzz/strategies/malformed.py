"""Strategies for signed bodies that the guide does not describe: wrong JSON types, missing fields, broken
JSON, broken UTF-8, very deep nesting.

The `shape` of each oddity names the fixed rule for it. A body like these, correctly signed, must be
answered with a status below 500.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from conformance.fuzz.strategies.broken import (
    BROKEN,
    INVALID,
    NUMBERS,
    in_text,
    not_json,
    other_number,
)
from conformance.fuzz.strategies.example import ID, Example, Oddity, Shape
from conformance.fuzz.strategies.valid import FIELDS
from conformance.fuzz.strategies.values import OBJECTS, SCALARS
from conformance.model.sentence import Sentence, verbatim

MAX_DEPTH = 10_000
"""The deepest nesting of arrays or objects."""

_TEXT_FIELDS = ("key", "fromUser", "toUser", "content")
_KINDS: dict[str, tuple[Sentence, tuple[Any, ...]]] = {
    "null": (Sentence("null"), (None,)),
    "boolean": (Sentence("a boolean"), (True, False)),
    "number": (Sentence("a number"), (0, 1, -1, 2**53)),
    "fraction": (Sentence("a fraction"), (0.5, -1.25, 1e-7, 1.5e-300)),
    "text": (Sentence("a text"), ("", "5", "false", "now", "\0")),
    "array": (Sentence("an array"), ([], [1], ["1"], [None], [[]], [{}])),
    "object": (Sentence("an object"), ({}, {"a": 1}, {"$gt": ""}, {"id": "1"})),
}
_TYPES = {
    **dict.fromkeys(("key", "msgId", "fromUser", "toUser", "content"), "text"),
    **dict.fromkeys(("timestamp", "createTime", "msgType"), "number"),
    **dict.fromkeys(("isSelfMsg", "isHistory"), "boolean"),
}


def _shape(name: str, kind: str) -> Shape:
    if name != "msgId":
        return "receiver.body.wrong-types", None
    if kind == "null":
        return "receiver.body.null-msgid", None
    # Among values that are not strings, the rules demand the least for scalars.
    scalar = kind in ("number", "fraction", "boolean")
    return "receiver.body.non-string-msgid", "number" if scalar else kind


def _wrong(name: str, kind: str, value: object) -> Oddity:
    label = _KINDS[kind][0]
    where = Sentence("{name}, which is {label}", name=name, label=label)
    return Oddity(name, where, _shape(name, kind), {name: value})


def _wrong_link(kind: str, value: object) -> Oddity:
    label = _KINDS[kind][0]
    where = Sentence("content of msgType 49, which is {label}", label=label)
    shape = ("receiver.body.wrong-types", "content-49")
    return Oddity("content", where, shape, {"msgType": 49, "content": value})


def _missing(name: str) -> Oddity:
    rule = "missing-msgid" if name == "msgId" else "missing-field"
    where = Sentence("no {name}", name=name)
    return Oddity(name, where, (f"receiver.body.{rule}", None), without=(name,))


def _surrogate(name: str, text: str) -> Oddity:
    value = ID + text if name == "msgId" else text
    where = verbatim(name)
    # Encoded as an escape, because the raw bytes would not be UTF-8.
    return Oddity(
        name, where, ("receiver.body.lone-surrogate", None), {name: value}, form="ascii-only"
    )


_EMPTY_ID = Oddity(
    "msgId",
    Sentence("msgId, which is empty"),
    ("receiver.body.empty-msgid", None),
    {"msgId": ""},
)
_WRONG = [
    _wrong(name, kind, value)
    for name, correct in _TYPES.items()
    for kind, (_, values) in _KINDS.items()
    if kind != correct
    for value in values
]
_WRONG_TYPE = st.one_of(
    st.sampled_from(_WRONG),
    st.sampled_from(_WRONG),
    st.builds(_wrong, st.sampled_from(sorted(_TYPES)), st.just("object"), OBJECTS),
    st.builds(_wrong, st.sampled_from(sorted(_TYPES)), st.just("array"), st.lists(SCALARS, max_size=3)),
)  # fmt: skip
_WRONG_ID = st.sampled_from([_EMPTY_ID, *(oddity for oddity in _WRONG if oddity.place == "msgId")])
_WRONG_LINK = st.sampled_from(
    [
        _wrong_link(kind, value)
        for kind, (_, values) in _KINDS.items()
        if kind != "object"
        for value in values
    ]
)
_MISSING = st.sampled_from([_missing(name) for name in sorted(FIELDS)])
_HALVES = st.sampled_from(("\ud83d", "\ude00", "a\udfff", "\ud800b", "\ude00\ud83d"))
_SURROGATE = st.builds(_surrogate, st.sampled_from((*_TEXT_FIELDS, "msgId", "extra")), _HALVES)

FIELD_ODDITIES = st.one_of(_WRONG_TYPE, _WRONG_ID, _WRONG_LINK, _MISSING)
"""A field that is missing or has a wrong JSON type: each breaks the schema."""


def _mutated(
    what: Sentence, rule: str | None, mutation: Callable[[bytes], bytes], case: str | None = None
) -> Oddity:
    shape = (f"receiver.body.{rule}", case) if rule is not None else None
    return Oddity("body", what, shape, mutation=mutation)


def _cut(part: int) -> Oddity:
    where = Sentence("a truncated body")
    return _mutated(where, "truncated-json", lambda body: body[: max(1, len(body) * part // 100)])


def _ungrammatical(mark: str, at: int) -> Oddity:
    return _mutated(BROKEN[mark][0], "invalid-json", lambda body: not_json(body, mark, at))


def _undecodable(piece: bytes, name: str) -> Oddity:
    where = Sentence("invalid UTF-8 in {name}", name=name)
    return _mutated(where, "invalid-utf8", lambda body: in_text(body, name, piece))


def _huge(name: str, number: str) -> Oddity:
    where = Sentence("an out-of-range number in {name}", name=name)
    return _mutated(where, None, lambda body: other_number(body, name, number))


def _twice(name: str, value: object, *, before: bool) -> Oddity:
    where = Sentence("{name} twice", name=name)
    pair = json.dumps({name: value}).encode()[1:-1]

    def mutate(body: bytes) -> bytes:
        return b"{" + pair + b"," + body[1:] if before else body[:-1] + b"," + pair + b"}"

    return _mutated(where, "duplicate-keys", mutate)


def _deep(depth: int, *, arrays: bool, whole: bool, closed: bool) -> Oddity:
    opening, inner, closing = (b"[", b"", b"]") if arrays else (b'{"a":', b"1", b"}")
    nest = opening * depth + inner + closing * (depth if closed else 0)
    where = Sentence("arrays") if arrays else Sentence("objects")
    return _mutated(
        Sentence("deeply nested {where}", where=where),
        "deep-nesting",
        lambda body: nest if whole else body[:-1] + b',"extra":' + nest + b"}",
    )


def _replacement(body: bytes, where: Sentence, rule: str, case: str | None = None) -> Oddity:
    return _mutated(where, rule, lambda _: body, case)


_NOT_AN_OBJECT = (
    *(("array", body) for body in (b"[]", b"[1]", b'[{"msgId":"1"}]')),
    *(("string", body) for body in (b'""', b'"msgId"')),
    *(("number", body) for body in (b"0", b"42", b"-1e3")),
    ("null", b"null"),
    *(("true", body) for body in (b"true", b"false")),
)
_TOP_LEVEL = [
    _replacement(
        body, Sentence("JSON that is not an object: {kind}", kind=kind), "not-an-object", kind
    )
    for kind, body in _NOT_AN_OBJECT
]  # fmt: skip
_EMPTY = [_replacement(body, Sentence("an empty body"), "empty") for body in (b"", b" ", b"\n\t ")]
_NO_FIELDS = _replacement(b"{}", Sentence("an object without fields"), "missing-msgid")
_RAW = Sentence("bytes that are not text")


def _raw(body: bytes) -> Oddity:
    return _replacement(body + b"\xff", _RAW, "invalid-utf8")


def _wide_encoding(encoding: str) -> Oddity:
    where = Sentence("JSON in {encoding}", encoding=encoding.upper())
    return _mutated(where, "invalid-json", lambda body: body.decode().encode(encoding))


_DOUBLED = st.builds(
    _twice,
    st.sampled_from(("msgId", "msgType", "content", "key")),
    st.sampled_from(("1", 1, None, {})),
    before=st.booleans(),
)
# Hypothesis draws few large numbers, but those are what exhausts a stack.
_DEPTHS = st.one_of(st.integers(1, MAX_DEPTH), st.just(5_000), st.just(MAX_DEPTH))
_ARRAYS, _OBJECTS = (
    st.builds(_deep, _DEPTHS, arrays=st.just(arrays), whole=st.booleans(), closed=st.booleans())
    for arrays in (True, False)
)

MUTATED = st.one_of(
    st.builds(_cut, st.integers(1, 99)),
    st.builds(_ungrammatical, st.sampled_from(sorted(BROKEN)), st.integers(0, 60)),
    st.builds(_ungrammatical, st.sampled_from(sorted(BROKEN)), st.integers(0, 60)),
    st.builds(
        _undecodable, st.sampled_from(INVALID), st.sampled_from(("content", "fromUser", "msgId"))
    ),
    st.builds(
        _huge,
        st.sampled_from(("createTime", "timestamp", "msgType")),
        st.sampled_from(NUMBERS),
    ),
    _DOUBLED,
    _ARRAYS,
    _OBJECTS,
    st.sampled_from(_TOP_LEVEL),
    st.sampled_from([*_EMPTY, _NO_FIELDS]),
    st.sampled_from(("utf-16-le", "utf-16-be", "utf-32-le")).map(_wide_encoding),
    st.binary(max_size=16).map(_raw),
)
"""Bytes that differ from a message's in one way."""


def _of_fields(oddities: list[Oddity]) -> Example:
    return Example(tuple({oddity.place: oddity for oddity in oddities}.values()))


violating_examples: st.SearchStrategy[Example] = st.lists(
    FIELD_ODDITIES, min_size=1, max_size=2
).map(_of_fields)
"""Messages that violate the schema."""

# In builds, because Hypothesis would merge nested alternatives and change their weights.
_MUTATED = st.builds(Example, st.tuples(MUTATED))
malformed_examples: st.SearchStrategy[Example] = st.one_of(
    violating_examples,
    violating_examples,
    _MUTATED,
    _MUTATED,
    st.builds(Example, st.tuples(_SURROGATE)),
)
"""Malformed bodies of all kinds."""
