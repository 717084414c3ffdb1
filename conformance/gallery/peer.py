"""What a peer of the gallery is: how it is served, and what the suite must say of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from conformance.options.run import RunOptions
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.scenario.load import built_in, select


@dataclass(frozen=True, slots=True)
class Peer:
    """A receiver or a sender, and what the suite must say of it. `fault` is None for a correct one;
    `rules` are what it meets (globs; none for every rule); `missing` says what is not there to run it.

    `caught_by` are rules, or a part of one: `rule[case]`, or `rule[SHOULD]` where a MUST is broken in
    what weighs less alone.
    """

    side: str
    name: str
    fault: str | None
    caught_by: tuple[str, ...]
    rules: tuple[str, ...]
    serve: Callable[[], AbstractAsyncContextManager[RunOptions]]
    missing: Callable[[], str | None] = lambda: None


def met(
    side: str, caught_by: Sequence[str], beside: Sequence[str], controls: Sequence[str]
) -> tuple[str, ...]:
    """The rules that a faulty peer meets: the groups of those in `caught_by`, those `beside` them, and
    the controls. Of fuzz rules, which take long and find one another's faults, only those named."""
    groups = (
        rule.partition("[")[0] if ".fuzz." in rule else rule.rpartition(".")[0] + ".*"
        for rule in caught_by
    )
    return tuple(each.rule.id for each in select(built_in(side), (*groups, *beside, *controls)))


@dataclass(frozen=True, slots=True)
class Faulty:
    """A receiver with one realistic fault, as one changed step of the correct one.

    `fault` says in a sentence what it does wrong; `caught_by` are the rules that must find it, each
    of them, and no other rule of their groups may. `behaviour` is what makes a fresh one where the fault
    keeps a state. `beside` are rules (globs) whose requests bring the fault to light for a rule that
    looks at the whole run. With `tls` it is served over https, under a certificate of its own making.
    """

    name: str
    fault: str
    caught_by: tuple[str, ...]
    behaviour: ReceiverBehaviour | Callable[[], ReceiverBehaviour]
    beside: tuple[str, ...] = ()
    tls: bool = False

    def fresh(self) -> ReceiverBehaviour:
        """The policy for one run."""
        return self.behaviour if isinstance(self.behaviour, ReceiverBehaviour) else self.behaviour()
