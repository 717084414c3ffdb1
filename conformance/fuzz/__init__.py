"""Hypothesis strategies for messages of the protocol, valid, malformed and forged.

For the suite's own `receiver.fuzz.*` rules, and for `@given` tests of your own: see docs/fuzzing.md.
The names are given lazily, since Hypothesis takes a quarter of a second to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance.fuzz.beforehand import contents as contents
    from conformance.fuzz.beforehand import scripts as scripts
    from conformance.fuzz.forged import forged_examples as forged_examples
    from conformance.fuzz.hunt import Hunt as Hunt
    from conformance.fuzz.machine import Means as Means
    from conformance.fuzz.machine import sequences as sequences
    from conformance.fuzz.malformed import malformed_examples as malformed_examples
    from conformance.fuzz.strategies import Delivery as Delivery
    from conformance.fuzz.strategies import forged_deliveries as forged_deliveries
    from conformance.fuzz.strategies import malformed_bodies as malformed_bodies
    from conformance.fuzz.strategies import malformed_deliveries as malformed_deliveries
    from conformance.fuzz.strategies import messages as messages
    from conformance.fuzz.strategies import valid_bodies as valid_bodies
    from conformance.fuzz.strategies import valid_deliveries as valid_deliveries
    from conformance.fuzz.valid import valid_examples as valid_examples

_HOMES = {
    "contents": "conformance.fuzz.beforehand",
    "scripts": "conformance.fuzz.beforehand",
    "forged_examples": "conformance.fuzz.forged",
    "Hunt": "conformance.fuzz.hunt",
    "Means": "conformance.fuzz.machine",
    "sequences": "conformance.fuzz.machine",
    "malformed_examples": "conformance.fuzz.malformed",
    "Delivery": "conformance.fuzz.strategies",
    "forged_deliveries": "conformance.fuzz.strategies",
    "malformed_bodies": "conformance.fuzz.strategies",
    "malformed_deliveries": "conformance.fuzz.strategies",
    "messages": "conformance.fuzz.strategies",
    "valid_bodies": "conformance.fuzz.strategies",
    "valid_deliveries": "conformance.fuzz.strategies",
    "valid_examples": "conformance.fuzz.valid",
}

__all__ = [
    "Delivery",
    "forged_deliveries",
    "malformed_bodies",
    "malformed_deliveries",
    "messages",
    "valid_bodies",
    "valid_deliveries",
]
"""What is meant for tests of your own; the engine uses the rest."""


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'conformance.fuzz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
