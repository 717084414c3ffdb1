"""The options of a run against a receiver, validated."""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from dataclasses import dataclass

from conformance.options.secrets import encoded_forms
from conformance.options.table import ReceiverTable
from conformance.options.values import check


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(ReceiverTable):
    """The options of a run against a receiver. Raises InputError for values that cannot be used."""

    @property
    def secure(self) -> bool:
        """Whether any of the URLs is https."""
        urls = (self.url, self.also_url or "", self.observer_url or "")
        return any(url.lower().startswith("https:") for url in urls)

    def __post_init__(self) -> None:
        check(self)


def spellings(options: Options) -> set[bytes]:
    """The secret and the values of --header as answers may repeat them: whole, in parts, and decoded."""
    secrets = {bytes(options.secret)}
    for _, value in options.headers:
        secrets |= {value, *re.split(rb"[\s;,=]+", value)}
        if value.lower().startswith(b"basic "):
            with suppress(ValueError):
                secrets.add(base64.b64decode(value[6:]))
    return encoded_forms(secrets)
