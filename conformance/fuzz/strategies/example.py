"""Examples: a plain message, and the oddities in which an example differs from it.

Pure, and without Hypothesis. An example is bytes only once it gets an id and a time, so that the same
one, sent again, is a new message each time: a receiver's dedup must not answer for it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.model.text import Text
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.message import build
from conformance.protocol.tampering import Tampering

ID = "{id}"
"""Stands in a msgId for the digits that make it one of its own."""

PLAIN = "Hookproof"
"""The content of a plain message: of ASCII, so that what is odd stands out."""

Shape = tuple[str, str | None]
"""A fixed rule and its case: what an oddity is an instance of."""

NUL: Shape = ("receiver.accepts.any-text", "nul")


@dataclass(frozen=True, slots=True)
class Oddity:
    """One thing in which an example is not plain.

    An example has one oddity a `place`, and `where` names it for people. `shape` is the fixed rule
    whose level a finding takes; None for the fuzz rule's own. `fields` are set, those in `without`
    left out; `form` is how the JSON is written, `edit` what is done to its bytes before they are
    signed, `damage` what is done to the request afterwards; `headers` differ (None: left out). If a
    `simpler` one fails in the same way, it is that which the target minds.
    """

    place: str
    where: Text
    shape: Shape | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    form: str | None = None
    edit: Callable[[bytes], bytes] | None = None
    damage: Tampering | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    simpler: Oddity | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A message to try; without oddities a plain one."""

    oddities: tuple[Oddity, ...] = ()

    @property
    def damage(self) -> Tampering | None:
        """What is done to the request after it was signed."""
        return next((each.damage for each in self.oddities if each.damage is not None), None)

    @property
    def where(self) -> Text:
        """Its oddities, by name."""
        named = [each.where for each in self.oddities]
        return Text(
            " and ".join(each.en for each in named) or "a plain message",
            "、".join(each.zh for each in named) or "普通訊息",
        )

    def fields(self, digits: str, now: float, kind: str = "text") -> dict[str, Any]:
        """The message's fields; `digits` make its id one of its own, `now` is Unix seconds, `kind` that
        of the plain message."""
        fields = build(kind, ID, int(now)).fields()
        if kind == "text":
            fields["content"] = PLAIN
        for each in self.oddities:
            fields.update(each.fields)
            for name in each.without:
                fields.pop(name, None)
        if isinstance(fields.get("msgId"), str):
            fields["msgId"] = fields["msgId"].replace(ID, digits)
        return fields

    def body(self, digits: str, now: float, *, form: str = "compact", kind: str = "text") -> bytes:
        """The body that is signed, written in `form` unless an oddity asks for another."""
        form = next((each.form for each in self.oddities if each.form is not None), form)
        body = ENCODINGS[form](self.fields(digits, now, kind))
        for each in self.oddities:
            body = each.edit(body) if each.edit is not None else body
        return body

    def pieces(self) -> list[Example]:
        """Each oddity by itself, texts by the kinds of characters in them: to find out which one it
        is that a receiver minds."""
        told = [each for each in self.oddities if each.edit or each.damage]
        return [Example((piece,)) for each in told or self.oddities for piece in _pieces(each)]


_MARKUP = frozenset("<>&\"'\\/`$%{}")
_RIGHT_TO_LEFT = frozenset({"R", "AL", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "PDF", "PDI"})

KINDS: tuple[tuple[Text, Callable[[str], bool]], ...] = (
    (Text("U+0000", "U+0000"), lambda c: c == "\0"),
    (Text("control characters", "控制字符"), lambda c: unicodedata.category(c) == "Cc"),
    (Text("half a surrogate pair", "不成對的代理字符"), lambda c: "\ud800" <= c <= "\udfff"),
    (Text("characters beyond U+FFFF", "U+FFFF 以外的字符"), lambda c: c > "\uffff"),
    (
        Text("right-to-left text, or marks of direction", "由右至左的文字或方向標記"),
        lambda c: unicodedata.bidirectional(c) in _RIGHT_TO_LEFT or unicodedata.category(c) == "Cf",
    ),
    (Text("combining marks", "組合字符"), lambda c: unicodedata.category(c)[0] == "M"),
    (
        Text("unassigned or private characters", "未定義或私用字符"),
        lambda c: unicodedata.category(c)[0] == "C",
    ),
    (Text("quotes, backslashes or markup", "引號、反斜線或標記"), lambda c: c in _MARKUP),
    (Text("characters beyond ASCII", "非 ASCII 字符"), lambda c: c > "\x7f"),
)
"""Kinds of characters; one belongs to the first that fits."""


def kind_of(character: str) -> int | None:
    """The kind (a place in KINDS) of a character that is not a plain one."""
    return next((n for n, (_, fits) in enumerate(KINDS) if fits(character)), None)


def _pieces(oddity: Oddity) -> Iterator[Oddity]:
    """What is simpler than the oddity, then it with its texts made plain, then with one kind of
    character at a time."""
    if oddity.simpler is not None:
        yield from _pieces(oddity.simpler)
    texts = "".join(_texts(dict(oddity.fields)))
    kinds = sorted({kind for kind in map(kind_of, set(texts)) if kind is not None})
    if not kinds or oddity.edit or oddity.damage or oddity.without:
        yield oddity
        return
    yield replace(oddity, fields=_mapped(oddity.fields, None))
    for kind in kinds:
        name = KINDS[kind][0]
        yield replace(
            oddity,
            where=Text(f"{oddity.place} with {name.en}", f"{oddity.place} 含{name.zh}"),
            fields=_mapped(oddity.fields, kind),
            shape=NUL if name.en == "U+0000" else oddity.shape,
        )


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value.replace(ID, "")
        case dict():
            for key, inner in value.items():
                yield key
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)


def _mapped(fields: Mapping[str, Any], kept: int | None) -> dict[str, Any]:
    """`fields` with an x for each character of another kind than `kept`; names of fields stay."""

    def part(value: str) -> str:
        return "".join(c if kind_of(c) in (None, kept) else "x" for c in value)

    def text(value: str) -> str:
        return ID.join(map(part, value.split(ID)))

    def mapped(value: Any) -> Any:
        match value:
            case str():
                return text(value)
            case dict():
                return {text(key): mapped(inner) for key, inner in value.items()}
            case list():
                return [mapped(inner) for inner in value]
            case _:
                return value

    return {name: mapped(value) for name, value in fields.items()}
