"""What was found out about a sender, as the data that a trace keeps, and back. Never the secret."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from conformance.checks.recorded_scheme import read_dialect, read_scheme, scheme_data
from conformance.checks.sender.profile import SenderProfile
from conformance.options.secrets import other_secret
from conformance.protocol.dialect import Secret
from conformance.protocol.tampering import Signer

_SECRET = ("asked", "other_secret", "scheme")
"""Fields of SenderFacts that hold a secret."""


def as_data(profile: SenderProfile) -> dict[str, Any]:
    """`profile` as JSON knows it."""
    plain = [each.name for each in fields(profile) if each.name not in _SECRET]
    return {
        "asked": asdict(profile.asked.dialect),
        "scheme": scheme_data(profile.scheme) if profile.scheme is not None else None,
        **{name: getattr(profile, name) for name in plain},
    }


def from_data(data: dict[str, Any], secret: Secret) -> SenderProfile:
    """The facts again, where the secret of the suite's configurations was `secret` (empty: not known).
    `data` fits `schemas/run.schema.json`."""
    firsts, seconds = data["waits"]
    scheme = data["scheme"]
    return SenderProfile(
        **{
            **data,
            "asked": Signer(read_dialect(data["asked"]), secret),
            "scheme": read_scheme(scheme, secret) if scheme is not None else None,
            "other_secret": other_secret(secret),
            "waits": (tuple(firsts), tuple(seconds)),
        }
    )
