"""Converts a sender's profile to the data that a trace stores, and back. Never stores the secret."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from conformance.checks.recorded_scheme import read_dialect, read_scheme, scheme_data
from conformance.checks.sender.profile import SenderProfile
from conformance.options.secrets import other_secret
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer

_SECRET = ("requested", "other_secret", "scheme")
"""Fields of SenderProfile that contain a secret."""


def as_data(profile: SenderProfile) -> dict[str, Any]:
    """`profile` as JSON values, as `schemas/run.schema.json` describes them."""
    plain = [field.name for field in fields(profile) if field.name not in _SECRET]
    return {
        "requested": asdict(profile.requested.dialect),
        "scheme": scheme_data(profile.scheme) if profile.scheme is not None else None,
        **{name: getattr(profile, name) for name in plain},
    }


def from_data(data: dict[str, Any], secret: Secret) -> SenderProfile:
    """The profile in `data`, which fits `schemas/run.schema.json`, with the `secret` of the suite's
    configurations (empty when it is not known)."""
    firsts, seconds = data["waits"]
    scheme = data["scheme"]
    return SenderProfile(
        **{
            **data,
            "requested": Signer(read_dialect(data["requested"]), secret),
            "scheme": read_scheme(scheme, secret) if scheme is not None else None,
            "other_secret": other_secret(secret),
            "waits": (tuple(firsts), tuple(seconds)),
        }
    )
