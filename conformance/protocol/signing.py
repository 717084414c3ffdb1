"""Signing a request: a dialect and a secret make its signed parts. Pure; the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.model.exchange import Signing
from conformance.protocol.dialect import Dialect, Secret, sign


@dataclass(frozen=True, slots=True)
class Signed:
    """A request's signed parts. A `timestamp` of None and empty `signatures` mean absent headers."""

    timestamp: bytes | None
    signatures: tuple[bytes, ...]
    body: bytes
    signing: Signing


@dataclass(frozen=True, slots=True)
class Signer:
    """A dialect and a secret: all that a right signature needs."""

    dialect: Dialect
    secret: Secret

    def sign(self, timestamp: bytes, body: bytes) -> Signed:
        """The parts of a correctly signed request."""
        signature = sign(self.dialect, self.secret, timestamp, body)
        return Signed(timestamp, (signature,), body, Signing(timestamp, body))
