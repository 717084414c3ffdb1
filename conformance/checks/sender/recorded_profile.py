"""Converts a sender's profile to the data that a trace stores, and back. Never stores the secret."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from conformance.checks.recorded_scheme import read_dialect, read_scheme, scheme_data
from conformance.checks.sender.profile import SenderProfile
from conformance.options.secrets import other_secret
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer

_SECRET = ("asked", "other_secret", "scheme")
"""Fields of SenderProfile that contain a secret."""
_STORED_AS = {"retry_watch": "given"}
"""field of SenderProfile → its name in a trace, where they differ."""


def as_data(profile: SenderProfile) -> dict[str, Any]:
    """`profile` as JSON values, as `schemas/run.schema.json` describes them."""
    plain = [field.name for field in fields(profile) if field.name not in _SECRET]
    return {
        "asked": asdict(profile.asked.dialect),
        "scheme": scheme_data(profile.scheme) if profile.scheme is not None else None,
        **{_STORED_AS.get(name, name): getattr(profile, name) for name in plain},
    }


def from_data(data: dict[str, Any], secret: Secret) -> SenderProfile:
    """The profile in `data`, which fits `schemas/run.schema.json`, with the `secret` of the suite's
    configurations (empty when it is not known)."""
    names = {stored: name for name, stored in _STORED_AS.items()}
    firsts, seconds = data["waits"]
    scheme = data["scheme"]
    return SenderProfile(
        **{
            **{names.get(name, name): value for name, value in data.items()},
            "asked": Signer(read_dialect(data["asked"]), secret),
            "scheme": read_scheme(scheme, secret) if scheme is not None else None,
            "other_secret": other_secret(secret),
            "waits": (tuple(firsts), tuple(seconds)),
        }
    )
