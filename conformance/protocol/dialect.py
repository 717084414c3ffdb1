"""Dialects: how a service names its headers and signs its bytes. Signs and verifies.

Pure. Signing is over bytes: the bytes that are signed are the bytes that are sent. Guide: 請求頭,
驗證簽名.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache

TIMESTAMP, BODY = "{timestamp}", "{body}"


class Secret(bytes):
    """A secret that no repr, log or exception reveals."""

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way of speaking the protocol. `parts` is the string to sign, cut at its placeholders."""

    name: str
    title: str
    summary: str
    timestamp_header: str
    signature_header: str
    parts: tuple[str, ...]
    encoding: str = "hex"
    timestamp_unit: str = "seconds"
    success: tuple[int, ...] = (200,)
    deadline: float = 5.0

    @property
    def string_to_sign(self) -> str:
        """The template as it is written in a dialect file."""
        return "".join(self.parts)

    @property
    def separated(self) -> bool:
        """Whether timestamp and body are separated, so that no byte can move from one to the other
        unnoticed."""
        placed = [self.parts.index(mark) for mark in (TIMESTAMP, BODY) if mark in self.parts]
        return len(placed) == 2 and abs(placed[0] - placed[1]) > 1

    @property
    def signs_timestamp(self) -> bool:
        """Whether the timestamp is part of what is signed."""
        return TIMESTAMP in self.parts

    def timestamp(self, now: float) -> bytes:
        """`now` (seconds since the epoch) as this dialect's timestamp header."""
        return b"%d" % (now * 1000 if self.timestamp_unit == "milliseconds" else now)


def parse_template(template: str) -> tuple[str, ...]:
    """Cuts a string-to-sign template at `{timestamp}` and `{body}`."""
    return tuple(part for part in re.split(r"(\{timestamp\}|\{body\})", template) if part)


def sign(dialect: Dialect, secret: bytes, timestamp: bytes, body: bytes) -> bytes:
    """The signature header's value for exactly these bytes."""
    text = b"".join(
        [
            body if part == BODY else timestamp if part == TIMESTAMP else part.encode()
            for part in dialect.parts
        ]
    )
    mac = _keyed(secret).copy()
    mac.update(text)
    digest = mac.digest()
    return base64.b64encode(digest) if dialect.encoding == "base64" else digest.hex().encode()


@lru_cache(maxsize=64)
def _keyed(secret: bytes) -> hmac.HMAC:
    """The HMAC state that depends on `secret` alone: half of the work of signing a short body."""
    return hmac.new(secret, digestmod="sha256")


def verify(
    dialect: Dialect, secret: bytes, timestamp: bytes, body: bytes, signature: bytes
) -> bool:
    """Whether `signature` is right for these bytes. Arbitrary bytes are a wrong signature and never
    raise; the comparison takes constant time."""
    return hmac.compare_digest(sign(dialect, secret, timestamp, body), signature)
