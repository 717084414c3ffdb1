"""How a delivery is signed: whether a scheme fits it, and which of the known ones does."""

from __future__ import annotations

import base64
import json
import re

from conformance.model.exchange import Exchange
from conformance.model.text import NO_TEXT
from conformance.protocol.dialect import Dialect, Secret, verify
from conformance.protocol.encodings import FORMS
from conformance.protocol.signing import Scheme, others
from conformance.protocol.tampering import Signer
from conformance.scenario import dialects


def stamp_of(each: Exchange, dialect: Dialect) -> bytes | None:
    """The timestamp header's value, or None."""
    return each.header(dialect.timestamp_header.encode())


def signature_of(each: Exchange, dialect: Dialect) -> bytes | None:
    """The signature header's value, or None."""
    return each.header(dialect.signature_header.encode())


def stamped_at(each: Exchange, dialect: Dialect) -> float | None:
    """The time in the timestamp header, in Unix seconds; None when it is not written as the dialect
    wants it."""
    stamp = stamp_of(each, dialect) or b""
    milliseconds = dialect.timestamp_unit == "milliseconds"
    if not re.fullmatch(rb"\d{13}" if milliseconds else rb"\d{10}", stamp):
        return None
    return int(stamp) / (1000 if milliseconds else 1)


def fits(scheme: Scheme, each: Exchange, asked: Dialect, secret: Secret | None = None) -> bool:
    """Whether a delivery is signed as `scheme` says, with its secret or with `secret`. The headers are
    those of the scheme's dialect, or else of the one that was asked for."""
    dialect = scheme.signer.dialect
    named = dialect if signature_of(each, dialect) is not None else asked
    body = _written(each, scheme)
    given = _as_hex(signature_of(each, named) or b"", dialect)
    key = secret or scheme.signer.secret
    return body is not None and verify(dialect, key, stamp_of(each, named) or b"", body, given)


def spoken(each: Exchange, asked: Signer) -> Scheme | None:
    """The scheme in which a delivery is signed: the one that was asked for, else another that is
    known, else None."""
    plain = Scheme(asked, None, NO_TEXT)
    if fits(plain, each, asked.dialect):
        return plain
    known = [dialects.load(name) for name in dialects.names()]
    tried = others(asked, known)
    return next((scheme for scheme in tried if fits(scheme, each, asked.dialect)), None)


def _as_hex(given: bytes, dialect: Dialect) -> bytes:
    """A signature that is right but for its spelling, which sender.wire.signature-header is about."""
    if dialect.encoding != "hex":
        return given
    plain = given.strip().removeprefix(b"sha256=")
    try:
        return (
            base64.b64decode(plain, validate=True).hex().encode()
            if len(plain) == 44
            else plain.lower()
        )
    except ValueError:
        return plain


def _written(each: Exchange, scheme: Scheme) -> bytes | None:
    """The bytes that are signed: those that came, or the JSON in the scheme's own writing."""
    if scheme.rewritten is None:
        return each.request.body
    try:
        fields = json.loads(each.request.body)
        return FORMS[scheme.rewritten](fields)
    except (ValueError, RecursionError, KeyError):
        return None
