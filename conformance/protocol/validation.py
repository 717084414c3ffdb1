"""JSON Schema at the edges: which fields of a document are wrong, and how.

Everything that comes from outside (a message, a configuration, a dialect, a report) is validated here
once and trusted afterwards. This module knows the files in `schemas/`, and must not know what a document
means or where it comes from.

Two annotations in a schema shape the wording: the `title` of a subschema that has a `pattern` is a
noun phrase that completes "must be …", and a value that is `writeOnly` (a secret) is never quoted.
To forbid a field write `{"not": {}}`: for a plain `false`, jsonschema does not report the place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource

from conformance.model.sentence import EMPTY, Sentence, joined, verbatim
from conformance.protocol import resources

SUFFIX = ".schema.json"
WHOLE = "(whole)"
LONGEST = 80

_NOUNS = {
    "array": Sentence("an array"),
    "boolean": Sentence("a boolean"),
    "integer": Sentence("an integer"),
    "null": Sentence("null"),
    "number": Sentence("a number"),
    "object": Sentence("an object"),
    "string": Sentence("a string"),
}
_BOUNDS: dict[str, Callable[[int], Sentence]] = {
    "minimum": lambda limit: Sentence("at least {limit}", limit=limit),
    "maximum": lambda limit: Sentence("at most {limit}", limit=limit),
    "exclusiveMinimum": lambda limit: Sentence("more than {limit}", limit=limit),
}


_WHOLE = verbatim(WHOLE)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a document.

    `path` leads to the field, as in `content.url` or `MessageTypes[2]`; it is `(whole)` for the
    document itself. `message` is a predicate: path and message together read as a sentence. Neither
    quotes more than LONGEST characters of the document, and secrets not at all.
    """

    path: str
    message: Sentence

    def sentence(self, whole: Sentence = _WHOLE) -> Sentence:
        """Path and message; a problem of the document itself is one of `whole`."""
        subject = whole if self.path == WHOLE else verbatim(self.path)
        return Sentence("{subject} {message}", subject=subject, message=self.message)

    def __str__(self) -> str:
        return str(self.sentence())


@cache
def validator(name: str) -> Draft202012Validator:
    """The validator of `schemas/NAME.schema.json`, the same object at every call.

    It resolves references to the other schemas in the folder by their `$id`, never on the network.
    Raises KeyError, listing the known names, when there is no such schema.
    """
    if name not in _schemas():
        raise KeyError(f"no schema is called {name!r}; there are {', '.join(_schemas())}")
    return Draft202012Validator(_schemas()[name], registry=_registry())


def problems(name: str, instance: object) -> list[Problem]:
    """Everything that keeps `instance` from fitting the schema `name`, sorted by path.

    `instance` is what a JSON or YAML parser returns. An empty list means that it fits. For a missing or
    an unknown field, `path` names the field itself, not the object around it. Where a schema offers
    alternatives (`anyOf`, `oneOf`) and only one takes values of this type, the problems are those of
    that one. A wrong value nested too deeply for Python's stack is one problem of the whole document.
    Raises KeyError as `validator` does.
    """
    try:
        errors = validator(name).iter_errors(instance)
        found = {problem for error in errors for problem in _problems(error)}
    except RecursionError:
        return [Problem(WHOLE, Sentence("is nested too deeply to be validated"))]
    return sorted(found, key=lambda problem: (problem.path, str(problem.message)))


def message_problems(message: object) -> list[Problem]:
    """Everything that keeps `message`, a parsed delivery, from fitting the guide (字段說明,
    訊息類型說明), sorted by path; an empty list means that it fits.

    A documented msgType is validated against the small schema of its type, and everything else against
    `message`, where an unknown type may carry any content. A msgType of 1.0 is 1, as in JSON Schema;
    true is not. The result is that of `problems("message", message)`, in a third of the time.
    """
    return problems(schema_of(message), message)


def schema_of(message: object) -> str:
    """The name of the schema for `message`: the small one of its type, or "message"."""
    kind: Any = message.get("msgType") if isinstance(message, dict) else None
    return _by_type().get(kind, "message") if type(kind) in (int, float) else "message"


@cache
def _by_type() -> dict[float, str]:
    return {
        int(name.removeprefix("message-")): name
        for name in _schemas()
        if name.startswith("message-")
    }


@cache
def _schemas() -> dict[str, Any]:
    files = sorted(resources.folder("schemas").glob(f"*{SUFFIX}"))
    return {file.name.removesuffix(SUFFIX): json.loads(file.read_bytes()) for file in files}


@cache
def _registry() -> Registry[Any]:
    return ([Resource.from_contents(schema) for schema in _schemas().values()] @ Registry()).crawl()


def _problems(error: ValidationError) -> Iterator[Problem]:
    place = error.absolute_path
    constraint: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "required":
            for name in constraint:
                if name not in value:
                    yield Problem(_path(*place, name), Sentence("is missing"))
        case "additionalProperties":
            for name in _unknown(error.schema, value):
                known: Any = error.schema
                hint = _near(name, known.get("properties", ()))
                yield Problem(
                    _path(*place, name), Sentence("is not a known field{hint}", hint=hint)
                )
        case "anyOf" | "oneOf" if branch := _branch_meant(error):
            for inner in branch:
                yield from _problems(inner)
        case _:
            yield Problem(_path(*place), _predicate(error))


def _unknown(schema: Any, value: dict[Any, object]) -> list[Any]:
    known, patterns = schema.get("properties", ()), schema.get("patternProperties", ())
    unlisted = (name for name in value if name not in known)
    return [name for name in unlisted if not any(re.search(p, name) for p in patterns)]


def _near(word: object, known: Iterable[str]) -> Sentence:
    """A hint at the known word that was probably meant; empty when none is similar."""
    near = get_close_matches(word, list(known), n=1) if isinstance(word, str) else []
    return Sentence(" (did you mean {name}?)", name=near[0]) if near else EMPTY


def _branch_meant(error: ValidationError) -> list[ValidationError]:
    """The errors of the only alternative that takes values of this type; empty if there is not one."""
    branches: dict[object, list[ValidationError]] = {}
    for inner in error.context:
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    meant = [branch for branch in branches.values() if not any(map(_is_other_type, branch))]
    return meant[0] if len(meant) == 1 else []


def _is_other_type(error: ValidationError) -> bool:
    return error.validator == "type" and not error.relative_path


def _predicate(error: ValidationError) -> Sentence:
    schema: Any = error.schema
    constraint: Any = error.validator_value
    match error.validator:
        case "type":
            types = [constraint] if isinstance(constraint, str) else constraint
            expected = joined(Sentence(" or "), (_NOUNS[name] for name in types))
        case "const":
            expected = verbatim(_cut(json.dumps(constraint, ensure_ascii=False)))
        case "enum":
            near = _near(error.instance, map(str, constraint))
            expected = (
                Sentence("one of {values}", values=_cut(", ".join(map(str, constraint)))) + near
            )
        case "pattern":
            title = schema.get("title")
            pattern = Sentence("a text that matches {pattern}", pattern=_cut(constraint))
            expected = verbatim(title) if title else pattern
        case "minimum" | "maximum" | "exclusiveMinimum" as bound:
            expected = _BOUNDS[bound](constraint)
        case "minLength" | "minItems" if constraint == 1:
            return Sentence("must not be empty")
        case "anyOf" | "oneOf":
            return Sentence(
                "fits none, or more than one, of the {count} forms allowed here",
                count=len(constraint),
            )
        case "not" if constraint == {}:
            return Sentence("is not allowed here")
        case None:  # a plain `false`
            return Sentence("contains something that is not allowed")
        case keyword:
            limit = _cut(json.dumps(constraint, ensure_ascii=False))
            return Sentence("breaks {keyword}: {limit}", keyword=str(keyword), limit=limit)
    if schema.get("writeOnly"):
        return Sentence("must be {expected}", expected=expected)
    return Sentence(
        "must be {expected}, not {actual}", expected=expected, actual=_describe(error.instance)
    )


def _describe(value: object) -> Sentence:
    match value:
        case dict():
            return _NOUNS["object"]
        case list():
            return _NOUNS["array"]
        case str():
            return verbatim(repr(_cut(value)))
        case None | bool() | int() | float():
            return verbatim(_cut(json.dumps(value)))
        case _:  # YAML has types that JSON lacks
            return Sentence("a {kind}", kind=type(value).__name__)


def _path(*place: object) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return _cut(text.removeprefix(".")) or WHOLE


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
