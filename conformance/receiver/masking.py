"""What the receiver shows of a request to people: without the secret, wherever a sender put it."""

from __future__ import annotations

import re
from urllib.parse import quote

from conformance.protocol.encodings import in_json

MASK = b"(secret)"


class Mask:
    """Takes `secret` out of bytes, as it may stand in a request: bare, in JSON, in a URL."""

    def __init__(self, secret: bytes) -> None:
        forms = {*in_json(secret), quote(secret).encode()} - {b""}
        self._forms = sorted(forms, key=len, reverse=True)
        self._any = re.compile(b"|".join(map(re.escape, self._forms)))
        self.longest = len(self._forms[0])
        """Bytes beyond a cut that must be seen, so that no secret is cut."""

    def __call__(self, value: bytes) -> bytes:
        """`value` with MASK in place of the secret."""
        for each in self._forms:
            value = value.replace(each, MASK)
        return value

    def beginning(self, value: bytes, size: int) -> bytes:
        """The first `size` bytes of `value`, masked; a secret over which the cut would go is taken
        out as a whole."""
        found = self._any.finditer(value)
        end = next((each.end() for each in found if each.start() < size < each.end()), size)
        return self(value[:end])
