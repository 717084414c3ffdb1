"""Secrets: reads them from options, lists how answers may encode them, and hides them in texts."""

from __future__ import annotations

import hmac
import html
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from conformance.model.errors import InputError
from conformance.protocol.dialect import Secret
from conformance.protocol.encodings import in_json

MASK = "(secret)"
SHORTEST_BEGINNING = 3
"""The fewest characters that reveal something about a secret."""
SHORTEST, SHORTEST_WORD = 6, 12
"""A shorter secret, or a shorter one of letters alone, may appear in an answer by chance."""


def read_secret(text: str, option: str = "--secret") -> Secret:
    """The secret that `text` stands for: itself, `env:NAME` or `file:PATH`. Raises InputError."""
    if text.startswith("env:"):
        name = text.removeprefix("env:")
        if name not in os.environ:
            raise InputError(
                "{option}: the environment variable {name} is not set", option=option, name=name
            )
        value = os.environ[name].encode("utf-8", "surrogateescape")
    elif text.startswith("file:"):
        path = text.removeprefix("file:")
        try:
            # An editor adds a newline at the end, which is not part of the secret.
            value = Path(path).read_bytes().removesuffix(b"\n").removesuffix(b"\r")
        except OSError as fault:
            raise InputError(
                "{option}: {path} cannot be read: {reason}",
                option=option,
                path=path,
                reason=str(fault.strerror),
            ) from None
    else:
        value = text.encode("utf-8", "surrogateescape")
    if not value:
        raise no_secret(option)
    return Secret(value)


def no_secret(option: str = "--secret") -> InputError:
    """The fault of an empty secret."""
    return InputError(
        "{option}: the secret is empty; pass the one that messages are signed with", option=option
    )


def other_secret(secret: Secret) -> Secret:
    """The secret of a case's other endpoint, derived from that of the first: the same in every run, and
    useless for finding the user's own."""
    return Secret(hmac.digest(secret, b"another", "sha256").hex().encode())


def is_distinctive(secret: bytes) -> bool:
    """Whether `secret` is long enough not to appear in a text by chance."""
    return len(secret) >= (SHORTEST_WORD if secret.isalpha() else SHORTEST)


def encoded_forms(secrets: set[bytes]) -> set[bytes]:
    """The secrets as answers may contain them: unchanged, and as JSON, HTML and URLs encode them. Those
    that may appear by chance are left out."""
    encoded = {form for secret in secrets for form in _encoded(secret.decode("utf-8", "replace"))}
    return {form for form in secrets | encoded if is_distinctive(form)}


def hide(text: str, secrets: Iterable[bytes]) -> str:
    """`text` with MASK in place of each secret, and of the beginning of one that a `…` cuts off."""
    for secret_bytes in sorted(secrets, key=len, reverse=True):
        secret = secret_bytes.decode("utf-8", "replace")
        text = text.replace(secret, MASK)
        *cut, last = text.split("…")
        text = "…".join([*(_without_beginning(part, secret) for part in cut), last])
    return text


def _without_beginning(text: str, secret: str) -> str:
    """`text` with MASK in place of a beginning of `secret` at its end."""
    sizes = range(len(secret), SHORTEST_BEGINNING - 1, -1)
    size = next((size for size in sizes if text.endswith(secret[:size])), 0)
    return text[: len(text) - size] + MASK if size else text


def _encoded(text: str) -> frozenset[bytes]:
    forms = (
        repr(text)[1:-1],
        repr(text.encode().decode("latin-1"))[1:-1],  # as headers are displayed
        html.escape(text),
        quote(text),
    )
    return in_json(text.encode()) | {form.encode("utf-8", "replace") for form in forms}
