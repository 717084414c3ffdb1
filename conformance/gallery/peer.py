"""A peer of the gallery: how it is served, and what the suite must report about it.

A faulty peer is a function under the decorator of its group. The function is the step of the correct peer
that the fault changes, and its docstring says what the peer does wrong. Similar faults are rows of one
function. Knows no single fault, and not how a peer is judged.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from conformance.options.table import RunOptions
from conformance.scenario.load import built_in, select

Function = TypeVar("Function", bound=Callable[..., Any])


def _nothing() -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Peer:
    """A receiver or a sender, and what the suite must report about it.

    `side` is "receiver" or "sender". `fault` is None for a correct peer; otherwise it continues the
    sentence "a receiver that …" or "a sender that …". `caught_by` are the rules that must find the
    fault; no other rule of their groups may. An entry may name a part of a rule: `rule[case]`, or
    `rule[SHOULD]` where the peer breaks a MUST rule only in cases of that lower level. `rules` returns
    the ids of the rules that the peer is judged by, none for every rule. `missing` returns what this
    machine lacks to run the peer, or None. `on_request` means that it is judged only where it is named,
    as the rule that it breaks is: it takes long.
    """

    side: str
    name: str
    serve: Callable[[], AbstractAsyncContextManager[RunOptions]]
    fault: str | None = None
    caught_by: tuple[str, ...] = ()
    rules: Callable[[], tuple[str, ...]] = tuple
    missing: Callable[[], str | None] = _nothing
    on_request: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """How the faulty peers of a side are made, served and judged.

    `change` puts a step with a fault into the correct behaviour, by the step's name. `serve` takes a
    function that makes the changed behaviour, so that each run starts afresh. `controls` are the rules
    that show that a peer was up (globs), and `costly` those that are run only where a peer names them.
    `missing` and `on_request` are as in `Peer`.
    """

    name: str
    change: Callable[[str, Callable[..., Any]], Any]
    serve: Callable[[Callable[..., Any]], AbstractAsyncContextManager[RunOptions]]
    controls: tuple[str, ...]
    costly: tuple[str, ...] = ()
    missing: Callable[[], str | None] = _nothing
    on_request: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One of the faults of a function: the words that complete its docstring, and its arguments."""

    name: str
    text: str
    caught_by: tuple[str, ...]
    arguments: Mapping[str, Any]


def row(name: str, text: str, /, *caught_by: str, **arguments: Any) -> Row:
    """A variant of a fault. `text` stands for {} in the docstring, or for the whole of it.

    `caught_by` is needed where other rules find this variant than the rest.
    """
    return Row(name, text, caught_by, arguments)


class Faults:
    """The decorator of the faults in one group of rules, and the `peers` that it has made."""

    def __init__(self, group: str, side: Side) -> None:
        self._group = group
        self._side = side
        self.peers: list[Peer] = []

    def __call__(
        self,
        *caught_by: str,
        step: str | None = None,
        state: Callable[[], Any] | None = None,
        beside: Sequence[str] = (),
        rows: Sequence[Row] = (),
    ) -> Callable[[Function], Function]:
        """Make a peer of the decorated function, named like it, or one for each of `rows`.

        `caught_by` holds names of the group's rules, or ids of other rules. The function is the `step` of
        that name; without one it makes the whole behaviour. `state` makes what a step keeps between the
        requests of a run, its first argument. `beside` are further rules to run (globs): their messages
        expose the fault to a rule that looks at the whole run.
        """

        def decorate(function: Function) -> Function:
            plain = row(function.__name__.strip("_").replace("_", "-"), "")
            for each in rows or (plain,):
                rules = tuple(map(self._id, each.caught_by or caught_by))
                changed = partial(function, **each.arguments) if each.arguments else function
                peer = Peer(
                    self._side.name,
                    each.name,
                    partial(self._side.serve, self._maker(changed, step, state)),
                    _fault(function, each.text),
                    rules,
                    partial(_rules_to_run, self._side, rules, beside),
                    self._side.missing,
                    self._side.on_request,
                )
                self.peers.append(peer)
            return function

        return decorate

    def _id(self, rule: str) -> str:
        return rule if rule.startswith(self._side.name + ".") else f"{self._group}.{rule}"

    def _maker(
        self, function: Callable[..., Any], step: str | None, state: Callable[[], Any] | None
    ) -> Callable[..., Any]:
        def make() -> Any:
            return self._side.change(step or "", partial(function, state()) if state else function)

        return make if step else function


def _fault(function: Callable[..., Any], text: str) -> str:
    """The first paragraph of the docstring, completed, as the end of "a receiver that …"."""
    paragraph = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
    sentence = paragraph.format(text) if "{}" in paragraph else text or paragraph
    return sentence[0].lower() + sentence[1:].removesuffix(".")


def _rules_to_run(side: Side, caught_by: Sequence[str], beside: Sequence[str]) -> tuple[str, ...]:
    """The ids of the rules that a faulty peer is judged by: those in `caught_by` with their whole groups,
    those in `beside`, and the controls. A fuzz rule, and one that runs only on request, comes without its
    group: they take long, and fuzz rules find one another's faults."""
    named = {rule.partition("[")[0] for rule in caught_by}
    scenarios = built_in(side.name)
    alone = {each.rule.id for each in scenarios if each.on_request or ".fuzz." in each.rule.id}
    groups = {rule.rpartition(".")[0] + ".*" for rule in named - alone}
    chosen = select(scenarios, (*named, *groups, *beside, *side.controls))
    return tuple(
        each.rule.id for each in chosen if each.rule.id not in side.costly or each.rule.id in named
    )
