"""A sentence made in Python: an English template with parameters, made into text only when it is shown.

The template is its own key in the catalogues of other languages. Parameters are data and never read as
templates, so text from a target or a user may hold braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from string import Formatter
from typing import Any, NamedTuple, TypeAlias

from conformance.model.language import ENGLISH, Language

Value: TypeAlias = "str | int | float | Sentence"
"""What a parameter may be: a scalar, or a sentence of its own."""


_SPEC = re.compile(r",?(\.\d)?[defg%]?")
"""What a template may ask for. Others could ask for a text of any length, or for an attribute."""


class Field(NamedTuple):
    """A piece of a template: its `literal` text, then the parameter `name` (None at the end of the template)
    with a format `spec` and a `conversion`, "r" or None."""

    literal: str
    name: str | None
    spec: str
    conversion: str | None


@lru_cache(maxsize=4096)
def fields(template: str) -> tuple[Field, ...]:
    """The pieces of a template. Raises ValueError for unbalanced braces."""
    return tuple(
        Field(literal, name, spec or "", conversion)
        for literal, name, spec, conversion in Formatter().parse(template)
    )


@dataclass(frozen=True, slots=True)
class _Phrase:
    """One template with its parameters, as pairs so that it can be hashed."""

    template: str
    items: tuple[tuple[str, Value], ...]

    def in_(self, language: Language) -> str:
        values = dict(self.items)
        parts = []
        for literal, name, spec, conversion in fields(language.translate(self.template)):
            parts.append(literal)
            if name is not None:
                parts.append(_formatted(values[name], spec, conversion, language))
        return "".join(parts)


def _formatted(value: Value, spec: str, conversion: str | None, language: Language) -> str:
    if isinstance(value, Sentence):
        value = value.in_(language)
    return format(repr(value) if conversion == "r" else value, spec)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Sentence:
    """`Sentence("answered {status}", status=500)`: a template, and a value for each name in braces.

    A name may be followed by `!r` and a format specification (`{seconds:.1f}`), nothing else; a literal
    brace is doubled. A parameter that is a sentence is shown in the same language. `+` appends a
    sentence; one without words is falsy. `str` is the English text.
    """

    _phrases: tuple[_Phrase, ...]

    def __init__(self, template: str, /, **parameters: Value) -> None:
        phrases = (_Phrase(template, tuple(parameters.items())),) if template else ()
        object.__setattr__(self, "_phrases", phrases)

    def in_(self, language: Language) -> str:
        """The text in `language`."""
        return "".join(phrase.in_(language) for phrase in self._phrases)

    def __str__(self) -> str:
        return self.in_(ENGLISH)

    def __repr__(self) -> str:
        parts = (
            ", ".join(
                [repr(phrase.template), *(f"{name}={value!r}" for name, value in phrase.items)]
            )
            for phrase in self._phrases
        )
        return " + ".join(f"Sentence({part})" for part in parts) or "Sentence('')"

    def __bool__(self) -> bool:
        return bool(self._phrases)

    def __add__(self, other: Sentence) -> Sentence:
        return _of(self._phrases + other._phrases)

    @property
    def parameters(self) -> dict[str, str | int | float]:
        """The parameters of all its parts as JSON values. A sentence among them is there as its English
        text, and its own parameters beside it; where two use one name, the first keeps it."""
        merged: dict[str, str | int | float] = {}
        for phrase in self._phrases:
            for name, value in phrase.items:
                if isinstance(value, Sentence):
                    merged.setdefault(name, str(value))
                    for inner, scalar in value.parameters.items():
                        merged.setdefault(inner, scalar)
                else:
                    merged.setdefault(name, value)
        return merged

    def with_text(self, change: Callable[[str], str], unchanged: Collection[str] = ()) -> Sentence:
        """The sentence with `change` made to every text among its parameters, those that are called as in
        `unchanged` excepted."""

        def changed(name: str, value: Value) -> Value:
            if isinstance(value, Sentence):
                return value.with_text(change, unchanged)
            return change(value) if isinstance(value, str) and name not in unchanged else value

        return _of(
            replace(
                phrase, items=tuple((name, changed(name, value)) for name, value in phrase.items)
            )
            for phrase in self._phrases
        )

    def as_data(self) -> list[dict[str, Any]]:
        """The sentence as JSON data: a list of templates with their parameters."""
        return [
            {
                "template": phrase.template,
                "parameters": {
                    name: value.as_data() if isinstance(value, Sentence) else value
                    for name, value in phrase.items
                },
            }
            for phrase in self._phrases
        ]

    @classmethod
    def from_data(cls, data: Iterable[Mapping[str, Any]]) -> Sentence:
        """The sentence in what `as_data` returned. Raises KeyError or ValueError for a template that names
        what it has no parameter for, or that formats it in a way that no sentence does."""
        return _of(_phrase(part) for part in data)


def _of(phrases: Iterable[_Phrase]) -> Sentence:
    sentence = object.__new__(Sentence)
    object.__setattr__(sentence, "_phrases", tuple(phrases))
    return sentence


def _phrase(part: Mapping[str, Any]) -> _Phrase:
    items = tuple(
        (name, Sentence.from_data(value) if isinstance(value, list) else value)
        for name, value in part["parameters"].items()
    )
    for _, name, spec, conversion in fields(part["template"]):
        if name is not None:
            if conversion not in (None, "r") or not _SPEC.fullmatch(spec):
                raise ValueError(f"{part['template']!r} is not a template")
            _formatted(dict(items)[name], spec, conversion, ENGLISH)
    return _Phrase(part["template"], items)


EMPTY = _of(())


def verbatim(text: str) -> Sentence:
    """`text` as it is, in every language: what a target answered, or the name of a thing."""
    return Sentence("{text}", text=text)


def clauses(sentences: Iterable[Sentence]) -> Sentence:
    """The sentences one after the other, set apart by semicolons."""
    return joined(Sentence("; "), sentences)


def listed(sentences: Iterable[Sentence]) -> Sentence:
    """The sentences as an enumeration, set apart by commas."""
    return joined(Sentence(", "), sentences)


def joined(separator: Sentence, sentences: Iterable[Sentence]) -> Sentence:
    """The sentences with `separator` between them, without the empty ones."""
    whole = EMPTY
    for sentence in filter(None, sentences):
        whole += separator + sentence if whole else sentence
    return whole
