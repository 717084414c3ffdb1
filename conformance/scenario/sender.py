"""What a sender's case is made of: the endpoints it is configured with, what it is told to do, and
what must arrive. Reads the words of a scenario file; knows nothing of how they are carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.model.errors import InputError
from conformance.model.rules import Level


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """One answer of a script; `to_other` redirects to the case's other endpoint."""

    status: int = 200
    delay: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    fault: str | None = None
    to_other: bool = False


OK = ScriptedAnswer()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: how it is configured at the sender, and the answers to a message's attempts,
    the last of which repeats. `way` is "refusing", "https", "untrusted" or None; one that is not
    `configured` only listens."""

    configure: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[ScriptedAnswer, ...] = (OK,)
    way: str | None = None
    configured: bool = True


@dataclass(frozen=True, slots=True)
class Emit:
    """Messages that the sender is given: new ones, or the named ones `again`. The kind "any" is one
    that the case's configuration asks for. `drawn`: as many as fuzzing tries, with drawn "contents", or
    some that each meet drawn "answers"."""

    message: str = "any"
    fields: Mapping[str, Any] = field(default_factory=dict)
    content_size: int | None = None
    messages: int = 1
    name: str | None = None
    again: str | None = None
    long_id: bool = False
    drawn: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the configuration API: `name` is Config, Update, Update-only (which sends nothing
    but what changes), List or Test. A field that is None is left out."""

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must be seen of a step: the attempts for each of its messages (least, most), whether
    they arrive, whether the call succeeds ("ok", "error"), a named check, or several of these;
    `other` at the other endpoint."""

    level: Level
    attempts: tuple[int, int | None] | None = None
    arrives: bool | None = None
    call: str | None = None
    check: str | None = None
    other: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One step: at most one of `emit`, `call` and `restart`, new answers, and what must be seen."""

    emit: Emit | None = None
    call: Call | None = None
    restart: bool = False
    answers: tuple[ScriptedAnswer, ...] = ()
    seen: tuple[Expectation, ...] = ()


@dataclass(frozen=True, slots=True)
class SenderCase:
    """A sender's case."""

    actions: tuple[Action, ...] = ()
    listener: Endpoint = field(default_factory=Endpoint)
    other: Endpoint | None = None

    @property
    def emits(self) -> bool:
        """Whether the sender is given messages in it."""
        return any(action.emit is not None for action in self.actions)

    @property
    def needs(self) -> list[str]:
        """What must be given, or be so, for it to be carried out, in the words of `needs`."""
        wanted = {
            "emit": self.emits,
            "several": self.other is not None and self.other.configured,
            "restart": any(action.restart for action in self.actions),
            "tls": self.listener.way == "https",
            "openssl": self.listener.way == "untrusted",
        }
        return [need for need, is_wanted in wanted.items() if is_wanted]

    @property
    def kinds(self) -> list[str]:
        """The kinds of messages that it names."""
        emits = [action.emit for action in self.actions if action.emit is not None]
        return list(dict.fromkeys(emit.message for emit in emits if emit.message != "any"))

    @property
    def drawn(self) -> str | None:
        """What of it is drawn, if anything is."""
        emits = [action.emit for action in self.actions if action.emit is not None]
        return next((emit.drawn for emit in emits if emit.drawn is not None), None)

    @property
    def crowded(self) -> bool:
        """Whether the sender is given many messages in it."""
        emits = [action.emit for action in self.actions if action.emit is not None]
        return any(emit.messages > 1 for emit in emits)

    @property
    def calls(self) -> bool:
        """Whether it calls the configuration API, so that it needs a configuration of its own."""
        return any(action.call is not None for action in self.actions)

    @property
    def tests(self) -> bool:
        """Whether it calls Test."""
        return any(a.call is not None and a.call.name == "Test" for a in self.actions)

    @property
    def retried(self) -> bool:
        """Whether it is about further attempts: one that fails, or one that must not follow."""
        return self.drawn == "answers" or any(
            seen.attempts is not None and seen.attempts != (1, None)
            for action in self.actions
            for seen in action.seen
        )

    @property
    def holds_up(self) -> bool:
        """Whether an endpoint of it lets the sender wait."""
        return any(reply.delay or reply.fault == "hang" for reply in self.replies)

    @property
    def replies(self) -> list[ScriptedAnswer]:
        """All the answers of its endpoints."""
        scripts = [self.listener.answers, *(action.answers for action in self.actions)]
        if self.other is not None:
            scripts.append(self.other.answers)
        return [reply for script in scripts for reply in script]


NOTHING = SenderCase()


def read(words: Mapping[str, Any], shared: Mapping[str, Any], level: Level) -> SenderCase:
    """The case that `words` describe, where they complete what the rule says for all its cases.
    Raises InputError for words that need or exclude each other, and names that no step is called."""
    own = {**shared, **words}
    own["configure"] = {**shared.get("configure", {}), **words.get("configure", {})}
    steps = [dict(step) for step in own.get("steps", ())]
    for verb in ("emit", "call"):
        having = [step for step in steps if verb in step]
        if verb in words:
            if not having:
                raise InputError(f"the case's `{verb}` completes that of a step, and none has one")
            both = verb == "emit"
            having[0][verb] = {**having[0][verb], **words[verb]} if both else words[verb]
    also = own.get("also")
    sender_case = SenderCase(
        actions=tuple(_action(step, level) for step in steps),
        listener=_listener(own),
        other=_listener(also) if also is not None else None,
    )
    _check_sense(sender_case)
    _check_counted(sender_case)
    return sender_case


def _check_sense(sender_case: SenderCase) -> None:
    known: set[str] = set()
    if sender_case.other is None and any(reply.to_other for reply in sender_case.replies):
        raise InputError("`to-other` goes with `also`, which is the other endpoint")
    for action in sender_case.actions:
        if sum([action.emit is not None, action.call is not None, action.restart]) > 1:
            raise InputError("a step has one of `emit`, `call` and `restart`")
        if action.emit is not None:
            _check_emit(action.emit, known)
        for seen in action.seen:
            _check_seen(seen, action)
            if seen.other and sender_case.other is None:
                raise InputError("`at: other` goes with `also`, which is the other endpoint")


def _check_counted(sender_case: SenderCase) -> None:
    """Attempts can be counted against answers only where it is said how many retries there are."""
    checks = [seen.check for action in sender_case.actions for seen in action.seen]
    counted = sender_case.drawn == "answers" or "as-answered" in checks
    if counted and "RetryCount" not in sender_case.listener.configure:
        raise InputError("`drawn: answers` and `as-answered` need `configure: {RetryCount: …}`")


def _check_emit(emit: Emit, known: set[str]) -> None:
    """`known` are the names of earlier steps; the step's own is added."""
    if emit.again is not None:
        if emit.again not in known:
            raise InputError(
                f"no earlier step is called {emit.again!r}: name it with `as: {emit.again}`"
            )
        if replace(emit, again=None, name=None) != Emit():
            raise InputError("`again` gives a message unchanged: leave out what makes another")
    if emit.drawn is not None and replace(emit, drawn=None, name=None) != Emit():
        raise InputError("what is `drawn` is not said: leave out what makes another message")
    if emit.name is not None:
        known.add(emit.name)


def _check_seen(seen: Expectation, action: Action) -> None:
    """An expectation that its step can never break would always hold."""
    if (seen.attempts, seen.arrives, seen.call, seen.check) == (None, None, None, None):
        raise InputError("`expect` says what: `attempts`, `arrives`, `call` or `check`")
    if seen.attempts is not None and action.emit is None:
        raise InputError("`attempts` counts those for an `emit`: the step has none")
    if seen.arrives is not None and action.emit is None and action.call is None:
        raise InputError("`arrives` goes with the `emit` or the `call` that brings it")
    if seen.call is not None and action.call is None:
        raise InputError("`expect: {call: …}` goes with a `call`: the step has none")


def _action(words: Mapping[str, Any], level: Level) -> Action:
    expects = words.get("expect", [])
    return Action(
        emit=_emit(words["emit"]) if "emit" in words else None,
        call=_call(words["call"]) if "call" in words else None,
        restart=words.get("restart", False),
        answers=tuple(map(_reply, words.get("answers", ()))),
        seen=tuple(_seen(e, level) for e in (expects if isinstance(expects, list) else [expects])),
    )


def _listener(words: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        configure=words.get("configure", {}),
        answers=tuple(map(_reply, words.get("answers", (200,)))),
        way=words.get("way"),
        configured=words.get("configured", True),
    )


def _reply(words: int | Mapping[str, Any]) -> ScriptedAnswer:
    if isinstance(words, int):
        return ScriptedAnswer(status=words)
    return ScriptedAnswer(**{word.replace("-", "_"): value for word, value in words.items()})


def _emit(words: Mapping[str, Any]) -> Emit:
    renamed = {
        "with": "fields",
        "as": "name",
        "content-size": "content_size",
        "long-id": "long_id",
    }
    return Emit(**{renamed.get(word, word): value for word, value in words.items()})


def _call(words: str | Mapping[str, Any]) -> Call:
    if isinstance(words, str):
        return Call(words)
    ((name, fields),) = words.items()
    return Call(name, fields)


def _seen(words: Mapping[str, Any], level: Level) -> Expectation:
    attempts = None
    if "attempts" in words:
        text = str(words["attempts"])
        attempts = (int(text.rstrip("+")), None if text.endswith("+") else int(text))
    return Expectation(
        level=Level(words.get("level", level)),
        attempts=attempts,
        arrives=words.get("arrives"),
        call=words.get("call"),
        check=words.get("check"),
        other=words.get("at") == "other",
    )
