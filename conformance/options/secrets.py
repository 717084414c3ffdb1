"""Secrets: reads them from options, knows the spellings in which a peer may send one back, and masks them.

Masking never asks whether a secret is worth hiding; whether a match may be chance is for the check that
accuses a peer (`checks/disclosure.py`).
"""

from __future__ import annotations

import base64
import hmac
import html
import json
import os
import re
import stat
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from conformance.model.errors import InputError
from conformance.protocol.dialect import Secret

MASK = b"(secret)"
LARGEST = 64 * 1024
"""The most bytes that are read from the file of a secret."""
SHORT = 8
"""A secret of fewer bytes may occur by chance in whatever is signed."""
SHORTEST_BEGINNING = 3
"""The fewest characters that reveal something about a secret."""


def read_secret(text: str, option: str = "--secret") -> Secret:
    """The secret that `text` stands for: itself, `env:NAME` or `file:PATH`. Raises InputError, also for a
    path that is not a regular file and for a file of more than LARGEST bytes."""
    if text.startswith("env:"):
        name = text.removeprefix("env:")
        if name not in os.environ:
            raise InputError(
                "{option}: the environment variable {name} is not set", option=option, name=name
            )
        value = os.environ[name].encode("utf-8", "surrogateescape")
    elif text.startswith("file:"):
        # An editor adds a newline at the end, which is not part of the secret.
        content = _read_file(text.removeprefix("file:"), option)
        value = content.removesuffix(b"\n").removesuffix(b"\r")
    else:
        value = text.encode("utf-8", "surrogateescape")
    if not value:
        raise no_secret(option)
    return Secret(value)


def _read_file(path: str, option: str) -> bytes:
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # reading a FIFO or a device may never end
            raise InputError(
                "{option}: {path} is not a regular file; pass the path of one that holds the secret",
                option=option,
                path=path,
            )
        with Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as fault:  # ValueError: a null byte in the path
        raise InputError(
            "{option}: {path} cannot be read: {reason}",
            option=option,
            path=path,
            reason=str(getattr(fault, "strerror", fault)),
        ) from None
    if len(content) > LARGEST:
        raise InputError(
            "{option}: {path} is larger than {limit:,} bytes; pass a file that holds only the secret",
            option=option,
            path=path,
            limit=LARGEST,
        )
    return content


def no_secret(option: str = "--secret") -> InputError:
    """The fault of an empty secret."""
    return InputError(
        "{option}: the secret is empty; pass the one that messages are signed with", option=option
    )


def other_secret(secret: Secret) -> Secret:
    """The secret of a case's other endpoint, derived from that of the first: the same in every run, and
    useless for finding the user's own."""
    return Secret(hmac.digest(secret, b"another", "sha256").hex().encode())


def header_secrets(value: bytes) -> set[bytes]:
    """What is secret in the value of a header: all of it, the credentials after a scheme (`Bearer`), the
    values of parameters and cookies, and the user and password of `Basic`."""
    scheme, _, credentials = value.partition(b" ")
    secrets = {value, credentials, *re.findall(rb'=\s*"?([^\s;,="]+)', value)}
    if scheme.lower() == b"basic":
        with suppress(ValueError):
            login = base64.b64decode(credentials)
            secrets |= {login, login.partition(b":")[2]}
    return secrets - {b""}


class Match(NamedTuple):
    """A secret in a text, from `begin` to `end`. `spelling` is what was there, without its escapes."""

    begin: int
    end: int
    spelling: bytes


class Mask:
    """Finds secrets in bytes and in texts, and replaces them by MASK: `own`, with which the target signs or
    verifies, and `others`. An empty one counts for nothing.

    A secret is found in any ASCII case, reversed, in UTF-16, in hex, within Base64 and Base32 at every
    alignment, and with escapes of percent-encoding, HTML and JSON for some or all of its characters, also one
    in another.
    Cost: some 30 searches for fixed bytes, and one pass per level of escapes.
    """

    def __init__(self, own: bytes, *others: bytes) -> None:
        self.own = own
        self.secrets = frozenset({own, *others}) - {b""}
        unique = {spelling for secret in self.secrets for spelling in _spellings(secret)}
        self._spellings = sorted(unique, key=lambda each: len(each.core), reverse=True)
        self.longest = 6 * max(map(len, self.secrets), default=0)
        """How many bytes beyond a cut must be available, so that no secret is cut in two."""
        self.covers_own_words = any(len(secret) < SHORT for secret in self.secrets)
        """Whether it may hide what the suite itself signs, so that the trace cannot be judged again."""

    def __call__(self, value: bytes) -> bytes:
        """`value` with MASK in place of each secret. A MASK in it stays, whatever the secret is."""
        if MASK in value:
            return MASK.join(map(self, value.split(MASK)))
        kept, end = [], 0
        for match in _merged(self.matches(value)):
            kept.append(value[end : match[0]])
            end = match[1]
        return MASK.join([*kept, value[end:]]) if kept else value

    def matches(self, value: bytes) -> list[Match]:
        """Every place where a secret is, in no order. They may overlap."""
        return [
            Match(*original(*match.span()), match[0])
            for level, original in _levels(value)
            for match in self._in_level(level)
        ]

    def _in_level(self, level: bytes) -> Iterator[re.Match[bytes]]:
        lower = level.lower()
        for spelling in self._spellings:
            if spelling.core in lower:
                yield from re.finditer(spelling.pattern, level if spelling.cased else lower)

    def beginning(self, value: bytes, size: int) -> bytes:
        """The first `size` bytes of `value`, masked. A secret that straddles the cut is masked as a
        whole."""
        value = value[: size + self.longest]
        straddling = (match.end for match in self.matches(value) if match.begin < size)
        return self(value[: max(size, *straddling, 0)])

    def text(self, text: str) -> str:
        """`text` with MASK in place of each secret, and of the beginning of one that a `…` cuts off."""
        value = text.encode("utf-8", "surrogatepass")
        *cut, last = self(value).split(_CUT)
        masked = _CUT.join([*map(self._without_beginning, cut), last])
        return text if masked == value else masked.decode("utf-8", "replace")

    def _without_beginning(self, value: bytes) -> bytes:
        """`value` with MASK in place of the longest beginning of a secret at its end."""
        begins = [len(value)]
        for level, original in _levels(value):
            lower = level.lower()
            for core in (spelling.core for spelling in self._spellings):
                sizes = range(min(len(core), len(lower)), SHORTEST_BEGINNING - 1, -1)
                size = next((size for size in sizes if lower.endswith(core[:size])), 0)
                if size:
                    begins.append(original(len(lower) - size, len(lower))[0])
        return value[: min(begins)] + MASK if len(begins) > 1 else value


mask_of = lru_cache(maxsize=16)(Mask)
"""The `Mask` of some secrets, made only once."""


def _merged(matches: Iterable[Match]) -> list[tuple[int, int]]:
    """The begin and end of what the matches cover, in order, with none that touches another."""
    merged: list[tuple[int, int]] = []
    for begin, end, _ in sorted(matches):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged


class _Spelling(NamedTuple):
    """One way to write a secret, apart from escapes: a regular expression, for text in lower case unless it
    is `cased`, and the fixed bytes in it, in lower case: searching for these first is what makes it fast."""

    core: bytes
    pattern: bytes
    cased: bool = False


def _spellings(secret: bytes) -> Iterator[_Spelling]:
    for variant in {*_variants(secret), secret.hex().encode()} - {b""}:
        yield _Spelling(variant.lower(), re.escape(variant.lower()))
    yield from _embedded(secret, base64.b64encode, _BASE64, 3)
    yield from _embedded(secret, base64.urlsafe_b64encode, _URLSAFE, 3)
    for spelling in _embedded(secret, base64.b32encode, _BASE32, 5):
        yield spelling._replace(pattern=b"(?i:%b)" % spelling.pattern)


def _variants(secret: bytes) -> set[bytes]:
    """The secret as a text may contain it: its letters in another case (those beyond ASCII all upper or all
    lower), without the white space around it, with + for spaces, reversed, through Latin-1, and in UTF-16."""
    text = secret.decode("utf-8", "replace")
    texts = {text, text.lower(), text.upper(), text.strip(), text.replace(" ", "+")}
    latin = secret.decode("latin-1")
    texts |= {each[::-1] for each in texts} | {latin}
    wide = (text.encode(form, "surrogatepass") for form in ("utf-16-le", "utf-16-be"))
    variants = {secret, secret[::-1], *wide}
    variants |= {each.encode("utf-8", "surrogatepass") for each in texts}
    # As in the repr of a header, in which \x87 counts as a byte.
    variants.add(b"".join(c.encode() if c.isprintable() else c.encode("latin-1") for c in latin))
    with suppress(UnicodeEncodeError):
        variants.add(text.encode("latin-1"))
    return variants


_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URLSAFE = _BASE64.replace(b"+/", b"-_")
_BASE32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def _embedded(
    secret: bytes, encode: Callable[[bytes], bytes], alphabet: bytes, group: int
) -> Iterator[_Spelling]:
    """The secret within something longer, encoded in groups of so many bytes. Characters that also hold bits
    of its neighbours, which nobody knows, are matched by the bits that are known."""
    for before in range(group):
        after = -(before + len(secret)) % group
        low, high = (encode(fill * before + secret + fill * after) for fill in (b"\0", b"\xff"))
        pairs = list(zip(low, high, strict=True))
        core = bytes(one for one, other in pairs if one == other)
        pattern = b"".join(_character(one, other, alphabet) for one, other in pairs)
        yield _Spelling(core.lower(), pattern, cased=True)


@lru_cache(maxsize=1024)
def _character(low: int, high: int, alphabet: bytes) -> bytes:
    """What matches every character of `alphabet` with the bits that `low` and `high` have in common."""
    if low == high:
        return re.escape(bytes([low]))
    first, unknown = alphabet.index(low), alphabet.index(low) ^ alphabet.index(high)
    if unknown == len(alphabet) - 1:
        return b""
    fitting = (char for place, char in enumerate(alphabet) if place & ~unknown == first)
    return b"[%b]" % re.escape(bytes(fitting))


_CUT = "…".encode()
_LEVELS = 3
"""How many escapes within one another are undone."""
_HEX = rb"[0-9A-Fa-f]"
_ESCAPE = re.compile(
    rb"%HH|&#?[0-9A-Za-z]{1,31};?|\\u[dD][89abAB]HH\\u[dD][c-fC-F]HH|\\uHHHH|\\xHH"
    rb"|\\[\"'/\\bfnrt]".replace(b"H", _HEX)
)
_BACKSLASHED = dict(zip(b"bfnrt", b"\b\f\n\r\t", strict=True))

_Original = Callable[[int, int], tuple[int, int]]


def _levels(value: bytes) -> Iterator[tuple[bytes, _Original]]:
    """`value` as it is, then with its escapes undone, then with the escapes in that undone, and so on; each
    with a function from a begin and an end to those in `value`."""
    outer: tuple[bytes, ...] = ()
    yield value, partial(_original, outer)
    while len(outer) < _LEVELS and any(mark in value for mark in (b"%", b"&", b"\\")):
        unescaped = _ESCAPE.sub(lambda escape: _character_of(escape[0]), value)
        if unescaped == value:
            return
        outer, value = (*outer, value), unescaped
        yield value, partial(_original, outer)


def _original(outer: tuple[bytes, ...], begin: int, end: int) -> tuple[int, int]:
    for value in reversed(outer):
        origins = _origins(value)
        begin, last = origins[begin], origins[end - 1]
        end = origins[bisect_right(origins, last)]  # where the byte, or the escape, at `last` ends
    return begin, end


@lru_cache(maxsize=_LEVELS)
def _origins(value: bytes) -> array[int]:
    """For each byte of `value` with its escapes undone, where it began in `value`, and the size of that."""
    origins, end = array("q"), 0
    for escape in _ESCAPE.finditer(value):
        origins.extend(range(end, escape.start()))
        origins.extend([escape.start()] * len(_character_of(escape[0])))
        end = escape.end()
    origins.extend(range(end, len(value) + 1))
    return origins


@lru_cache(maxsize=4096)
def _character_of(escape: bytes) -> bytes:
    """What an escape stands for; an unknown name in HTML stands for itself."""
    if escape[:1] == b"&":
        return html.unescape(escape.decode()).encode("utf-8", "surrogatepass")
    if escape[:1] == b"%" or escape[1:2] == b"x":
        return bytes.fromhex(escape[-2:].decode())
    if escape[1:2] == b"u":
        text: str = json.loads(b'"%b"' % escape)
        return text.encode("utf-8", "surrogatepass")
    return bytes([_BACKSLASHED.get(escape[1], escape[1])])
