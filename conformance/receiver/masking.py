"""Masks the secret in what the receiver shows of a request, wherever a sender may have put it."""

from __future__ import annotations

import re
from urllib.parse import quote

from conformance.protocol.encodings import in_json

MASK = b"(secret)"


class Mask:
    """Replaces `secret` in bytes, in every encoding a request may hold it in: raw, JSON, URL."""

    def __init__(self, secret: bytes) -> None:
        encodings = {*in_json(secret), quote(secret).encode()} - {b""}
        self._encodings = sorted(encodings, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._encodings)))
        self.longest = len(self._encodings[0])
        """How many bytes beyond a cut must be available, so that no secret is cut in two."""

    def __call__(self, value: bytes) -> bytes:
        """`value` with MASK in place of the secret."""
        for encoding in self._encodings:
            value = value.replace(encoding, MASK)
        return value

    def beginning(self, value: bytes, size: int) -> bytes:
        """The first `size` bytes of `value`, masked. A secret that straddles the cut is masked as a
        whole."""
        matches = self._pattern.finditer(value)
        end = next((match.end() for match in matches if match.start() < size < match.end()), size)
        return self(value[:end])
