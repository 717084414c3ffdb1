"""How a delivery is signed: whether a scheme matches it, and which of the known schemes does."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from conformance.model.exchange import Exchange
from conformance.model.sentence import EMPTY
from conformance.protocol.dialect import Dialect, Secret
from conformance.protocol.schemes import Scheme, fitting, others
from conformance.protocol.signing import Signer
from conformance.scenario import dialects


def stamp_of(each: Exchange, dialect: Dialect) -> bytes | None:
    """The timestamp header's value, or None."""
    return each.header(dialect.timestamp_header.encode())


def signature_of(each: Exchange, dialect: Dialect) -> bytes | None:
    """The signature header's value, or None."""
    return each.header(dialect.signature_header.encode())


def stamp_time(each: Exchange, dialect: Dialect) -> float | None:
    """The time in the timestamp header, in Unix seconds; None when it is not in the dialect's format."""
    stamp = stamp_of(each, dialect) or b""
    milliseconds = dialect.timestamp_unit == "milliseconds"
    if not re.fullmatch(rb"\d{13}" if milliseconds else rb"\d{10}", stamp):
        return None
    return int(stamp) / (1000 if milliseconds else 1)


def fits(scheme: Scheme, each: Exchange, requested: Dialect, secret: Secret | None = None) -> bool:
    """Whether a delivery is signed with `scheme`, with its secret or else with `secret`. The headers are
    those of the scheme's dialect, or else those of `requested`."""
    signer = replace(scheme.signer, secret=secret or scheme.signer.secret)
    return _first_fitting([replace(scheme, signer=signer)], each, requested) is not None


def scheme_of(each: Exchange, requested: Signer) -> Scheme | None:
    """The scheme that a delivery is signed with: the requested one, or else another known one; None when
    no known scheme fits."""
    candidates = (Scheme(requested, None, EMPTY), *_candidates(requested))
    return _first_fitting(candidates, each, requested.dialect)


def _first_fitting(schemes: Iterable[Scheme], each: Exchange, requested: Dialect) -> Scheme | None:
    def presented(dialect: Dialect) -> tuple[bytes, bytes]:
        headers = dialect if signature_of(each, dialect) is not None else requested
        signature = _normalized(signature_of(each, headers) or b"", dialect)
        return stamp_of(each, headers) or b"", signature

    return fitting(schemes, each.request.body, presented)


@lru_cache(8)  # many deliveries may fit none
def _candidates(requested: Signer) -> tuple[Scheme, ...]:
    return tuple(others(requested, [dialects.load(name) for name in dialects.names()]))


def _normalized(signature: bytes, dialect: Dialect) -> bytes:
    """A signature as the dialect writes it, whatever its spelling, which sender.wire.signature-header
    judges."""
    if dialect.encoding != "hex":
        return signature
    plain = signature.strip().removeprefix(b"sha256=")
    try:
        return (
            base64.b64decode(plain, validate=True).hex().encode()
            if len(plain) == 44
            else plain.lower()
        )
    except ValueError:
        return plain
