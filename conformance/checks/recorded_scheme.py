"""A way of signing as the data that a trace keeps, and back; the same for both sides. Never the secret."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from conformance.model.text import Text
from conformance.protocol.dialect import Dialect, Secret
from conformance.protocol.signing import SECRETS, Scheme
from conformance.protocol.tampering import Signer


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
