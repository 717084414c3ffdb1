"""What a run is asked to do; validated here, once, for every face."""

from __future__ import annotations

import base64
import html
import os
import random
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from conformance.checks.leaks import is_telling
from conformance.dialect import Dialect, Secret
from conformance.errors import InputError
from conformance.exchange import Headers
from conformance.forms import in_json

PLACE = "{msgId}"
EMPTY = "--secret: the secret is empty; give the one that messages are signed with"
MASK = "(secret)"
SHORTEST_BEGINNING = 3
"""Characters of a secret that tell something of it."""
EXAMPLES = Path(".hookproof", "examples")
"""Where examples that failed are kept: in the working directory, as Hypothesis keeps its own."""
FUZZ = 200
"""Examples for each fuzz rule unless told otherwise."""
RESERVED = {"content-length", "transfer-encoding", "connection", "expect"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run against either side can be told. `timeout` is seconds for the whole run.

    `fuzz` is the number of examples for each fuzz rule; `examples` the folder in which those that
    failed are kept, to be tried first next time, or None.
    """

    secret: Secret
    dialect: Dialect
    rules: tuple[str, ...] = ()
    strict: bool = False
    seed: int = 1
    fuzz: int = FUZZ
    examples: Path | None = None
    concurrency: int = 16
    timeout: float = 120.0
    restart_command: str | None = None
    ca: Path | None = None
    scenarios: tuple[Path, ...] = ()
    scenario_files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not self.secret:
            raise InputError(EMPTY)
        if self.concurrency < 1:
            raise InputError("--concurrency: must be at least 1")
        if self.fuzz < 0:
            raise InputError("--fuzz: must be at least 0, which turns it off")
        if not self.timeout > 0:
            raise InputError("--timeout: must be more than 0 seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(RunOptions):
    """A run against a receiver. `headers` are secret."""

    url: str
    observer_url: str | None = None
    also_url: str | None = None
    headers: Headers = field(default=(), repr=False)

    @property
    def secure(self) -> bool:
        """Whether any of the URLs is https."""
        urls = (self.url, self.also_url or "", self.observer_url or "")
        return any(url.lower().startswith("https:") for url in urls)

    def __post_init__(self) -> None:
        RunOptions.__post_init__(self)
        check_url("the endpoint", self.url)
        if self.also_url is not None:
            check_url("--also-url", self.also_url)
        if self.observer_url is not None:
            check_observer(self.observer_url)


def check_url(what: str, url: str) -> None:
    """Raise InputError, naming `what`, for a URL that the suite cannot send to."""
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as fault:
        raise InputError(f"{what}: {url!r} is not a URL: {fault}") from None
    if parts.scheme not in ("http", "https"):
        raise InputError(f"{what}: {url!r} must start with http:// or https://")
    if not parts.hostname or not port_is_fine or any(c.isspace() or ord(c) < 32 for c in url):
        raise InputError(f"{what}: {url!r} is not a URL: it needs a host, and no blanks")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise InputError(f"{what}: {parts.hostname!r} is no host name that there can be") from None
    if parts.username is not None or parts.password is not None:
        raise InputError(
            f"{what}: a URL must not carry credentials; use --header 'Authorization: …'"
        )


def check_observer(template: str) -> None:
    """Raise InputError for an --observer-url that selects no message."""
    check_url("--observer-url", template.replace(PLACE, "0"))
    if PLACE not in template:
        raise InputError(
            f"--observer-url: {template} has no {PLACE}: put it where the id belongs, "
            "as in http://localhost:5000/processed?msgId={msgId}"
        )


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


def read_header(given: str) -> tuple[bytes, bytes]:
    """The header in `K: V`. Raises InputError without quoting the value, which is a secret."""
    name, colon, value = given.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not name or not name.isascii() or any(c in " \t\r\n" for c in name):
        raise InputError("--header: write it as 'Name: value'")
    if name.lower() in RESERVED:
        raise InputError(f"--header: {name} is the suite's own to set")
    if not value.isascii() or any(c in "\r\n\0" for c in value):
        raise InputError(f"--header: the value of {name} must be ASCII, on one line")
    return name.encode(), value.encode()


def read_seed(given: str) -> int:
    """The seed in `given`: a number, or `random` to draw one. Raises InputError."""
    if given == "random":
        return random.SystemRandom().randrange(1, 2**31)
    try:
        return int(given)
    except ValueError:
        raise InputError(f"--seed: {given!r} is neither a number nor `random`") from None


def spellings(options: Options) -> set[bytes]:
    """The secret and the given headers' values as they may come back: whole, in their parts, and
    decoded."""
    found = {bytes(options.secret)}
    for _, value in options.headers:
        found |= {value, *re.split(rb"[\s;,=]+", value)}
        if value.lower().startswith(b"basic "):
            with suppress(ValueError):
                found.add(base64.b64decode(value[6:]))
    return spelled(found)


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
