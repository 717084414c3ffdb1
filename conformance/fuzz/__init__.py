"""Hypothesis strategies for messages of the protocol, valid, malformed and forged.

They serve the suite's own `receiver.fuzz.*` rules and `@given` tests of your own: see docs/fuzzing.md.
The names are imported lazily, because Hypothesis takes a quarter of a second to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance.fuzz.campaign.campaign import Campaign as Campaign
    from conformance.fuzz.sender_inputs import contents as contents
    from conformance.fuzz.sender_inputs import scripts as scripts
    from conformance.fuzz.strategies.deliveries import Delivery as Delivery
    from conformance.fuzz.strategies.deliveries import forged_deliveries as forged_deliveries
    from conformance.fuzz.strategies.deliveries import malformed_bodies as malformed_bodies
    from conformance.fuzz.strategies.deliveries import malformed_deliveries as malformed_deliveries
    from conformance.fuzz.strategies.deliveries import messages as messages
    from conformance.fuzz.strategies.deliveries import valid_bodies as valid_bodies
    from conformance.fuzz.strategies.deliveries import valid_deliveries as valid_deliveries
    from conformance.fuzz.strategies.forged import forged_examples as forged_examples
    from conformance.fuzz.strategies.malformed import malformed_examples as malformed_examples
    from conformance.fuzz.strategies.sequences import sequences as sequences
    from conformance.fuzz.strategies.valid import valid_examples as valid_examples

__all__ = [
    "Delivery",
    "forged_deliveries",
    "malformed_bodies",
    "malformed_deliveries",
    "messages",
    "valid_bodies",
    "valid_deliveries",
]
"""The names meant for your own tests; the engine uses the rest."""

_HOMES = {
    "Campaign": "campaign.campaign",
    "contents": "sender_inputs",
    "scripts": "sender_inputs",
    "forged_examples": "strategies.forged",
    "malformed_examples": "strategies.malformed",
    "sequences": "strategies.sequences",
    "valid_examples": "strategies.valid",
    **dict.fromkeys(__all__, "strategies.deliveries"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'conformance.fuzz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
