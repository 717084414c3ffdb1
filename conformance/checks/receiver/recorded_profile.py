"""Converts a receiver's profile to the data that a trace stores, and back. Never stores the secret."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from conformance.checks.receiver.inferred_observer import InferredObserver
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.recorded_scheme import read_dialect, read_scheme, scheme_data
from conformance.model.exchange import Fault
from conformance.model.sentence import Sentence
from conformance.protocol.dialect import Secret


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
