"""Secrets: read as the user gave them, spelled out as they may come back, and hidden in texts."""

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

EMPTY = "--secret: the secret is empty; give the one that messages are signed with"
MASK = "(secret)"
SHORTEST_BEGINNING = 3
"""Characters of a secret that tell something of it."""
SHORTEST, SHORTEST_WORD = 6, 12
"""A shorter secret, or a shorter one of letters alone, stands in answers by chance."""


def read_secret(given: str, option: str = "--secret") -> Secret:
    """The secret that `given` stands for: itself, `env:NAME` or `file:PATH`. Raises InputError."""
    if given.startswith("env:"):
        name = given.removeprefix("env:")
        if name not in os.environ:
            raise InputError(f"{option}: the environment variable {name} is not set")
        value = os.environ[name].encode("utf-8", "surrogateescape")
    elif given.startswith("file:"):
        path = given.removeprefix("file:")
        try:
            # An editor puts a newline at the end, which is no part of the secret.
            value = Path(path).read_bytes().removesuffix(b"\n").removesuffix(b"\r")
        except OSError as fault:
            raise InputError(f"{option}: {path} cannot be read: {fault.strerror}") from None
    else:
        value = given.encode("utf-8", "surrogateescape")
    if not value:
        raise InputError(EMPTY.replace("--secret", option))
    return Secret(value)


def other_secret(secret: Secret) -> Secret:
    """The secret of a case's other endpoint, where `secret` is that of the first: alike in every run,
    and nothing that leads back to the user's own."""
    return Secret(hmac.digest(secret, b"another", "sha256").hex().encode())


def is_telling(secret: bytes) -> bool:
    """Whether `secret` in a text is no chance."""
    return len(secret) >= (SHORTEST_WORD if secret.isalpha() else SHORTEST)


def spelled(found: set[bytes]) -> set[bytes]:
    """Secrets as they may come back: as they are, and as JSON, HTML and URLs write them. What is too
    short to be told from chance is left out."""
    written = {spelled for each in found for spelled in _written(each.decode("utf-8", "replace"))}
    return {each for each in found | written if is_telling(each)}


def hide(text: str, secrets: Iterable[bytes]) -> str:
    """`text` without the `secrets`, and without the beginning of one that a `…` cuts off."""
    for each in sorted(secrets, key=len, reverse=True):
        secret = each.decode("utf-8", "replace")
        text = text.replace(secret, MASK)
        *cut, last = text.split("…")
        text = "…".join([*(_without_beginning(part, secret) for part in cut), last])
    return text


def _without_beginning(text: str, secret: str) -> str:
    """`text`, if it ends with the beginning of `secret`, without that."""
    begins = (size for size in range(len(secret), SHORTEST_BEGINNING - 1, -1))
    size = next((size for size in begins if text.endswith(secret[:size])), 0)
    return text[: len(text) - size] + MASK if size else text


def _written(text: str) -> frozenset[bytes]:
    ways = (
        repr(text)[1:-1],
        repr(text.encode().decode("latin-1"))[1:-1],  # as headers are shown
        html.escape(text),
        quote(text),
    )
    return in_json(text.encode()) | {way.encode("utf-8", "replace") for way in ways}
