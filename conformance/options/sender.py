"""What a run against a sender is asked to do."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from conformance.model.errors import InputError
from conformance.options.run import RunOptions
from conformance.options.secrets import other_secret, spelled
from conformance.options.urls import check_url
from conformance.protocol.dialect import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderOptions(RunOptions):
    """A run against a sender. `api_url` is the base of Config, List, Test and Update; `secret` is given
    to the sender with the suite's configurations. Messages come to the sender through `emit_url` or
    `emit_command`. The mock receiver listens on `listen` (host and port), on https with `tls_cert`
    and `tls_key`; `public_url` is how the sender reaches it."""

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
        check_url("the API", self.api_url)
        if set(self.api_url) & set("?#"):
            raise InputError(
                "the API: its URL must end before any `?`, as in http://localhost:8080/v1/webhook; "
                "give its key with --api-key"
            )
        if self.emit_url is not None:
            check_url("--emit-url", self.emit_url)
        if self.public_url is not None:
            check_url("--public-url", self.public_url)
        if self.emit_url is not None and self.emit_command is not None:
            raise InputError("--emit-url and --emit-command: give one of them")
        if self.emit_command is not None and not self.emit_command.strip():
            raise InputError(
                "--emit-command: the command is empty; give the one to run, or leave it out"
            )
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("--tls-cert and --tls-key: give both, the certificate and its key")

    @property
    def emits(self) -> bool:
        """Whether the sender can be given messages."""
        return self.emit_url is not None or self.emit_command is not None

    @property
    def secure(self) -> bool:
        """Whether any of the URLs that the suite sends to is https."""
        return any(url.lower().startswith("https:") for url in (self.api_url, self.emit_url or ""))

    @property
    def elsewhere(self) -> bool:
        """Whether the sender is not on this machine, as far as its URL tells."""
        host = urlsplit(self.api_url).hostname or ""
        try:
            return not ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host != "localhost"


def read_listen(given: str) -> tuple[str, int]:
    """The host and port in `HOST:PORT`. Raises InputError."""
    try:
        parts = urlsplit(f"//{given}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port is None or f"//{given}" != f"//{parts.netloc}":
        raise InputError(f"--listen: {given!r} must be HOST:PORT, as in 0.0.0.0:8080")
    return host, port


def spellings(options: SenderOptions) -> set[bytes]:
    """The suite's secrets and the API key as they may come back."""
    secrets = {options.secret, other_secret(options.secret), options.api_key or b""}
    return spelled({bytes(each) for each in secrets if each})
