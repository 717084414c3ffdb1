"""What a receiver's case consists of: steps, and what is expected of them.

Reads the words of a scenario file (`schemas/scenario.schema.json`) into records, and checks what the
schema cannot. Knows nothing of how a step is carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from conformance.model.errors import InputError
from conformance.model.exchange import Transport
from conformance.model.rules import Level
from conformance.model.sentence import Sentence
from conformance.protocol.message import build


@dataclass(frozen=True, slots=True)
class Send:
    """One request, or many alike. The schema describes the words; `encoding` is its `form`, and
    `repeat_of` its `again`."""

    message: str = "plain"
    fields: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    content_size: int | None = None
    encoding: str = "compact"
    body: str | None = None
    mutation: str | None = None
    timestamp: str | None = None
    tampering: str | None = None
    signature_of: str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    header_case: str | None = None
    method: str = "POST"
    transport: Transport = Transport.POOLED
    name: str | None = None
    repeat_of: str | None = None
    exact: bool = False
    id_of: str | None = None
    copies: int = 1
    messages: int = 1
    at_once: bool = False
    last: int | None = None
    background: bool = False
    other_instance: bool = False


@dataclass(frozen=True, slots=True)
class Expect:
    """What a step must show; `level` says how grave it is when it does not. With `or_skip` the case is
    then not judged: the step only ensures that the next ones prove something. `within` is in seconds."""

    level: Level
    or_skip: bool = False
    status: tuple[str | int, ...] = ()
    within: float | None = None
    processed: int | Literal["unchanged"] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a case: exactly one of `send`, `resend`, `restart`, `observe` and `pause` (seconds)."""

    send: Send | None = None
    resend: bool = False
    restart: bool = False
    observe: str | None = None
    pause: float = 0.0
    expects: tuple[Expect, ...] = ()


def parse_step(words: Mapping[str, Any], level: Level) -> Step:
    """The step that `words` describe; they fit the schema. Its expectations have `level` unless they
    state another."""
    expects = words.get("expect", [])
    return Step(
        send=_send(words["send"]) if "send" in words else None,
        resend="resend" in words,
        restart=words.get("restart", False),
        observe=words.get("observe"),
        pause=words.get("pause", 0.0),
        expects=tuple(
            _expect(expect, level)
            for expect in (expects if isinstance(expects, list) else [expects])
        ),
    )


_FIELDS = {
    "with": "fields",
    "as": "name",
    "again": "repeat_of",
    "form": "encoding",
    "content-size": "content_size",
    "signature-of": "signature_of",
    "header-case": "header_case",
    "id-of": "id_of",
    "at-once": "at_once",
}
"""word of the schema → field of `Send`, where they differ."""


def _send(words: Mapping[str, Any]) -> Send:
    fields = {_FIELDS.get(word, word): value for word, value in words.items()}
    if "without" in fields:
        fields["without"] = tuple(fields["without"])
    if "transport" in fields:
        fields["transport"] = Transport(fields["transport"])
    if fields.pop("to", None):
        fields["other_instance"] = True
    return Send(**fields)


def _expect(words: Mapping[str, Any], level: Level) -> Expect:
    status = words.get("status", [])
    return Expect(
        level=Level(words.get("level", level)),
        or_skip=words.get("otherwise") == "skip",
        status=tuple(status) if isinstance(status, list) else (status,),
        within=words.get("within"),
        processed=words.get("processed"),
    )


def check_steps(steps: Iterable[Step]) -> None:
    """Checks what the schema cannot express: words that require or exclude each other, and names that
    are used before a step defines them. Raises InputError."""
    names: set[str] = set()
    for step in steps:
        _check_step(step, names)


def _check_step(step: Step, names: set[str]) -> None:
    """`names` are those of the earlier steps; the step's own is added."""
    verbs = [step.send is not None, step.resend, step.restart, step.observe is not None]
    if sum([*verbs, step.pause > 0]) != 1:
        raise InputError("a step has one of `send`, `resend`, `restart`, `observe` and `pause`")
    if step.expects and (step.restart or step.pause):
        raise InputError("`restart` and `pause` show nothing: put `expect` into the next step")
    if step.observe is not None:
        _check_name(step.observe, names)
    if step.send is not None:
        _check_send(step.send, names)
        if step.send.name is not None:
            names.add(step.send.name)


def _check_send(send: Send, names: set[str]) -> None:
    for name in (send.repeat_of, send.id_of, send.signature_of):
        if name is not None:
            _check_name(name, names)
    if send.repeat_of is None and (send.exact or send.last):
        raise InputError("`exact` and `last` go with `again`")
    builds = (
        send.fields
        or send.without
        or send.content_size
        or send.mutation
        or send.encoding != "compact"
    )
    if send.body is not None and builds:
        raise InputError("`body` is sent unchanged: leave out the words that build a message")
    unknown = set(send.without) - set(build("text", "0", 0).fields()) - set(send.fields)
    if unknown:
        raise InputError(
            "`without` names {unknown!r}, which is not a field of a message", unknown=min(unknown)
        )
    for name, value in send.fields.items():
        if not _is_json(value):
            raise InputError(
                "`with` sets {name} to {value}, which JSON cannot represent: quote it",
                name=name,
                value=value,
            )


def _check_name(name: str, names: set[str]) -> None:
    if name not in names:
        known = Sentence("known here: {names}", names=", ".join(sorted(names)))
        hint = known if names else Sentence("no step has a name")
        raise InputError(
            "no earlier step is called {name!r} ({hint}); name it there with `as: {name}`",
            name=name,
            hint=hint,
        )


def _is_json(value: object) -> bool:
    match value:
        case dict():
            return all(isinstance(key, str) and _is_json(inner) for key, inner in value.items())
        case list():
            return all(map(_is_json, value))
        case _:
            return value is None or isinstance(value, str | int | float)
