"""What is wrong with the signature and the body of a delivery, and how it probably came about. Pure.

A wrong signature is compared with other ways of signing with the same secret: peers that use another
dialect, or sign other bytes than they send, are common.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from conformance.model.exchange import Headers
from conformance.model.sentence import EMPTY, Sentence
from conformance.protocol.dialect import Dialect, verify
from conformance.protocol.fast_validation import message_fits
from conformance.protocol.schemes import Scheme, fitting, others
from conformance.protocol.signing import Signer
from conformance.protocol.validation import message_problems
from conformance.receiver.behaviour import TOLERANCE, Response, credentials, fresh
from conformance.scenario import dialects

MOST_PROBLEMS = 20
LONGEST_SEARCH = 256 * 1024
"""Bytes of the largest body for which other ways of signing are tried."""
_PREFIX = b"sha256="


class Signature(StrEnum):
    """The kind of a signature."""

    RIGHT = "right"
    STALE = "stale"  # right, but the timestamp is far from the clock
    OTHER = "other"  # made with the secret in another way
    WRONG = "wrong"
    MISSING = "missing"


class Body(StrEnum):
    """The kind of a body."""

    FITS = "fits"
    PROBLEMS = "problems"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is right or wrong with one request. `message` is its JSON, empty if that is not an object;
    `problems` are its deviations from the guide, at most MOST_PROBLEMS."""

    signature: Signature
    signature_text: Sentence
    body: Body
    body_text: Sentence
    problems: tuple[str, ...]
    message: dict[str, Any]


class Explainer:
    """Explains deliveries to a receiver that has the secret and the dialect of `signer`."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._last: Scheme | None = None

    def explain(
        self, headers: Headers, body: bytes, received: float, *, whole: bool
    ) -> Explanation:
        """Explain a request that arrived at `received` (Unix seconds). `whole` is whether `body` is the
        complete body."""
        if not whole:
            text = Sentence("too large to be examined")
            return Explanation(Signature.WRONG, text, Body.UNREADABLE, text, (), {})
        value, unreadable = _parsed(body)
        signature, text = self._signature(headers, body, received, value)
        if unreadable:
            return Explanation(signature, text, Body.UNREADABLE, unreadable, (), {})
        if message_fits(value):
            return Explanation(signature, text, Body.FITS, _FITS, (), value)
        problems = message_problems(value)
        shown = tuple(str(problem) for problem in problems[:MOST_PROBLEMS])
        return Explanation(signature, text, *_body_kind(len(problems)), shown, value)

    def _signature(
        self, headers: Headers, body: bytes, received: float, value: Any
    ) -> tuple[Signature, Sentence]:
        dialect, secret = self._signer.dialect, self._signer.secret
        presented = _presented(headers, dialect)
        if presented is None:
            other = self._other_scheme(headers, body)
            return other or (Signature.MISSING, _missing(headers, dialect))
        stamp, signature = presented
        if verify(dialect, secret, stamp, body, signature):
            stale = fresh(stamp, received, dialect, TOLERANCE)
            return (Signature.STALE, _stale(stamp, received, dialect)) if stale else _RIGHT
        near_miss = self._near_miss(stamp, signature, body, value)
        if near_miss:
            return Signature.OTHER, _WITH_SECRET + near_miss
        return self._other_scheme(headers, body) or (Signature.WRONG, _UNKNOWN)

    def _near_miss(self, stamp: bytes, signature: bytes, body: bytes, value: Any) -> Sentence:
        """What is wrong with a signature of the expected scheme that is misspelt or over the timestamp
        in the body; empty for any other."""
        dialect, secret = self._signer.dialect, self._signer.secret
        if dialect.encoding == "hex" and verify(dialect, secret, stamp, body, signature.lower()):
            return Sentence("but written in upper case")
        bare = signature.removeprefix(_PREFIX)
        if bare != signature and verify(dialect, secret, stamp, body, bare):
            return Sentence("but with sha256= in front of it")
        inner = value.get("timestamp") if isinstance(value, dict) else None
        if type(inner) is int and abs(inner) < 1 << 63:
            other = b"%d" % inner
            if other != stamp and verify(dialect, secret, other, body, signature):
                return Sentence(
                    "but over the timestamp in the body, which is not that of the header"
                )
        return EMPTY

    def _other_scheme(self, headers: Headers, body: bytes) -> tuple[Signature, Sentence] | None:
        """How another scheme with the same secret explains the signature; None if none does."""
        if len(body) > LONGEST_SEARCH:
            return None
        scheme = fitting(self._likely(), body, lambda dialect: _presented(headers, dialect))
        if scheme is None:
            return None
        self._last = scheme
        return Signature.OTHER, _WITH_SECRET + _difference(self._signer.dialect, scheme)

    def _likely(self) -> Iterator[Scheme]:
        """The scheme that matched last, then all: a peer signs all its messages the same way."""
        if self._last is not None:
            yield self._last
        yield from self._schemes

    @cached_property
    def _schemes(self) -> tuple[Scheme, ...]:
        built_in = [dialects.load(name) for name in dialects.names()]
        return tuple(others(self._signer, built_in))


_RIGHT = Signature.RIGHT, Sentence("correctly signed")
_FITS = Sentence("follows the guide")
_WITH_SECRET = Sentence("signed with the secret, ")
_UNKNOWN = Sentence("not made with this secret, or in an unknown way")


def _body_kind(problems: int) -> tuple[Body, Sentence]:
    text = Sentence("{problems} × contrary to the guide", problems=problems)
    return (Body.PROBLEMS, text) if problems else (Body.FITS, _FITS)


def _parsed(body: bytes) -> tuple[Any, Sentence]:
    """The JSON object in `body`, and why there is none; empty if there is one."""
    try:
        value = json.loads(body.decode())
    except UnicodeDecodeError:
        return None, Sentence("the body is not UTF-8")
    except RecursionError:
        return None, Sentence("the body is nested too deeply")
    except ValueError:
        empty = Sentence("the body is empty")
        return None, Sentence("the body is not JSON") if body else empty
    if not isinstance(value, dict):
        return value, Sentence("the body is not a JSON object")
    return value, EMPTY


def _presented(headers: Headers, dialect: Dialect) -> tuple[bytes, bytes] | None:
    """The timestamp and the signature in the headers; None unless there is one of each."""
    pair = credentials(headers, dialect)
    return None if isinstance(pair, Response) else pair


def _difference(expected: Dialect, scheme: Scheme) -> Sentence:
    """How a signature by `scheme` differs from one in the `expected` dialect."""
    dialect = scheme.signer.dialect
    with_colon = expected.string_to_sign == "{timestamp}:{body}"
    colon = with_colon and dialect.encoding == expected.encoding
    if colon and dialect.string_to_sign == "{timestamp}{body}" and scheme.rewritten is None:
        text = Sentence("but without the colon")
    else:
        text = Sentence("but over ") + scheme.description
    if dialect.signature_header.lower() == expected.signature_header.lower():
        return text
    name = dialect.signature_header
    return text + Sentence(", in the header {name}", name=name)


def _missing(headers: Headers, dialect: Dialect) -> Sentence:
    """Which header of the signature is missing, repeated or empty."""
    for name in (dialect.timestamp_header, dialect.signature_header):
        values = [value for key, value in headers if key.lower() == name.lower().encode()]
        if not values:
            return Sentence("there is no {name} header", name=name)
        if len(values) > 1:
            return Sentence("there are {count} {name} headers", count=len(values), name=name)
        if not values[0]:
            return Sentence("{name} is empty", name=name)
    return EMPTY


def _stale(stamp: bytes, received: float, dialect: Dialect) -> Sentence:
    unit = 1000 if dialect.timestamp_unit == "milliseconds" else 1
    if not stamp.isdigit() or len(stamp) > 20:
        return Sentence("correctly signed, over a timestamp that is not a number")
    ahead = int(stamp) / unit - received
    if ahead > 0:
        return Sentence(
            "correctly signed, {seconds:,.0f} s ahead of the receiver's clock", seconds=ahead
        )
    return Sentence(
        "correctly signed, {seconds:,.0f} s behind the receiver's clock", seconds=-ahead
    )
