"""What is wrong with a delivery, and how it came to be so: its signature, and its body.

Pure. A wrong signature is compared with what others would have made of the same secret, as peers that
speak another dialect, or sign other bytes than they send, are met again and again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from conformance.model.exchange import Headers
from conformance.model.text import NO_TEXT, Text
from conformance.protocol.dialect import Dialect, verify
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.fast_validation import message_fits
from conformance.protocol.signing import Scheme, others
from conformance.protocol.tampering import Signer
from conformance.protocol.validation import message_problems
from conformance.receiver.behaviour import TOLERANCE, Response, credentials, fresh
from conformance.scenario import dialects

MOST_PROBLEMS = 20
LONGEST_SEARCH = 256 * 1024
"""Bytes of a body over which other ways of signing are tried."""
_PREFIX = b"sha256="


class Signature(StrEnum):
    """What a signature turned out to be."""

    RIGHT = "right"
    STALE = "stale"  # right, over a timestamp far from the clock
    OTHER = "other"  # made with the secret, in another way
    WRONG = "wrong"
    MISSING = "missing"


class Body(StrEnum):
    """What a body turned out to be."""

    FITS = "fits"
    PROBLEMS = "problems"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found out about one request. `message` is its JSON where it is an object;
    `problems` are the places where it does not fit the guide, at most MOST_PROBLEMS."""

    signature: Signature
    signed: Text
    body: Body
    said: Text
    problems: tuple[str, ...]
    message: dict[str, Any]


class Explainer:
    """Explains deliveries to a receiver with the secret and the dialect of `signer`."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._last: Scheme | None = None

    def look(self, headers: Headers, body: bytes, received: float, *, whole: bool) -> Looked:
        """Everything about a request that came at `received` (Unix seconds); `whole` tells whether
        `body` is all of it."""
        if not whole:
            said = Text("too large to be looked through", "太大，未逐一檢查")
            return Looked(Signature.WRONG, said, Body.UNREADABLE, said, (), {})
        value, unreadable = _parsed(body)
        signature, signed = self._signature(headers, body, received, value)
        if unreadable:
            return Looked(signature, signed, Body.UNREADABLE, unreadable, (), {})
        problems = [] if message_fits(value) else message_problems(value)
        found = tuple(str(each) for each in problems[:MOST_PROBLEMS])
        kind = Body.PROBLEMS if problems else Body.FITS
        fits = Text("fits the guide", "符合指南的格式")
        number = Text(f"{len(problems)} × not as in the guide", f"{len(problems)} 處不符合指南")
        return Looked(signature, signed, kind, number if problems else fits, found, value)

    def _signature(
        self, headers: Headers, body: bytes, received: float, value: Any
    ) -> tuple[Signature, Text]:
        dialect, secret = self._signer.dialect, self._signer.secret
        given = credentials(headers, dialect)
        if isinstance(given, Response):
            made = self._made_otherwise(headers, body, value)
            return made or (Signature.MISSING, _missing(headers, dialect))
        stamp, signature = given
        if verify(dialect, secret, stamp, body, signature):
            late = fresh(stamp, received, dialect, TOLERANCE)
            return (Signature.STALE, _late(stamp, received, dialect)) if late else _RIGHT
        near = self._near(stamp, signature, body, value)
        if near:
            return Signature.OTHER, _WITH_SECRET + near
        return self._made_otherwise(headers, body, value) or (Signature.WRONG, _UNKNOWN)

    def _near(self, stamp: bytes, signature: bytes, body: bytes, value: Any) -> Text:
        """What is wrong with a signature over the right bytes, or over another timestamp."""
        dialect, secret = self._signer.dialect, self._signer.secret
        if dialect.encoding == "hex" and verify(dialect, secret, stamp, body, signature.lower()):
            return Text("but written in upper case", "但寫成了大寫")
        bare = signature.removeprefix(_PREFIX)
        if bare != signature and verify(dialect, secret, stamp, body, bare):
            return Text("but with sha256= in front of it", "但前面多了 sha256=")
        inner = value.get("timestamp") if isinstance(value, dict) else None
        if type(inner) is int and abs(inner) < 1 << 63:
            other = b"%d" % inner
            if other != stamp and verify(dialect, secret, other, body, signature):
                return Text(
                    "but over the timestamp in the body, which is not that of the header",
                    "但簽的是請求體中的時間戳，與請求頭不同",
                )
        return NO_TEXT

    def _made_otherwise(
        self, headers: Headers, body: bytes, value: Any
    ) -> tuple[Signature, Text] | None:
        if len(body) > LONGEST_SEARCH:
            return None
        rewritten: dict[str, bytes] = {}
        named: dict[tuple[str, str], tuple[bytes, bytes] | Response] = {}
        for scheme in self._likely():
            dialect, secret = scheme.signer.dialect, scheme.signer.secret
            names = dialect.timestamp_header, dialect.signature_header
            given = named.get(names) or named.setdefault(names, credentials(headers, dialect))
            if isinstance(given, Response):
                continue
            over = body
            if scheme.rewritten is not None:
                if scheme.rewritten not in rewritten:
                    rewritten[scheme.rewritten] = _written(scheme.rewritten, value)
                over = rewritten[scheme.rewritten]
            if verify(dialect, secret, given[0], over, given[1]):
                self._last = scheme
                return Signature.OTHER, _WITH_SECRET + _but(self._signer.dialect, scheme)
        return None

    def _likely(self) -> Iterator[Scheme]:
        """The scheme that fitted last, and then all: a peer signs all its messages alike."""
        if self._last is not None:
            yield self._last
        yield from self._schemes

    @cached_property
    def _schemes(self) -> tuple[Scheme, ...]:
        known = [dialects.load(name) for name in dialects.names()]
        return tuple(others(self._signer, known))


_RIGHT = Signature.RIGHT, Text("rightly signed", "簽名正確")
_WITH_SECRET = Text("signed with the secret, ", "以此密鑰簽名，")
_UNKNOWN = Text(
    "not made with this secret, or in a way that is not known here",
    "不是以此密鑰簽的，或簽名方式不明",
)


def _parsed(body: bytes) -> tuple[Any, Text]:
    """The JSON object in `body`, or what keeps it from being one."""
    try:
        value = json.loads(body.decode())
    except UnicodeDecodeError:
        return None, Text("the body is not UTF-8", "請求體不是 UTF-8")
    except RecursionError:
        return None, Text("the body is nested too deeply", "請求體的巢狀層級過深")
    except ValueError:
        empty = Text("the body is empty", "請求體是空的")
        return None, Text("the body is not JSON", "請求體不是 JSON") if body else empty
    if not isinstance(value, dict):
        return value, Text("the body is not a JSON object", "請求體不是 JSON 物件")
    return value, NO_TEXT


def _written(form: str, value: Any) -> bytes:
    try:
        return ENCODINGS[form](value)
    except (ValueError, RecursionError):  # a lone surrogate cannot be written as UTF-8
        return b""


def _but(asked: Dialect, scheme: Scheme) -> Text:
    """How a signature that was made by `scheme` differs from the one asked for."""
    dialect = scheme.signer.dialect
    colon = asked.string_to_sign == "{timestamp}:{body}" and dialect.encoding == asked.encoding
    if colon and dialect.string_to_sign == "{timestamp}{body}" and scheme.rewritten is None:
        said = Text("but without the colon", "但少了冒號")
    else:
        said = Text("but over ", "但簽的是：") + scheme.description
    if dialect.signature_header.lower() == asked.signature_header.lower():
        return said
    name = dialect.signature_header
    return said + Text(f", in the header {name}", f"，放在請求頭 {name}")


def _missing(headers: Headers, dialect: Dialect) -> Text:
    for name in (dialect.timestamp_header, dialect.signature_header):
        values = [value for key, value in headers if key.lower() == name.lower().encode()]
        if not values:
            return Text(f"there is no {name} header", f"沒有 {name} 請求頭")
        if len(values) > 1:
            return Text(
                f"{name} stands there {len(values)} times", f"{name} 出現了 {len(values)} 次"
            )
        if not values[0]:
            return Text(f"{name} is empty", f"{name} 是空的")
    return NO_TEXT


def _late(stamp: bytes, received: float, dialect: Dialect) -> Text:
    unit = 1000 if dialect.timestamp_unit == "milliseconds" else 1
    if not stamp.isdigit() or len(stamp) > 20:
        return Text(
            "rightly signed over a timestamp that is no number", "簽名正確，但時間戳不是數字"
        )
    ahead = int(stamp) / unit - received
    seconds = f"{abs(ahead):,.0f}"
    side = ("ahead of", "快") if ahead > 0 else ("behind", "慢")
    return Text(
        f"rightly signed, {seconds} s {side[0]} the receiver's clock",
        f"簽名正確，但比接收端的時鐘{side[1]} {seconds} 秒",
    )
