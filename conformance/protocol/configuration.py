"""A webhook's configuration: where messages go, which ones, and how they are signed and repeated.

Pure. Reads what a client sends, whatever the case of its field names, against
`schemas/configuration.schema.json`, and shows it again without the secret. Guide: Webhook 配置.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address
from typing import Any
from urllib.parse import urlsplit

from yarl import URL

from conformance.model.errors import InputError
from conformance.protocol.dialect import Secret
from conformance.protocol.validation import WHOLE, problems, validator

ALL = "*"
"""The message type that stands for every type."""

MASK = "********"
"""What stands for a secret where it is shown: always the same, so that not even a length is told."""


NO_SECRET = Secret(b"")


@dataclass(frozen=True, slots=True)
class Configuration:
    """One webhook. `timeout` is in seconds; `retry_count` retries follow the first attempt;
    `message_types` are in digits without leading zeros, or ALL, and none of them is no filter: all
    are delivered, as services of this protocol have it. No secret signs with an empty key."""

    url: str
    secret: Secret = NO_SECRET
    enabled: bool = True
    timeout: int = 10
    retry_count: int = 3
    message_types: tuple[str, ...] = (ALL,)
    include_self_message: bool = False

    def wants(self, message: Mapping[str, Any]) -> bool:
        """Whether `message`, which fits the message schema, is delivered here."""
        if not self.enabled or (message["isSelfMsg"] and not self.include_self_message):
            return False
        if not self.message_types or ALL in self.message_types:
            return True
        # JSON Schema takes 1.0 for an integer, and so may a message's type be.
        return str(int(message["msgType"])) in self.message_types

    def shown(self) -> dict[str, Any]:
        """The fields as the guide writes them, with MASK for the secret if there is one."""
        return self._fields() | {"Secret": MASK if self.secret else ""}

    def _fields(self) -> dict[str, Any]:
        return {
            "URL": self.url,
            "Secret": self.secret.decode(),
            "Enabled": self.enabled,
            "Timeout": self.timeout,
            "RetryCount": self.retry_count,
            "MessageTypes": list(self.message_types),
            "IncludeSelfMessage": self.include_self_message,
        }


def read(given: object, base: Configuration | None = None) -> Configuration:
    """The configuration that `given`, parsed JSON, describes.

    What it leaves out is as in `base`, or else as the schema's defaults say. Names are matched
    whatever their case, unknown ones are ignored, message types may be numbers. MASK as the secret
    leaves the one of `base`. Raises InputError, naming every field that is wrong and never quoting
    the secret.
    """
    if not isinstance(given, dict):
        raise InputError(_say(problems("configuration", given)))
    fields = {} if base is None else base._fields()
    fields |= named(given)
    if base is not None and fields.get("Secret") == MASK:
        fields["Secret"] = base.secret.decode()
    types = fields.get("MessageTypes")
    if isinstance(types, list):
        fields["MessageTypes"] = [str(each) if type(each) is int else each for each in types]
    wrong = problems("configuration", fields)
    if wrong:
        raise InputError(_say(wrong))
    fields = _defaults() | fields
    check_url(fields["URL"])
    return Configuration(
        url=fields["URL"],
        secret=_secret(fields["Secret"]),
        enabled=fields["Enabled"],
        timeout=int(fields["Timeout"]),  # 5.0 is an integer in JSON Schema
        retry_count=int(fields["RetryCount"]),
        message_types=tuple(_without_zeros(each) for each in fields["MessageTypes"]),
        include_self_message=fields["IncludeSelfMessage"],
    )


def named(given: Mapping[str, object]) -> dict[str, object]:
    """The known fields of `given` under the names that the guide writes; others are left out."""
    return {
        _names()[name.lower()]: value for name, value in given.items() if name.lower() in _names()
    }


def check_url(url: str) -> None:
    """Raise InputError for a URL that fits the schema and yet cannot be sent to, or must not."""
    if "@" in urlsplit(url).netloc:
        raise InputError("URL must not carry credentials (user:password@): use the Secret")
    if any(ord(character) < 32 or ord(character) == 127 for character in url):
        raise InputError("URL must not hold control characters")
    try:
        url.encode()  # a lone surrogate is no text
        host, port = URL(url).host, URL(url).port
        if host and host.replace(".", "").isdigit():
            IPv4Address(host)  # 127.1 and 1.2.3.4.5 are neither addresses nor names
    except ValueError:  # UnicodeError is one
        raise InputError("URL has a host or a port that there cannot be: check both") from None
    if not host or port == 0:
        raise InputError("URL needs a host, and a port from 1 to 65535 if it names one")


@cache
def _names() -> dict[str, str]:
    return {name.lower(): name for name in _properties()}


@cache
def _defaults() -> dict[str, Any]:
    given = {n: each["default"] for n, each in _properties().items() if "default" in each}
    return {"Secret": ""} | given


def _properties() -> dict[str, Any]:
    schema: Any = validator("configuration").schema
    properties: dict[str, Any] = schema["properties"]
    return properties


def _say(wrong: list[Any]) -> str:
    return "; ".join(str(problem).replace(WHOLE, "the body", 1) for problem in wrong)


def _secret(text: str) -> Secret:
    if text == MASK:
        raise InputError(f"Secret is {MASK}, which List shows in its place: give the secret itself")
    try:
        return Secret(text.encode())
    except UnicodeEncodeError:
        raise InputError("Secret must be Unicode text") from None


def _without_zeros(digits: str) -> str:
    return digits.lstrip("0") or "0"
