"""What a sender's case is made of: the endpoints it is configured with, what it is told to do, and
what must arrive. Reads the words of a scenario file; knows nothing of how they are carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.rules import Level


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a script; `to_other` redirects to the case's other endpoint."""

    status: int = 200
    delay: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    fault: str | None = None
    to_other: bool = False


OK = Reply()


@dataclass(frozen=True, slots=True)
class Listener:
    """One endpoint: how it is configured at the sender, and the answers to a message's attempts,
    the last of which repeats. `way` is "refusing", "https", "untrusted" or None; one that is not
    `configured` only listens."""

    configure: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[Reply, ...] = (OK,)
    way: str | None = None
    configured: bool = True


@dataclass(frozen=True, slots=True)
class Emit:
    """Messages that the sender is given: new ones, or the named ones `again`."""

    message: str = "text"
    fields: Mapping[str, Any] = field(default_factory=dict)
    content_size: int | None = None
    messages: int = 1
    name: str | None = None
    again: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the configuration API: `name` is Config, Update, List or Test."""

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What must be seen of a step: the attempts for each of its messages (least, most), whether
    they arrive, whether the call succeeds, or a named check; `other` at the other endpoint."""

    level: Level
    attempts: tuple[int, int | None] | None = None
    arrives: bool | None = None
    call: str | None = None
    check: str | None = None
    other: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One step: exactly one of its words, and what must be seen of it."""

    emit: Emit | None = None
    call: Call | None = None
    restart: bool = False
    answers: tuple[Reply, ...] = ()
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class Sending:
    """A sender's case."""

    actions: tuple[Action, ...]
    listener: Listener = field(default_factory=Listener)
    other: Listener | None = None

    @property
    def emits(self) -> bool:
        """Whether the sender is given messages in it."""
        return any(action.emit is not None for action in self.actions)


def read(words: Mapping[str, Any], shared: Mapping[str, Any], level: Level) -> Sending:
    """The case that `words` describe, where they complete what the rule says for all its cases."""
    own = {**shared, **words}
    own["configure"] = {**shared.get("configure", {}), **words.get("configure", {})}
    steps = [dict(step) for step in own.get("steps", ())]
    emits = [step for step in steps if "emit" in step]
    if emits and "emit" in words:
        emits[-1]["emit"] = {**emits[-1]["emit"], **words["emit"]}
    calls = [step for step in steps if "call" in step]
    if calls and "call" in words:
        calls[-1]["call"] = words["call"]
    also = own.get("also")
    return Sending(
        actions=tuple(_action(step, level) for step in steps),
        listener=_listener(own),
        other=_listener(also) if also is not None else None,
    )


def _action(words: Mapping[str, Any], level: Level) -> Action:
    expects = words.get("expect", [])
    return Action(
        emit=_emit(words["emit"]) if "emit" in words else None,
        call=_call(words["call"]) if "call" in words else None,
        restart=words.get("restart", False),
        answers=tuple(map(_reply, words.get("answers", ()))),
        seen=tuple(_seen(e, level) for e in (expects if isinstance(expects, list) else [expects])),
    )


def _listener(words: Mapping[str, Any]) -> Listener:
    return Listener(
        configure=words.get("configure", {}),
        answers=tuple(map(_reply, words.get("answers", (200,)))),
        way=words.get("way"),
        configured=words.get("configured", True),
    )


def _reply(words: int | Mapping[str, Any]) -> Reply:
    if isinstance(words, int):
        return Reply(status=words)
    return Reply(**{word.replace("-", "_"): value for word, value in words.items()})


def _emit(words: Mapping[str, Any]) -> Emit:
    renamed = {"with": "fields", "as": "name", "content-size": "content_size"}
    return Emit(**{renamed.get(word, word): value for word, value in words.items()})


def _call(words: str | Mapping[str, Any]) -> Call:
    if isinstance(words, str):
        return Call(words)
    ((name, fields),) = words.items()
    return Call(name, fields)


def _seen(words: Mapping[str, Any], level: Level) -> Seen:
    attempts = None
    if "attempts" in words:
        text = str(words["attempts"])
        attempts = (int(text.rstrip("+")), None if text.endswith("+") else int(text))
    return Seen(
        level=Level(words.get("level", level)),
        attempts=attempts,
        arrives=words.get("arrives"),
        call=words.get("call"),
        check=words.get("check"),
        other=words.get("at") == "other",
    )
