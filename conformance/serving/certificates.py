"""Certificates that a reference part serves https with: the user's, or one of its own making."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path

from conformance.model.errors import InputError


def missing() -> str | None:
    """What is not there to make a certificate with."""
    return None if shutil.which("openssl") else "needs openssl"


def self_signed() -> ssl.SSLContext:
    """A server's context with a certificate that nobody but itself has signed. Needs openssl."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="hookproof-") as place:
        context.load_cert_chain(*make(Path(place)))
    return context


def make(place: Path) -> tuple[Path, Path]:
    """A new certificate for 127.0.0.1 and localhost, and its key, as files in `place`."""
    key, certificate = place / "key.pem", place / "certificate.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    subject = ["-subj", "/CN=localhost", "-addext", names]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", *curve, "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own words
    return certificate, key


def given(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's context with the user's certificate. Raises InputError, naming the options."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A password would be asked for on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as fault:
        raise InputError(
            f"--tls-cert and --tls-key: {certificate} and {key} cannot be used ({fault}): give a PEM "
            "certificate and its key, without a password"
        ) from None
    return context
