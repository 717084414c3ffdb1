"""Dialects: how a service names its headers and signs its bytes; signing and verifying in one.

Pure but for `load`, which reads a dialect's YAML file. Signing is over bytes: the bytes that are
signed are the bytes that are sent. Guide: 請求頭, 驗證簽名.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from conformance import yaml_file
from conformance.errors import InputError
from conformance.resources import PACKAGE
from conformance.schema import problems

BUILT_IN = PACKAGE / "dialects"
SUFFIXES = (".yaml", ".yml")
TIMESTAMP, BODY = "{timestamp}", "{body}"


class Secret(bytes):
    """A secret that does not show itself in a repr, a log or an exception."""

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
        """Whether something stands between timestamp and body, so that neither can grow into the
        other unseen."""
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
    """Cut a string-to-sign template at `{timestamp}` and `{body}`."""
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
    """What is the same for all that is signed with `secret`, and half of the work for a short body."""
    return hmac.new(secret, digestmod="sha256")


def verify(
    dialect: Dialect, secret: bytes, timestamp: bytes, body: bytes, signature: bytes
) -> bool:
    """Whether `signature` is right for these bytes. Any bytes are only ever a wrong signature,
    never an exception; compared in constant time."""
    return hmac.compare_digest(sign(dialect, secret, timestamp, body), signature)


def names() -> list[str]:
    """The built-in dialects, by name."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def load(name: str) -> Dialect:
    """The built-in dialect `name`, or the one in the file of that name.

    Raises InputError, naming the file and the line or key, when there is none or it is not well
    formed.
    """
    if name in names():
        return read(BUILT_IN / f"{name}.yaml")
    if name.endswith(SUFFIXES) or "/" in name:
        return read(Path(name))
    near = get_close_matches(name, names(), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names())}"
    raise InputError(f"--dialect: no dialect is called {name!r}; {hint} (or give a .yaml file)")


def read(path: Path) -> Dialect:
    """The dialect in a YAML file. Raises InputError."""
    data = yaml_file.read(path, "dialect")
    wrong = problems("dialect", data)
    if wrong:
        raise InputError(f"{path}: {wrong[0].path}: {wrong[0].message}")
    return Dialect(
        name=data["name"],
        title=data["title"],
        summary=data["summary"],
        timestamp_header=data["timestamp-header"],
        signature_header=data["signature-header"],
        parts=parse_template(data["string-to-sign"]),
        encoding=data["encoding"],
        timestamp_unit=data["timestamp-unit"],
        success=tuple(data["success"]),
        deadline=float(data["deadline"]),
    )
