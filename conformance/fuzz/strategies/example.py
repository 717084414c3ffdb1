"""Examples: a plain message and the oddities by which an example differs from it.

Pure and free of Hypothesis. An example becomes bytes only with an id and a time. So the same example,
sent again, is a new message each time, and the receiver's deduplication cannot hide its answer.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.model.sentence import Sentence, joined
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.message import build
from conformance.protocol.tampering import Tampering

ID = "{id}"
"""The placeholder in a msgId for the digits that make it unique."""

PLAIN = "Hookproof"
"""The content of a plain message: ASCII, so that an oddity stands out."""

Shape = tuple[str, str | None]
"""A fixed rule and its case, of which an oddity is an instance."""

NUL: Shape = ("receiver.accepts.any-text", "nul")


@dataclass(frozen=True, slots=True)
class Oddity:
    """One respect in which an example is not plain.

    An example has at most one oddity for each `place`; `where` describes it for people. `shape` is the
    fixed rule whose level a finding takes, or None for the fuzz rule's own level. `fields` are set and
    those in `without` are left out. `form` is the JSON encoding. `mutation` changes the bytes before they
    are signed, `tampering` the request after that. `headers` replace others (None: left out). If a
    `simpler` oddity fails in the same way, that one is the cause.
    """

    place: str
    where: Sentence
    shape: Shape | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    form: str | None = None
    mutation: Callable[[bytes], bytes] | None = None
    tampering: Tampering | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    simpler: Oddity | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A message to try; a plain one if it has no oddities."""

    oddities: tuple[Oddity, ...] = ()

    @property
    def tampering(self) -> Tampering | None:
        """The tampering with the request after it was signed, if any."""
        return next((odd.tampering for odd in self.oddities if odd.tampering is not None), None)

    @property
    def where(self) -> Sentence:
        """The descriptions of its oddities."""
        descriptions = [oddity.where for oddity in self.oddities]
        return joined(Sentence(" and "), descriptions) or Sentence("a plain message")

    def fields(self, digits: str, now: float, kind: str = "text") -> dict[str, Any]:
        """The message's fields. `digits` make its id unique, `now` is in Unix seconds, `kind` is that of the
        plain message."""
        fields = build(kind, ID, int(now)).fields()
        if kind == "text":
            fields["content"] = PLAIN
        for oddity in self.oddities:
            fields.update(oddity.fields)
            for name in oddity.without:
                fields.pop(name, None)
        if isinstance(fields.get("msgId"), str):
            fields["msgId"] = fields["msgId"].replace(ID, digits)
        return fields

    def body(self, digits: str, now: float, *, form: str = "compact", kind: str = "text") -> bytes:
        """The body to sign, in the JSON encoding `form` unless an oddity has another."""
        form = next((odd.form for odd in self.oddities if odd.form is not None), form)
        body = ENCODINGS[form](self.fields(digits, now, kind))
        for oddity in self.oddities:
            body = oddity.mutation(body) if oddity.mutation is not None else body
        return body

    def pieces(self) -> list[Example]:
        """Each oddity by itself, and texts split by kinds of characters, to find the one that a receiver
        fails on."""
        changes = [oddity for oddity in self.oddities if oddity.mutation or oddity.tampering]
        return [
            Example((piece,)) for oddity in changes or self.oddities for piece in _pieces(oddity)
        ]


_MARKUP = frozenset("<>&\"'\\/`$%{}")
_RIGHT_TO_LEFT = frozenset({"R", "AL", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "PDF", "PDI"})

KINDS: tuple[tuple[Sentence, Callable[[str], bool]], ...] = (
    (Sentence("U+0000"), lambda c: c == "\0"),
    (Sentence("control characters"), lambda c: unicodedata.category(c) == "Cc"),
    (Sentence("half a surrogate pair"), lambda c: "\ud800" <= c <= "\udfff"),
    (Sentence("characters beyond U+FFFF"), lambda c: c > "\uffff"),
    (
        Sentence("right-to-left text, or marks of direction"),
        lambda c: unicodedata.bidirectional(c) in _RIGHT_TO_LEFT or unicodedata.category(c) == "Cf",
    ),
    (Sentence("combining marks"), lambda c: unicodedata.category(c)[0] == "M"),
    (
        Sentence("unassigned or private characters"),
        lambda c: unicodedata.category(c)[0] == "C",
    ),
    (Sentence("quotes, backslashes or markup"), lambda c: c in _MARKUP),
    (Sentence("characters beyond ASCII"), lambda c: c > "\x7f"),
)
"""Kinds of characters; a character belongs to the first kind that fits."""


def kind_of(character: str) -> int | None:
    """The kind of a character, as an index into KINDS; None for a plain one."""
    return next((n for n, (_, fits) in enumerate(KINDS) if fits(character)), None)


def _pieces(oddity: Oddity) -> Iterator[Oddity]:
    """Simpler oddities, then the oddity with plain texts, then with one kind of character at a time."""
    if oddity.simpler is not None:
        yield from _pieces(oddity.simpler)
    texts = "".join(_texts(dict(oddity.fields)))
    kinds = sorted({kind for kind in map(kind_of, set(texts)) if kind is not None})
    if not kinds or oddity.mutation or oddity.tampering or oddity.without:
        yield oddity
        return
    yield replace(oddity, fields=_mapped(oddity.fields, None))
    for kind in kinds:
        name = KINDS[kind][0]
        yield replace(
            oddity,
            where=Sentence("{place} with {name}", place=oddity.place, name=name),
            fields=_mapped(oddity.fields, kind),
            shape=NUL if str(name) == "U+0000" else oddity.shape,
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


def _mapped(fields: Mapping[str, Any], kind: int | None) -> dict[str, Any]:
    """`fields` with an x for each special character that is not of `kind`; field names are unchanged."""

    def part(value: str) -> str:
        return "".join(c if kind_of(c) in (None, kind) else "x" for c in value)

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
