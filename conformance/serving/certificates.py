"""TLS certificates for a reference part: the user's, or a self-signed one."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path

from conformance.model.errors import InputError


def missing() -> str | None:
    """What this machine lacks to make a certificate, or None."""
    return None if shutil.which("openssl") else "needs openssl"


def self_signed() -> ssl.SSLContext:
    """A server context with a new self-signed certificate. Needs openssl."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="hookproof-") as folder:
        context.load_cert_chain(*make(Path(folder)))
    return context


def make(folder: Path) -> tuple[Path, Path]:
    """A new certificate for 127.0.0.1 and localhost and its key, as files in `folder`. Needs openssl."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    subject = ["-subj", "/CN=localhost", "-addext", names]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", *curve, "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own words
    return certificate, key


def load(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server context with the user's certificate. Raises InputError that names the options."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without one, OpenSSL asks for a password on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as fault:
        raise InputError(
            "--tls-cert and --tls-key: {certificate} and {key} cannot be used ({reason}): give a "
            "PEM certificate and its key, without a password",
            certificate=str(certificate),
            key=str(key),
            reason=str(fault),
        ) from None
    return context
