"""The model of "processed exactly once": what is done with messages, and what must come of it.

Pure, and without Hypothesis. Actions read as steps of a scenario file, so that a sequence can be
saved and run again; how they are carried out is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Words = dict[str, Any]

PAUSE = 0.1
"""Seconds for which a receiver may be done with what nobody waits for."""

OFTEN = frozenset({"burst", "others", "restart"})
"""What the rules ask less of: see receiver.duplicate.concurrent, .window and .survives-restart."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that is done, mostly with the message of one `name`.

    `kind`: "send" it, well; "give-up" on it, having sent it well; "forge" or "break" it by the `word`
    of a damage or an edit; send `count` "others"; "restart" the receiver. `copies` go out at once;
    `how` a message is sent again: "signed" afresh, with a "fresh" timestamp too, or "exact"ly.
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
    """A sequence as steps of a scenario file, with all that is expected; `kinds` say for each step what
    was done with its message."""

    steps: list[Words]
    kinds: list[frozenset[str]]


@dataclass(slots=True)
class _Message:
    kinds: set[str] = field(default_factory=set)
    good: int | None = None
    bad: int | None = None
    unsure: bool = False


class Model:
    """What has been done so far."""

    def __init__(self) -> None:
        self._messages: dict[str, _Message] = {}
        self._exact: set[str] = set()  # first sent well, so that the very request can be repeated
        self._steps: list[Words] = []
        self._kinds: list[str] = []

    @property
    def repeatable(self) -> list[str]:
        """Messages that were first sent well."""
        return [name for name in self._messages if name in self._exact]

    @property
    def unsure(self) -> list[str]:
        """Messages that nobody knows the answer to."""
        return [name for name, message in self._messages.items() if message.unsure]

    def steps(self, action: Action) -> list[Words]:
        """The steps in which `action` is carried out now; one sends, if any does."""
        match action.kind:
            case "send":
                return [self._send(action)]
            case "give-up":
                return [{"send": {**self._name(action), "transport": "give-up"}}, {"pause": PAUSE}]
            case "forge":
                damaged = {**self._name(action), "damage": action.word}
                return [{"send": damaged, "expect": [{"status": "refused"}]}]
            case "break":
                # Whether such a body is taken is for other rules: here it may be, once.
                return [{"send": {**self._name(action), "edit": action.word}}]
            case "others":
                return [{"send": {"messages": action.count, "as": "others"}}]
            case _:
                return [{"restart": True}]

    def note(self, action: Action, steps: Sequence[Words], *, accepted: bool) -> None:
        """`action` was carried out in `steps`; whether any answer to it was a success."""
        at = len(self._steps)
        self._steps += steps
        message = self._messages.get(action.name)
        kinds = _kinds(action, known=message is not None and message.good is not None)
        self._kinds += [next(iter(sorted(kinds)))] * len(steps)
        if action.kind in ("others", "restart"):
            for each in self._messages.values():
                each.kinds |= kinds
            return
        message = self._messages.setdefault(action.name, _Message())
        if not message.kinds and action.kind == "send":
            self._exact.add(action.name)
        message.kinds |= kinds
        if action.kind == "send":
            message.good = at
            message.unsure = message.unsure and not accepted
        elif action.kind == "give-up":
            message.unsure = True
        elif action.kind == "forge":
            message.bad = at

    def scenario_steps(self) -> ScenarioSteps:
        """The steps, with the effects that each message must have had by now."""
        steps = [dict(step) for step in self._steps]
        kinds = [frozenset({kind}) for kind in self._kinds]
        for message in self._messages.values():
            forgery = message.good is None and not message.kinds & {"malformed", "given up"}
            at = message.bad if forgery else message.good
            if at is None or message.unsure:
                continue  # what nobody knows the answer to promises nothing
            wanted: Words = {"processed": 0 if forgery else 1}
            if message.kinds & OFTEN:
                wanted["level"] = "SHOULD"
            steps[at]["expect"] = [*steps[at].get("expect", []), wanted]
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
        known = self._messages.get(action.name)
        # A receiver may still be busy with what nobody waited for, and say so.
        wanted: Words = {} if known is not None and known.unsure else {"status": "accepted"}
        if action.copies > 1:
            words["copies"] = action.copies
            wanted = wanted and {**wanted, "level": "SHOULD"}
        return {"send": words, "expect": [wanted]} if wanted else {"send": words}


def _kinds(action: Action, *, known: bool) -> set[str]:
    """What an action counts as, in the report and when failures are told apart."""
    match action.kind:
        case "send":
            often = {"burst"} if action.copies > 1 else set()
            return {"sent"} | often | ({"repeated"} if known else set())
        case "forge":
            return {"forged"}
        case "break":
            return {"malformed"}
        case "give-up":
            return {"given up"}
        case kind:
            return {kind}


def shortest(
    actions: Actions, fails: Callable[[Actions], bool], late: Callable[[], bool]
) -> Actions:
    """`actions` with as many left out, and each as plain, as still fails; as far as `late` lets it."""
    tried: set[Actions] = set()

    def still(fewer: Actions) -> bool:
        if fewer in tried or not fewer or late():
            return False
        tried.add(fewer)
        return fails(fewer)

    while True:
        smaller = next((each for each in _smaller(actions) if still(each)), None)
        if smaller is None:
            return _fewer_others(actions, still)
        actions = smaller


def one_by_one(actions: Actions) -> Actions:
    """`actions` with copies one after the other that went out at once: what fails then, too, is no
    matter of concurrency, and weighs more."""
    return tuple(
        replace(action, copies=1) for action in actions for _ in range(max(1, action.copies))
    )


def _smaller(actions: Actions) -> Iterator[Actions]:
    """Half of the actions less, and so on down to one, from the end on; then one that is plainer; then
    two less."""
    size = len(actions) // 2
    while size > 1:
        for at in range(len(actions) - size, -1, -size):
            yield actions[:at] + actions[at + size :]
        size //= 2
    places = range(len(actions) - 1, -1, -1)
    for at in places:
        yield actions[:at] + actions[at + 1 :]
    for at in places:
        for plainer in _plainer(actions[at]):
            yield (*actions[:at], plainer, *actions[at + 1 :])
    for at in places:
        for other in range(at):
            yield actions[:other] + actions[other + 1 : at] + actions[at + 1 :]


def _plainer(action: Action) -> Iterator[Action]:
    if action.kind == "give-up":
        yield Action("send", action.name)
    if action.copies > 1:
        yield replace(action, copies=1)
    if action.copies > 2:
        yield replace(action, copies=2)
    if action.how != "signed":
        yield replace(action, how="signed")


def _fewer_others(actions: Actions, still: Callable[[Actions], bool]) -> Actions:
    """The least number of others that is enough."""
    for at, action in enumerate(actions):
        enough, too_few = action.count, 1
        while action.kind == "others" and enough - too_few > 1:
            between = (enough + too_few) // 2
            fewer = (*actions[:at], replace(action, count=between), *actions[at + 1 :])
            if still(fewer):
                actions, enough = fewer, between
            else:
                too_few = between
    return actions
