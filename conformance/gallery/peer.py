"""What a peer of the gallery is: how it is served, and what the suite must say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conformance.receiver.policy import Policy


@dataclass(frozen=True, slots=True)
class Faulty:
    """A receiver with one realistic fault, as one changed step of the correct one.

    `fault` says in a sentence what it does wrong; `caught_by` are the rules that must find it, each
    of them, and no other rule of their groups may. `policy` is what makes a fresh one where the fault
    keeps a state. `beside` are rules (globs) whose requests bring the fault to light for a rule that
    looks at the whole run. With `tls` it is served over https, under a certificate of its own making.
    """

    name: str
    fault: str
    caught_by: tuple[str, ...]
    policy: Policy | Callable[[], Policy]
    beside: tuple[str, ...] = ()
    tls: bool = False

    def fresh(self) -> Policy:
        """The policy for one run."""
        return self.policy if isinstance(self.policy, Policy) else self.policy()
