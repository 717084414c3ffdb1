"""A peer of the gallery: how it is served, and what the suite must report about it.

Knows no single fault, and not how a peer is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from conformance.options.run import RunOptions
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.scenario.load import built_in, select


@dataclass(frozen=True, slots=True)
class Peer:
    """A receiver or a sender, and what the suite must report about it.

    `side` is "receiver" or "sender". `fault` is None for a correct peer; otherwise it continues the
    sentence "a receiver that …" or "a sender that …". `caught_by` are the rules that must find the
    fault. An entry may name a part of a rule: `rule[case]`, or `rule[SHOULD]` where the peer breaks
    a MUST rule only in cases of that lower level. `rules` are the rules that the peer is judged by
    (globs; empty for every rule). `missing` returns what this machine lacks to run the peer, or None.
    """

    side: str
    name: str
    fault: str | None
    caught_by: tuple[str, ...]
    rules: tuple[str, ...]
    serve: Callable[[], AbstractAsyncContextManager[RunOptions]]
    missing: Callable[[], str | None] = lambda: None


def rules_to_run(
    side: str, caught_by: Sequence[str], beside: Sequence[str], controls: Sequence[str]
) -> tuple[str, ...]:
    """The ids of the rules that a faulty peer is judged by: the whole groups of those in `caught_by`,
    those in `beside`, and the `controls` (globs). A fuzz rule comes without its group: fuzz rules take
    long and find one another's faults."""
    groups = (
        rule.partition("[")[0] if ".fuzz." in rule else rule.rpartition(".")[0] + ".*"
        for rule in caught_by
    )
    return tuple(
        scenario.rule.id for scenario in select(built_in(side), (*groups, *beside, *controls))
    )


@dataclass(frozen=True, slots=True)
class Faulty:
    """A receiver with one realistic fault: the correct receiver with one step changed.

    `fault` continues the sentence "a receiver that …". Every rule in `caught_by` must find the fault,
    and no other rule of their groups may. `behaviour` is a factory where the fault keeps state, so
    that each run starts afresh. `beside` are further rules to run (globs): their requests expose the
    fault to a rule that looks at the whole run. With `tls` the receiver is served over https under a
    self-signed certificate.
    """

    name: str
    fault: str
    caught_by: tuple[str, ...]
    behaviour: ReceiverBehaviour | Callable[[], ReceiverBehaviour]
    beside: tuple[str, ...] = ()
    tls: bool = False

    def fresh(self) -> ReceiverBehaviour:
        """The behaviour for one run, with no state from another."""
        return self.behaviour if isinstance(self.behaviour, ReceiverBehaviour) else self.behaviour()
