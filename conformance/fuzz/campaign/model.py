"""The model of "processed exactly once": actions on messages, and the effects they must have.

Pure and free of Hypothesis. Actions translate to steps of a scenario file, so that a sequence can be
saved and run again. How they are carried out is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Words = dict[str, Any]
"""A step, as a scenario file writes it."""

PAUSE = 0.1
"""Seconds for a receiver to finish a request whose sender gave up."""

WEAKER = frozenset({"burst", "others", "restart"})
"""Kinds of actions after which the rules demand less: see receiver.duplicate.concurrent, .window and
.survives-restart."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action, mostly on the message with the name `name`.

    `kind` is "send" for a valid delivery; "give-up" for a valid one whose sender does not wait;
    "forge" or "mutate" for one with a tampering or a mutation, which `word` names; "others"
    for `count` other messages; "restart" for a restart of the receiver. `copies` are sent at once.
    `how` says in what form a message is repeated: "signed" anew, with a "fresh" timestamp in the body
    as well, or "exact", byte by byte.
    """

    kind: str
    name: str = ""
    word: str = ""
    copies: int = 1
    how: str = "signed"
    count: int = 0


Actions = tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class ScenarioSteps:
    """A sequence as steps of a scenario file, with every expectation. `kinds` holds, for each step, the
    kinds of the actions on its message."""

    steps: list[Words]
    kinds: list[frozenset[str]]


@dataclass(slots=True)
class _Message:
    kinds: set[str] = field(default_factory=set)
    valid_step: int | None = None
    forged_step: int | None = None
    unsure: bool = False


class Model:
    """The actions so far."""

    def __init__(self) -> None:
        self._messages: dict[str, _Message] = {}
        self._exact: set[str] = set()  # first sent valid, so that the same bytes can be repeated
        self._steps: list[Words] = []
        self._kinds: list[str] = []

    @property
    def unsure(self) -> list[str]:
        """Messages whose answer is unknown."""
        return [name for name, message in self._messages.items() if message.unsure]

    def steps(self, action: Action) -> list[Words]:
        """The steps that carry out `action` now; at most one of them sends."""
        match action.kind:
            case "send":
                return [self._send(action)]
            case "give-up":
                return [{"send": {**self._name(action), "transport": "give-up"}}, {"pause": PAUSE}]
            case "forge":
                forgery = {**self._name(action), "tampering": action.word}
                return [{"send": forgery, "expect": [{"status": "refused"}]}]
            case "mutate":
                # Other rules judge whether such a body is accepted. Here it may be, once.
                return [{"send": {**self._name(action), "mutation": action.word}}]
            case "others":
                return [{"send": {"messages": action.count, "as": "others"}}]
            case _:
                return [{"restart": True}]

    def note(self, action: Action, steps: Sequence[Words], *, accepted: bool) -> None:
        """Record that `steps` carried out `action`; `accepted` if any answer was a success."""
        at = len(self._steps)
        self._steps += steps
        message = self._messages.get(action.name)
        kinds = _kinds(action, known=message is not None and message.valid_step is not None)
        self._kinds += [min(kinds)] * len(steps)
        if action.kind in ("others", "restart"):
            for other in self._messages.values():
                other.kinds |= kinds
            return
        message = self._messages.setdefault(action.name, _Message())
        if not message.kinds and action.kind == "send":
            self._exact.add(action.name)
        message.kinds |= kinds
        if action.kind == "send":
            message.valid_step = at
            message.unsure = message.unsure and not accepted
        elif action.kind == "give-up":
            message.unsure = True
        elif action.kind == "forge":
            message.forged_step = at

    def scenario_steps(self) -> ScenarioSteps:
        """The steps, with the effects that each message must have had by now."""
        steps = [dict(step) for step in self._steps]
        kinds = [frozenset({kind}) for kind in self._kinds]
        for message in self._messages.values():
            forgery = message.valid_step is None and not message.kinds & {"malformed", "given up"}
            at = message.forged_step if forgery else message.valid_step
            if at is None or message.unsure:
                continue  # an unknown answer promises nothing
            expectation: Words = {"processed": 0 if forgery else 1}
            if message.kinds & WEAKER:
                expectation["level"] = "SHOULD"
            steps[at]["expect"] = [*steps[at].get("expect", []), expectation]
            kinds[at] = frozenset(message.kinds)
        return ScenarioSteps(steps, kinds)

    def _name(self, action: Action) -> Words:
        return {"again" if action.name in self._messages else "as": action.name}

    def _send(self, action: Action) -> Words:
        words = self._name(action)
        if "again" in words and action.how == "exact" and action.name in self._exact:
            words["exact"] = True
        elif "again" in words and action.how == "fresh":
            words["with"] = {"timestamp": "{now}"}
        expectation: Words = {"status": "accepted"}
        if action.copies > 1:
            words["copies"] = action.copies
            expectation["level"] = "SHOULD"
        if action.name in self.unsure:
            # The receiver may still be busy with the delivery that was given up, and say so.
            return {"send": words}
        return {"send": words, "expect": [expectation]}


_KINDS = {"forge": "forged", "mutate": "malformed", "give-up": "given up"}


def _kinds(action: Action, *, known: bool) -> set[str]:
    """The kinds of an action, for the report and for distinguishing failures."""
    if action.kind != "send":
        return {_KINDS.get(action.kind, action.kind)}
    burst = {"burst"} if action.copies > 1 else set()
    return {"sent"} | burst | ({"repeated"} if known else set())


def one_by_one(actions: Actions) -> Actions:
    """`actions` with every delivery sent by itself and waited for. A failure that remains depends neither on
    concurrency nor on a sender that gave up, so it weighs more."""
    waited = (replace(a, kind="send") if a.kind == "give-up" else a for a in actions)
    return tuple(replace(a, copies=1) for a in waited for _ in range(a.copies))
