"""What a run has found out about its target before anything is judged."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.checks.receiver.inferred_observer import InferredObserver
from conformance.model.exchange import Fault
from conformance.model.text import Text
from conformance.protocol.dialect import Dialect
from conformance.protocol.signing import Scheme


@dataclass(frozen=True, slots=True)
class ReceiverProfile:
    """What the judging rests on.

    `asked` is the dialect that the user named and `scheme` the one that the target speaks;
    `accepted` are the statuses that count as success; `deadline` is in seconds; `plain` is the kind
    of message that the target was seen to accept. `observed` tells that --observer-url is given and
    can be relied on, `blind` says why it cannot; `inferred` is the observer read off the answers.
    `certificate` says why the target's was not verified; empty when it was, or there is none.
    `refusal` is how a forged message is met: a status, or the fault in its place.
    """

    url: str
    asked: Dialect
    scheme: Scheme
    accepted: frozenset[int]
    deadline: float
    plain: str = "text"
    observed: bool = False
    inferred: InferredObserver | None = None
    blind: Text | None = None
    certificate: str = ""
    refusal: tuple[int | None, Fault | None] = (None, None)

    @property
    def form(self) -> str:
        """The form in which plain messages are written: one that is its own rewriting."""
        return self.scheme.rewritten or "compact"
