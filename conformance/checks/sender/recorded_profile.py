"""What was found out about a sender, as the data that a trace keeps, and back. Never the secret."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from conformance.checks.recorded_scheme import read_dialect, read_scheme, scheme_data
from conformance.checks.sender.profile import SenderFacts
from conformance.options.secrets import other_secret
from conformance.protocol.dialect import Secret
from conformance.protocol.tampering import Signer

_SECRET = ("asked", "other_secret", "scheme")
"""Fields of SenderFacts that hold a secret."""


def as_data(facts: SenderFacts) -> dict[str, Any]:
    """`facts` as JSON knows it."""
    plain = [each.name for each in fields(facts) if each.name not in _SECRET]
    return {
        "asked": asdict(facts.asked.dialect),
        "scheme": scheme_data(facts.scheme) if facts.scheme is not None else None,
        **{name: getattr(facts, name) for name in plain},
    }


def from_data(data: dict[str, Any], secret: Secret) -> SenderFacts:
    """The facts again, where the secret of the suite's configurations was `secret` (empty: not known).
    `data` fits `schemas/run.schema.json`."""
    firsts, seconds = data["waits"]
    scheme = data["scheme"]
    return SenderFacts(
        **{
            **data,
            "asked": Signer(read_dialect(data["asked"]), secret),
            "scheme": read_scheme(scheme, secret) if scheme is not None else None,
            "other_secret": other_secret(secret),
            "waits": (tuple(firsts), tuple(seconds)),
        }
    )
