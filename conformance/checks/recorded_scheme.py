"""Converts a signing scheme to the data that a trace stores, and back, for both sides. Never stores the
secret."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from conformance.model.sentence import Sentence
from conformance.protocol.dialect import Dialect, Secret
from conformance.protocol.schemes import SECRETS, Scheme
from conformance.protocol.signing import Signer


def scheme_data(scheme: Scheme) -> dict[str, Any]:
    """The scheme as JSON values, without its secret."""
    return {
        "dialect": asdict(scheme.signer.dialect),
        "rewritten": scheme.rewritten,
        "description": scheme.description.as_data(),
        "decoded": scheme.decoded,
    }


def read_scheme(data: dict[str, Any], secret: Secret) -> Scheme:
    """The scheme in `data` with `secret`, which is decoded first if the scheme does that."""
    decoded = data["decoded"]
    key = SECRETS[decoded](secret) if decoded is not None and secret else secret
    signer = Signer(read_dialect(data["dialect"]), Secret(key or b""))
    return Scheme(signer, data["rewritten"], Sentence.from_data(data["description"]), decoded)


def read_dialect(data: dict[str, Any]) -> Dialect:
    """The dialect in `data`, as it was when the trace was recorded."""
    return Dialect(**{**data, "parts": tuple(data["parts"]), "success": tuple(data["success"])})
