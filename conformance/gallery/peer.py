"""What a peer of the gallery is: how it is served, and what the suite must say of it."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.receiver.policy import Policy


@dataclass(frozen=True, slots=True)
class Faulty:
    """A receiver with one realistic fault, as one changed step of the correct one.

    `fault` says in a sentence what it does wrong; `caught_by` are the rules that must find it, each
    of them.
    """

    name: str
    fault: str
    caught_by: tuple[str, ...]
    policy: Policy
