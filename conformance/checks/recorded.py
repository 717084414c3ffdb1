"""What was found out about a target, as the data that a trace keeps, and back. Never the secret."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from conformance.checks.facts import Facts
from conformance.checks.learning import Learned
from conformance.damage import Signer
from conformance.dialect import Dialect, Secret
from conformance.exchange import Fault
from conformance.schemes import SECRETS, Scheme
from conformance.text import Text


def as_data(facts: Facts) -> dict[str, Any]:
    """`facts` as JSON knows it."""
    status, fault = facts.refusal
    return {
        "url": facts.url,
        "asked": asdict(facts.asked),
        "scheme": scheme_data(facts.scheme),
        "accepted": sorted(facts.accepted),
        "deadline": facts.deadline,
        "plain": facts.plain,
        "observed": facts.observed,
        "learned": list(facts.learned.traits) if facts.learned is not None else None,
        "blind": asdict(facts.blind) if facts.blind is not None else None,
        "certificate": facts.certificate,
        "refusal": [status, fault],
    }


def from_data(data: dict[str, Any], secret: Secret) -> Facts:
    """The facts again, where the target's secret is `secret` (empty: not known). `data` fits
    `schemas/run.schema.json`."""
    learned, blind = data["learned"], data["blind"]
    status, fault = data["refusal"]
    return Facts(
        url=data["url"],
        asked=read_dialect(data["asked"]),
        scheme=read_scheme(data["scheme"], secret),
        accepted=frozenset(data["accepted"]),
        deadline=data["deadline"],
        plain=data["plain"],
        observed=data["observed"],
        learned=Learned(tuple(map(_trait, learned))) if learned is not None else None,
        blind=Text(**blind) if blind is not None else None,
        certificate=data["certificate"],
        refusal=(status, Fault(fault) if fault is not None else None),
    )


def scheme_data(scheme: Scheme) -> dict[str, Any]:
    """A way of signing without its secret."""
    return {
        "dialect": asdict(scheme.signer.dialect),
        "rewritten": scheme.rewritten,
        "said": asdict(scheme.said),
        "decoded": scheme.decoded,
    }


def read_scheme(data: dict[str, Any], secret: Secret) -> Scheme:
    """A way of signing with `secret`, which it may decode first."""
    decoded = data["decoded"]
    key = SECRETS[decoded](secret) if decoded is not None and secret else secret
    signer = Signer(read_dialect(data["dialect"]), Secret(key or b""))
    return Scheme(signer, data["rewritten"], Text(**data["said"]), decoded)


def read_dialect(data: dict[str, Any]) -> Dialect:
    """A dialect as it was when it was asked for, or found."""
    return Dialect(**{**data, "parts": tuple(data["parts"]), "success": tuple(data["success"])})


def _trait(data: list[Any]) -> tuple[str, object, object]:
    """JSON has no tuples: a value with its type comes back as a list."""
    first, repeat = (tuple(each) if isinstance(each, list) else each for each in data[1:])
    return data[0], first, repeat
