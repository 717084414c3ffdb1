"""The options of a run against a sender, validated."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from conformance.model.errors import InputError
from conformance.options.secrets import Mask, mask_of, other_secret
from conformance.options.table import SenderTable
from conformance.options.values import check


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderOptions(SenderTable):
    """The options of a run against a sender. Raises InputError for values that cannot be used."""

    @property
    def mask(self) -> Mask:
        """Masks the secrets of the suite's endpoints, and the API key."""
        return mask_of(self.secret, other_secret(self.secret), self.api_key or b"")

    def __post_init__(self) -> None:
        check(self)
        if set(self.api_url) & set("?#"):
            raise InputError(
                "the API: its URL must end before any `?`, as in http://localhost:8080/v1/webhook; "
                "pass its key with --api-key"
            )
        if self.emit_url is not None and self.emit_command is not None:
            raise InputError("--emit-url and --emit-command: pass only one of them")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("--tls-cert and --tls-key: pass both, the certificate and its key")

    @property
    def emits(self) -> bool:
        """Whether message events can be passed to the sender."""
        return self.emit_url is not None or self.emit_command is not None

    @property
    def secure(self) -> bool:
        """Whether any of the URLs that the suite sends to is https."""
        return any(url.lower().startswith("https:") for url in (self.api_url, self.emit_url or ""))

    @property
    def is_remote(self) -> bool:
        """Whether the sender's URL is not one of this machine."""
        host = urlsplit(self.api_url).hostname or ""
        try:
            return not ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host != "localhost"
