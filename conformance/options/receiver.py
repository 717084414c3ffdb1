"""The options of a run against a receiver."""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from dataclasses import dataclass, field

from conformance.model.errors import InputError
from conformance.model.exchange import Headers
from conformance.model.sentence import Sentence
from conformance.options.run import RunOptions
from conformance.options.secrets import encoded_forms
from conformance.options.urls import check_observer, check_url

RESERVED = {"content-length", "transfer-encoding", "connection", "expect"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(RunOptions):
    """The options of a run against a receiver. The values of `headers` are secret."""

    url: str
    observer_url: str | None = None
    also_url: str | None = None
    headers: Headers = field(default=(), repr=False)

    @property
    def secure(self) -> bool:
        """Whether any of the URLs is https."""
        urls = (self.url, self.also_url or "", self.observer_url or "")
        return any(url.lower().startswith("https:") for url in urls)

    def __post_init__(self) -> None:
        RunOptions.__post_init__(self)
        check_url(Sentence("the endpoint"), self.url)
        if self.also_url is not None:
            check_url("--also-url", self.also_url)
        if self.observer_url is not None:
            check_observer(self.observer_url)


def read_header(text: str) -> tuple[bytes, bytes]:
    """The header in `Name: value`. Raises InputError, which never quotes the value: it is a secret."""
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not name or not name.isascii() or any(c in " \t\r\n" for c in name):
        raise InputError("--header: write it as 'Name: value'")
    if name.lower() in RESERVED:
        raise InputError("--header: {name} is set by the suite itself", name=name)
    if not value.isascii() or any(c in "\r\n\0" for c in value):
        raise InputError("--header: the value of {name} must be ASCII, on one line", name=name)
    return name.encode(), value.encode()


def spellings(options: Options) -> set[bytes]:
    """The secret and the values of --header as answers may repeat them: whole, in parts, and decoded."""
    secrets = {bytes(options.secret)}
    for _, value in options.headers:
        secrets |= {value, *re.split(rb"[\s;,=]+", value)}
        if value.lower().startswith(b"basic "):
            with suppress(ValueError):
                secrets.add(base64.b64decode(value[6:]))
    return encoded_forms(secrets)
