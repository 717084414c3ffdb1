"""The options of a run against a sender."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from conformance.model.errors import InputError
from conformance.model.sentence import Sentence
from conformance.options.run import RunOptions
from conformance.options.secrets import encoded_forms, other_secret
from conformance.options.urls import check_url
from conformance.protocol.dialect import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderOptions(RunOptions):
    """The options of a run against a sender. `api_url` is the base of Config, List, Test and Update; the
    suite's configurations pass `secret` to the sender. Message events reach the sender through `emit_url`
    or `emit_command`. The mock receiver listens on `listen` (host and port), with https if there are
    `tls_cert` and `tls_key`; the sender reaches it at `public_url`."""

    api_url: str
    emit_url: str | None = None
    emit_command: str | None = None
    api_key: Secret | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    listen: tuple[str, int] = ("127.0.0.1", 0)
    public_url: str | None = None

    def __post_init__(self) -> None:
        RunOptions.__post_init__(self)
        check_url(Sentence("the API"), self.api_url)
        if set(self.api_url) & set("?#"):
            raise InputError(
                "the API: its URL must end before any `?`, as in http://localhost:8080/v1/webhook; "
                "pass its key with --api-key"
            )
        if self.emit_url is not None:
            check_url("--emit-url", self.emit_url)
        if self.public_url is not None:
            check_url("--public-url", self.public_url)
        if self.emit_url is not None and self.emit_command is not None:
            raise InputError("--emit-url and --emit-command: pass only one of them")
        if self.emit_command is not None and not self.emit_command.strip():
            raise InputError(
                "--emit-command: the command is empty; pass the one to run, or leave the option out"
            )
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


def read_listen(text: str) -> tuple[str, int]:
    """The host and port in `HOST:PORT`. Raises InputError."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port is None or f"//{text}" != f"//{parts.netloc}":
        raise InputError("--listen: {text!r} must be HOST:PORT, as in 0.0.0.0:8080", text=text)
    return host, port


def spellings(options: SenderOptions) -> set[bytes]:
    """The suite's secrets and the API key as answers may encode them."""
    secrets = {options.secret, other_secret(options.secret), options.api_key or b""}
    return encoded_forms({bytes(secret) for secret in secrets if secret})
