"""What the preflight learnt about the target, before anything is judged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from conformance.checks.receiver.inferred_observer import InferredObserver
from conformance.checks.recorded_scheme import read_dialect, read_scheme, scheme_data
from conformance.model.exchange import Fault
from conformance.model.sentence import Sentence
from conformance.protocol.dialect import Dialect, Secret
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


def as_data(profile: ReceiverProfile) -> dict[str, Any]:
    """`profile` as JSON values, as `schemas/run.schema.json` describes them."""
    status, fault = profile.refusal
    return {
        "url": profile.url,
        "requested": asdict(profile.requested),
        "scheme": scheme_data(profile.scheme),
        "accepted": sorted(profile.accepted),
        "deadline": profile.deadline,
        "plain": profile.plain,
        "observed": profile.observed,
        "inferred": list(profile.inferred.traits) if profile.inferred is not None else None,
        "blind": profile.blind.as_data() if profile.blind is not None else None,
        "certificate": profile.certificate,
        "refusal": [status, fault],
    }


def from_data(data: dict[str, Any], secret: Secret) -> ReceiverProfile:
    """The profile in `data`, which fits `schemas/run.schema.json`, with the target's `secret` (empty when
    it is not known)."""
    inferred, blind = data["inferred"], data["blind"]
    status, fault = data["refusal"]
    return ReceiverProfile(
        url=data["url"],
        requested=read_dialect(data["requested"]),
        scheme=read_scheme(data["scheme"], secret),
        accepted=frozenset(data["accepted"]),
        deadline=data["deadline"],
        plain=data["plain"],
        observed=data["observed"],
        inferred=InferredObserver(tuple(map(_trait, inferred))) if inferred is not None else None,
        blind=Sentence.from_data(blind) if blind is not None else None,
        certificate=data["certificate"],
        refusal=(status, Fault(fault) if fault is not None else None),
    )


def _trait(data: list[Any]) -> tuple[str, object, object]:
    """One trait. JSON has no tuples: a value with its type comes back as a list."""
    first, repeat = (tuple(value) if isinstance(value, list) else value for value in data[1:])
    return data[0], first, repeat
