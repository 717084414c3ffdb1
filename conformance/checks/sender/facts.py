"""What a run has found out about the sender before anything is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.damage import Signer


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """What the judging rests on.

    `signers` are by endpoint URL; `first_wait` is how many seconds passed between the first failed
    attempt and the next (None: no second one came); `several` tells whether the sender keeps more
    than one configuration; `emits` whether it can be given messages.
    """

    asked: Signer
    signers: Mapping[str, Signer] = field(default_factory=dict)
    first_wait: float | None = None
    several: bool = False
    emits: bool = False
    deadline: float = 5.0
