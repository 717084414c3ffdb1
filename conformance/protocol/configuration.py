"""A webhook's configuration: where messages go, which ones, and how they are signed and retried.

Pure. Validates what a client sends against `schemas/configuration.schema.json`, whatever the case of its
field names, and writes it out again without the secret. Guide: Webhook 配置.
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
from conformance.model.sentence import Sentence, clauses
from conformance.protocol.dialect import Secret
from conformance.protocol.validation import Problem, problems, validator

ALL = "*"
"""The message type that stands for every type."""

MASK = "********"
"""What is shown in place of a secret: always the same, so that not even its length is revealed."""

NO_SECRET = Secret(b"")


@dataclass(frozen=True, slots=True)
class Configuration:
    """One webhook. `timeout` is in seconds; `retry_count` retries follow the first attempt;
    `message_types` are digits without leading zeros, or ALL. An empty `message_types` filters nothing:
    services of this protocol then deliver everything. Without a secret the key is empty."""

    url: str
    secret: Secret = NO_SECRET
    enabled: bool = True
    timeout: int = 10
    retry_count: int = 3
    message_types: tuple[str, ...] = (ALL,)
    include_self_message: bool = False

    def wants(self, message: Mapping[str, Any]) -> bool:
        """Whether `message`, which fits the message schema, is to be delivered to this webhook."""
        if not self.enabled or (message["isSelfMsg"] and not self.include_self_message):
            return False
        if not self.message_types or ALL in self.message_types:
            return True
        # For JSON Schema 1.0 is an integer, so a message's type may be a float.
        return str(int(message["msgType"])) in self.message_types

    def public_fields(self) -> dict[str, Any]:
        """The fields under the guide's names, with MASK in place of a secret."""
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


def read(data: object, base: Configuration | None = None) -> Configuration:
    """The configuration that `data`, parsed JSON, describes.

    Missing fields are taken from `base`, or else from the schema's defaults. Field names match in any
    case, unknown ones are ignored, and message types may be numbers. MASK as the secret keeps that of
    `base`. Raises InputError, which names every wrong field and never quotes the secret.
    """
    if not isinstance(data, dict):
        raise InputError(_sentence(problems("configuration", data)))
    fields = {} if base is None else base._fields()
    fields |= known_fields(data)
    if base is not None and fields.get("Secret") == MASK:
        fields["Secret"] = base.secret.decode()
    types = fields.get("MessageTypes")
    if isinstance(types, list):
        fields["MessageTypes"] = [str(kind) if type(kind) is int else kind for kind in types]
    wrong = problems("configuration", fields)
    if wrong:
        raise InputError(_sentence(wrong))
    fields = _defaults() | fields
    check_url(fields["URL"])
    return Configuration(
        url=fields["URL"],
        secret=_secret(fields["Secret"]),
        enabled=fields["Enabled"],
        timeout=int(fields["Timeout"]),  # 5.0 is an integer in JSON Schema
        retry_count=int(fields["RetryCount"]),
        message_types=tuple(_without_zeros(kind) for kind in fields["MessageTypes"]),
        include_self_message=fields["IncludeSelfMessage"],
    )


def known_fields(data: Mapping[str, object]) -> dict[str, object]:
    """The known fields of `data` under the guide's names; the others are left out."""
    return {
        _names()[name.lower()]: value for name, value in data.items() if name.lower() in _names()
    }


def check_url(url: str) -> None:
    """Raises InputError for a URL that fits the schema but cannot, or must not, be sent to."""
    if "@" in urlsplit(url).netloc:
        raise InputError("URL must not carry credentials (user:password@): use the Secret")
    if any(ord(character) < 32 or ord(character) == 127 for character in url):
        raise InputError("URL must not contain control characters")
    try:
        url.encode()  # fails for a lone surrogate
        host, port = URL(url).host, URL(url).port
        if host and host.replace(".", "").isdigit():
            IPv4Address(host)  # 127.1 and 1.2.3.4.5 are neither addresses nor names
    except ValueError:  # UnicodeError is one
        raise InputError("URL has an impossible host or port: check both") from None
    if not host or port == 0:
        raise InputError("URL needs a host, and a port from 1 to 65535 if it names one")


@cache
def _names() -> dict[str, str]:
    return {name.lower(): name for name in _properties()}


@cache
def _defaults() -> dict[str, Any]:
    defaults = {
        name: schema["default"] for name, schema in _properties().items() if "default" in schema
    }
    return {"Secret": ""} | defaults


def _properties() -> dict[str, Any]:
    schema: Any = validator("configuration").schema
    properties: dict[str, Any] = schema["properties"]
    return properties


def _sentence(wrong: list[Problem]) -> Sentence:
    return clauses(problem.sentence(Sentence("the body")) for problem in wrong)


def _secret(text: str) -> Secret:
    if text == MASK:
        raise InputError(
            "Secret is {mask}, which List shows in its place: send the secret itself", mask=MASK
        )
    try:
        return Secret(text.encode())
    except UnicodeEncodeError:
        raise InputError("Secret must be Unicode text") from None


def _without_zeros(digits: str) -> str:
    return digits.lstrip("0") or "0"
