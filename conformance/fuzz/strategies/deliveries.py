"""The strategies for your own tests: messages, bodies, and whole deliveries with their headers.

Every draw has a new msgId, also a repeated or shrunk one. Otherwise the deduplication of the receiver
under test would answer instead of its code.
"""

from __future__ import annotations

import itertools
import random
import time
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from conformance.fuzz.strategies.example import Example
from conformance.fuzz.strategies.forged import forged_examples
from conformance.fuzz.strategies.malformed import malformed_examples
from conformance.fuzz.strategies.valid import valid_examples, valid_of
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signed, Signer
from conformance.scenario import dialects

_IDS = itertools.count(random.SystemRandom().randrange(10**18, 9 * 10**18))


@dataclass(frozen=True, slots=True)
class Delivery:
    """A POST request as the service would send it. `headers` are pairs. A name may occur twice; values
    hold one byte per character (Latin-1), as in WSGI and http.server."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


def messages(msg_type: int | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Valid messages as JSON objects: of every type, or only of `msg_type`."""
    examples = valid_examples if msg_type is None else valid_of(msg_type)
    return examples.map(lambda example: example.fields(_digits(), time.time()))


def valid_bodies() -> st.SearchStrategy[bytes]:
    """Valid messages in every JSON encoding that a receiver must accept."""
    return valid_examples.map(_body)


def malformed_bodies() -> st.SearchStrategy[bytes]:
    """Bodies that are not messages: wrong types, missing fields, broken JSON or UTF-8, deep nesting."""
    return malformed_examples.map(_body)


def valid_deliveries(secret: str, dialect: str = "guide") -> st.SearchStrategy[Delivery]:
    """Valid messages, signed now. They must be answered 200."""
    return valid_examples.map(_Deliverer(secret, dialect))


def malformed_deliveries(secret: str, dialect: str = "guide") -> st.SearchStrategy[Delivery]:
    """Malformed bodies with valid signatures. They must be answered with a status below 500."""
    return malformed_examples.map(_Deliverer(secret, dialect))


def forged_deliveries(secret: str, dialect: str = "guide") -> st.SearchStrategy[Delivery]:
    """Requests that the holder of `secret` did not sign. They must never be answered 2xx."""
    deliver = _Deliverer(secret, dialect)
    return forged_examples(deliver.signer.dialect).map(deliver)


def _digits() -> str:
    return str(next(_IDS))


def _body(example: Example) -> bytes:
    return example.body(_digits(), time.time())


class _Deliverer:
    """Turns examples into deliveries. `dialect` is the name of a built-in one, or a YAML file."""

    def __init__(self, secret: str, dialect: str) -> None:
        self.signer = Signer(dialects.load(dialect), Secret(secret.encode()))

    def __call__(self, example: Example) -> Delivery:
        """The example as a delivery, signed now."""
        dialect, now = self.signer.dialect, time.time()
        signed = self.signer.sign(dialect.timestamp(now), example.body(_digits(), now))
        if example.tampering is not None:
            signed = example.tampering(signed, self.signer)
        headers: dict[str, str | None] = {"Content-Type": "application/json"}
        for oddity in example.oddities:
            headers.update(oddity.headers)
        others = [(name, value) for name, value in headers.items() if value is not None]
        return Delivery((*others, *self._signature(signed)), signed.body)

    def _signature(self, signed: Signed) -> list[tuple[str, str]]:
        dialect = self.signer.dialect
        values = [
            (dialect.signature_header, value.decode("latin-1")) for value in signed.signatures
        ]
        if signed.timestamp is not None:
            values.insert(0, (dialect.timestamp_header, signed.timestamp.decode("latin-1")))
        return values
