"""The signing schemes that a peer may turn out to use, and how to describe them.

Pure. A scheme is a dialect, and what an implementation does to secret and body before it signs. The
schemes are the known dialects and the mistakes that implementations often make.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from conformance.model.sentence import Sentence, verbatim
from conformance.protocol.dialect import Dialect, Secret, parse_template, verify
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.signing import Signer

_TEMPLATES = {
    "{timestamp}{body}": Sentence("timestamp and body without a separator"),
    "{timestamp}.{body}": Sentence("timestamp, a dot and the body"),
    "{timestamp}:{body}": Sentence("timestamp, a colon and the body"),
    "{timestamp}\n{body}": Sentence("timestamp, a newline and the body"),
    "{body}": Sentence("the body alone, without the timestamp"),
    "{body}{timestamp}": Sentence("the body first, then the timestamp"),
    "{body}:{timestamp}": Sentence("the body first, a colon, the timestamp"),
}

REWRITTEN = {
    "compact": Sentence("JSON written again without spaces (as JSON.stringify writes it)"),
    "spaced": Sentence("JSON written again with spaces after commas and colons"),
    "spaced-ascii": Sentence(
        "JSON written again with spaces and \\uXXXX escapes (Python's json.dumps by default)"
    ),
    "ascii-only": Sentence(
        "JSON written again with \\uXXXX escapes for everything that is not ASCII"
    ),
    "html-escaped": Sentence(
        "JSON written again with <, > and & escaped (as Go's encoder writes it)"
    ),
    "ascii-slash-escaped": Sentence(
        "JSON written again with \\uXXXX and \\/ escapes (as PHP's json_encode writes it)"
    ),
    "sorted-keys": Sentence("JSON written again with its keys sorted"),
    "sorted-html-escaped": Sentence(
        "JSON written again with its keys sorted and <, > and & escaped (as Go writes a map)"
    ),
}
"""encoding → how to describe a receiver that checks the signature over that encoding."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way of signing: a signer, and the encoding in which the body is rewritten before signing (None:
    the bytes as sent). `description` says what the peer signs; empty for the requested scheme. `decoded`
    is what the secret is decoded from first (a key of SECRETS); None when it is used as it is."""

    signer: Signer
    rewritten: str | None
    description: Sentence
    decoded: str | None = None


def others(requested: Signer, known: Iterable[Dialect]) -> Iterator[Scheme]:
    """The schemes to try when `requested` is refused, the likeliest first and each only once."""
    dialects = [dialect for dialect in known if dialect.name != requested.dialect.name]
    for dialect in dialects:
        yield Scheme(replace(requested, dialect=dialect), None, describe_dialect(dialect))
    for encoding, description in REWRITTEN.items():
        for dialect in (requested.dialect, *dialects):
            yield Scheme(replace(requested, dialect=dialect), encoding, description)
    templates = list(_with_other_templates(requested.dialect, dialects))
    for dialect in templates:
        yield Scheme(replace(requested, dialect=dialect), None, describe_dialect(dialect))
    for dialect in (requested.dialect, *dialects, *templates):
        yield from _with_other_texts(requested, dialect)


def fitting(
    schemes: Iterable[Scheme],
    body: bytes,
    presented: Callable[[Dialect], tuple[bytes, bytes] | None],
) -> Scheme | None:
    """The first of `schemes` in which a request with this body is signed. `presented` finds the timestamp and
    the signature that it carries for a dialect; None where there are none."""
    texts: dict[str | None, bytes | None] = {None: body}
    for scheme in schemes:
        signer = scheme.signer
        if scheme.rewritten not in texts:
            texts[scheme.rewritten] = _written_again(body, scheme.rewritten or "")
        text, parts = texts[scheme.rewritten], presented(signer.dialect)
        if text is None or parts is None:
            continue
        if verify(signer.dialect, signer.secret, parts[0], text, parts[1]):
            return scheme
    return None


def _written_again(body: bytes, encoding: str) -> bytes | None:
    try:
        return ENCODINGS[encoding](json.loads(body))
    except (ValueError, RecursionError, KeyError):  # not JSON, or a lone surrogate in it
        return None


def _with_other_templates(requested: Dialect, dialects: Iterable[Dialect]) -> Iterator[Dialect]:
    """`requested` with each common string to sign that no dialect with the same headers covers."""
    headers = (requested.timestamp_header, requested.signature_header)
    covered = {
        dialect.string_to_sign
        for dialect in (requested, *dialects)
        if (dialect.timestamp_header, dialect.signature_header) == headers
    }
    for template in _TEMPLATES:
        if template not in covered:
            yield replace(requested, name=template, parts=parse_template(template))


def _with_other_texts(requested: Signer, dialect: Dialect) -> Iterator[Scheme]:
    """`dialect` with the digest in the other encoding, and with a secret that is decoded first."""
    description = describe_dialect(dialect)
    encoding = "base64" if requested.dialect.encoding == "hex" else "hex"
    other = replace(dialect, name=f"{dialect.name} in {encoding}", encoding=encoding)
    note = Sentence(", with the digest in {encoding}", encoding=encoding)
    yield Scheme(replace(requested, dialect=other), None, description + note)
    for source, decode in SECRETS.items():
        key = decode(requested.secret)
        if key is not None:
            note = Sentence(", with the secret decoded from {source} first", source=source)
            yield Scheme(Signer(dialect, Secret(key)), None, description + note, source)


def describe_dialect(dialect: Dialect) -> Sentence:
    """What a dialect signs, in words."""
    plain = verbatim(dialect.summary)
    return _TEMPLATES.get(dialect.string_to_sign, plain)


def _unhex(secret: bytes) -> bytes | None:
    try:
        return bytes.fromhex(secret.decode("ascii"))
    except ValueError:
        return None


def _unbase64(secret: bytes) -> bytes | None:
    try:
        return base64.b64decode(secret + b"=" * (-len(secret) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None


SECRETS: dict[str, Callable[[bytes], bytes | None]] = {"hex": _unhex, "Base64": _unbase64}
"""what a secret may be decoded from → the decoder, which returns None for any other text."""
