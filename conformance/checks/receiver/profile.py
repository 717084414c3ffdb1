"""What the preflight learnt about the target, before anything is judged."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.checks.receiver.inferred_observer import InferredObserver
from conformance.model.exchange import Fault
from conformance.model.sentence import Sentence
from conformance.protocol.dialect import Dialect
from conformance.protocol.schemes import Scheme


@dataclass(frozen=True, slots=True)
class ReceiverProfile:
    """What every judgement about a receiver rests on.

    `requested` is the dialect of the options and `scheme` the one that the target speaks;
    `accepted` are the statuses that count as success; `deadline` is in seconds; `plain` is a kind
    of message that the target was seen to accept. `observed` is True when there is a reliable
    --observer-url, and `blind` says why it is unreliable; `inferred` is the observer inferred from the
    answers. `certificate` says why the target's certificate was not verified; empty when it was, or when
    there is none. `refusal` is how the target refuses a forged message: a status, or the fault in its
    place.
    """

    url: str
    requested: Dialect
    scheme: Scheme
    accepted: frozenset[int]
    deadline: float
    plain: str = "text"
    observed: bool = False
    inferred: InferredObserver | None = None
    blind: Sentence | None = None
    certificate: str = ""
    refusal: tuple[int | None, Fault | None] = (None, None)

    @property
    def accepts_forgeries(self) -> bool:
        """Whether it accepted a message that was signed with another secret."""
        return self.refusal[0] in self.accepted

    @property
    def form(self) -> str:
        """The encoding of plain messages: one that rewriting leaves unchanged."""
        return self.scheme.rewritten or "compact"
