"""What a sender's case consists of: the endpoints to configure, the actions, and what must arrive.

Reads the words of a scenario file (`schemas/scenario.schema.json`) into records, and checks what the
schema cannot. Knows nothing of how an action is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.model.errors import InputError
from conformance.model.rules import Level


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """One answer of a script. `delay` is in seconds; `to_other` redirects to the case's other endpoint."""

    status: int = 200
    delay: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    fault: str | None = None
    to_other: bool = False


OK = ScriptedAnswer()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: how it is configured at the sender, and the answers to a message's attempts; the last
    answer repeats. `kind` is "refusing", "https", "untrusted" or None. An endpoint that is not
    `configured` only listens."""

    configure: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[ScriptedAnswer, ...] = (OK,)
    kind: str | None = None
    configured: bool = True


@dataclass(frozen=True, slots=True)
class Emit:
    """Message events passed to the sender: new ones, or those of an earlier step once more (`repeat_of`).
    The kind "any" is one that the case's configuration wants. `drawn` generates the messages: "contents"
    as many as fuzzing tries, each with other content; "answers" some that each get other answers."""

    message: str = "any"
    fields: Mapping[str, Any] = field(default_factory=dict)
    content_size: int | None = None
    messages: int = 1
    name: str | None = None
    repeat_of: str | None = None
    long_id: bool = False
    drawn: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the configuration API: `name` is Config, Update, Update-only (which sends only the
    fields that change), List or Test. A field that is None is left out."""

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a step must show: the attempts for each of its messages (least, most), whether they arrive,
    whether the call succeeds ("ok", "error"), a named check, or several of these. With `other` they are
    expected at the case's other endpoint."""

    level: Level
    attempts: tuple[int, int | None] | None = None
    arrives: bool | None = None
    call: str | None = None
    check: str | None = None
    other: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One step: at most one of `emit`, `call` and `restart`; new answers; and what is expected of it."""

    emit: Emit | None = None
    call: Call | None = None
    restart: bool = False
    answers: tuple[ScriptedAnswer, ...] = ()
    expectations: tuple[Expectation, ...] = ()


@dataclass(frozen=True, slots=True)
class SenderCase:
    """A sender's case: its actions, its endpoint, and the other one if it has two."""

    actions: tuple[Action, ...] = ()
    endpoint: Endpoint = field(default_factory=Endpoint)
    other: Endpoint | None = None

    @property
    def emits(self) -> bool:
        """Whether it passes message events to the sender."""
        return any(action.emit is not None for action in self.actions)

    @property
    def needs(self) -> list[str]:
        """The preconditions for carrying it out, in the words of `needs`."""
        needs = {
            "emit": self.emits,
            "several": self.other is not None and self.other.configured,
            "restart": any(action.restart for action in self.actions),
            "tls": self.endpoint.kind == "https",
            "openssl": self.endpoint.kind == "untrusted",
        }
        return [need for need, applies in needs.items() if applies]

    @property
    def kinds(self) -> list[str]:
        """The kinds of messages that it names, each once."""
        emits = [action.emit for action in self.actions if action.emit is not None]
        return list(dict.fromkeys(emit.message for emit in emits if emit.message != "any"))

    @property
    def drawn(self) -> str | None:
        """What is drawn for its messages ("contents" or "answers"); None when nothing is."""
        emits = [action.emit for action in self.actions if action.emit is not None]
        return next((emit.drawn for emit in emits if emit.drawn is not None), None)

    @property
    def crowded(self) -> bool:
        """Whether it passes several messages to the sender at once."""
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
        """Whether it is about retries: those that must follow an attempt, or must not."""
        return self.drawn == "answers" or any(
            expectation.attempts is not None and expectation.attempts != (1, None)
            for action in self.actions
            for expectation in action.expectations
        )

    @property
    def holds_up(self) -> bool:
        """Whether one of its endpoints makes the sender wait."""
        return any(answer.delay or answer.fault == "hang" for answer in self.answers)

    @property
    def answers(self) -> list[ScriptedAnswer]:
        """All answers of its endpoints."""
        scripts = [self.endpoint.answers, *(action.answers for action in self.actions)]
        if self.other is not None:
            scripts.append(self.other.answers)
        return [answer for script in scripts for answer in script]


NOTHING = SenderCase()


def read(words: Mapping[str, Any], shared: Mapping[str, Any], level: Level) -> SenderCase:
    """The case that `words` describe; `shared` holds what all cases of the rule have in common. Raises
    InputError for words that require or exclude each other, and for names that no earlier step has."""
    own = {**shared, **words}
    own["configure"] = {**shared.get("configure", {}), **words.get("configure", {})}
    steps = [dict(step) for step in own.get("steps", ())]
    for verb in ("emit", "call"):
        with_verb = [step for step in steps if verb in step]
        if verb in words:
            if not with_verb:
                raise InputError(
                    "the case's `{verb}` completes that of a step, but no step has one", verb=verb
                )
            merges = verb == "emit"
            step = with_verb[0]
            step[verb] = {**step[verb], **words[verb]} if merges else words[verb]
    also = own.get("also")
    sender_case = SenderCase(
        actions=tuple(_action(step, level) for step in steps),
        endpoint=_endpoint(own),
        other=_endpoint(also) if also is not None else None,
    )
    _check_actions(sender_case)
    _check_retry_count(sender_case)
    return sender_case


def _check_actions(sender_case: SenderCase) -> None:
    names: set[str] = set()
    if sender_case.other is None and any(answer.to_other for answer in sender_case.answers):
        raise InputError("`to-other` goes with `also`, which is the other endpoint")
    for action in sender_case.actions:
        if sum([action.emit is not None, action.call is not None, action.restart]) > 1:
            raise InputError("a step has one of `emit`, `call` and `restart`")
        if action.emit is not None:
            _check_emit(action.emit, names)
        for expectation in action.expectations:
            _check_expectation(expectation, action)
            if expectation.other and sender_case.other is None:
                raise InputError("`at: other` goes with `also`, which is the other endpoint")


def _check_retry_count(sender_case: SenderCase) -> None:
    """Attempts can be checked against their answers only if the number of retries is configured."""
    checks = [e.check for action in sender_case.actions for e in action.expectations]
    counted = sender_case.drawn == "answers" or "as-answered" in checks
    if counted and "RetryCount" not in sender_case.endpoint.configure:
        raise InputError("`drawn: answers` and `as-answered` need `configure: {{RetryCount: …}}`")


def _check_emit(emit: Emit, names: set[str]) -> None:
    """`names` are those of the earlier steps; the step's own is added."""
    if emit.repeat_of is not None:
        if emit.repeat_of not in names:
            raise InputError(
                "no earlier step is called {name!r}: name it with `as: {name}`", name=emit.repeat_of
            )
        if replace(emit, repeat_of=None, name=None) != Emit():
            raise InputError(
                "`again` repeats a message unchanged: leave out the words that change it"
            )
    if emit.drawn is not None and replace(emit, drawn=None, name=None) != Emit():
        raise InputError("`drawn` generates the messages: leave out the words that build one")
    if emit.name is not None:
        names.add(emit.name)


def _check_expectation(expectation: Expectation, action: Action) -> None:
    """An expectation that its step can never break would always hold."""
    attempts, arrives, call = expectation.attempts, expectation.arrives, expectation.call
    if (attempts, arrives, call, expectation.check) == (None, None, None, None):
        raise InputError("`expect` needs one of `attempts`, `arrives`, `call` and `check`")
    if attempts is not None and action.emit is None:
        raise InputError("`attempts` counts the attempts for an `emit`: the step has none")
    if arrives is not None and action.emit is None and action.call is None:
        raise InputError("`arrives` goes with an `emit` or a `call` in the same step")
    if call is not None and action.call is None:
        raise InputError("`expect: {{call: …}}` goes with a `call`: the step has none")


def _action(words: Mapping[str, Any], level: Level) -> Action:
    expects = words.get("expect", [])
    return Action(
        emit=_emit(words["emit"]) if "emit" in words else None,
        call=_call(words["call"]) if "call" in words else None,
        restart=words.get("restart", False),
        answers=tuple(map(_answer, words.get("answers", ()))),
        expectations=tuple(
            _expectation(expect, level)
            for expect in (expects if isinstance(expects, list) else [expects])
        ),
    )


def _endpoint(words: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        configure=words.get("configure", {}),
        answers=tuple(map(_answer, words.get("answers", (200,)))),
        kind=words.get("way"),
        configured=words.get("configured", True),
    )


def _answer(words: int | Mapping[str, Any]) -> ScriptedAnswer:
    if isinstance(words, int):
        return ScriptedAnswer(status=words)
    return ScriptedAnswer(**{word.replace("-", "_"): value for word, value in words.items()})


def _emit(words: Mapping[str, Any]) -> Emit:
    fields = {
        "with": "fields",
        "as": "name",
        "again": "repeat_of",
        "content-size": "content_size",
        "long-id": "long_id",
    }
    return Emit(**{fields.get(word, word): value for word, value in words.items()})


def _call(words: str | Mapping[str, Any]) -> Call:
    if isinstance(words, str):
        return Call(words)
    ((name, fields),) = words.items()
    return Call(name, fields)


def _expectation(words: Mapping[str, Any], level: Level) -> Expectation:
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
