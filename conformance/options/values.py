"""Reads the values of options: from the text of a command line, from Python, or from a file's data.

Every fault names the option as the command line calls it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from conformance.model.errors import InputError
from conformance.model.sentence import Sentence
from conformance.options.bounds import UNITS, read_number
from conformance.options.secrets import no_secret, read_secret
from conformance.options.table import Kind, Option, RunOptions, options
from conformance.options.urls import check_observer, check_url
from conformance.protocol.dialect import Dialect, Secret
from conformance.scenario import dialects

T = TypeVar("T", bound=RunOptions)

RESERVED = {"content-length", "transfer-encoding", "connection", "expect"}
ARGUMENTS = {"url": Sentence("the endpoint"), "api_url": Sentence("the API")}
"""What messages call the options that have no flag."""


def read(option: Option, value: object) -> Any:
    """The value of `option` in what a user wrote: text, or data of the right type; None is the default.
    One that may be repeated is an iterable, or a single text. Raises InputError."""
    if value is None:
        value = option.default
    if option.many:
        entries = (value,) if isinstance(value, str) or not isinstance(value, Iterable) else value
        return tuple(read_one(option, entry) for entry in entries)
    return None if value is None else read_one(option, value)


def read_one(option: Option, value: Any) -> Any:
    """One value of an option, be it repeated or not. Raises InputError."""
    if option.kind in _READERS:
        value = _READERS[option.kind](option, value)
    if option.kind in _CHECKS:
        _CHECKS[option.kind](option, value)
    return value


def read_options(record: type[T], values: Mapping[str, object], **fixed: Any) -> T:
    """A record of options with these `values`, by name. `fixed` are its fields that are not options.
    Raises InputError."""
    table = options(record)
    unknown = next((name for name in values if name not in table), None)
    if unknown is not None:
        near = get_close_matches(unknown, table, n=1)
        hint = Sentence("; did you mean {name}?", name=near[0]) if near else ""
        raise InputError("there is no option {name}{hint}", name=unknown, hint=hint)
    for name, option in table.items():
        if option.required and values.get(name) is None:
            raise InputError("{option}: it must be there", option=_title(option))
    make: Callable[..., T] = record
    return make(**{name: read(table[name], values.get(name)) for name in table}, **fixed)


def check(record: RunOptions) -> None:
    """Raises InputError for a value in `record` that cannot be used."""
    for name, option in options(type(record)).items():
        value = getattr(record, name)
        if option.kind in _CHECKS and value is not None:
            _CHECKS[option.kind](option, value)


def _title(option: Option) -> str | Sentence:
    return ARGUMENTS.get(option.name, f"--{option.flag}")


def _read_seed(option: Option, value: object) -> int:
    if value == "random":
        return random.SystemRandom().randrange(1, 2**31)
    return int(read_number(option, value))


def _read_secret(option: Option, value: str | bytes) -> Secret:
    return Secret(value) if isinstance(value, bytes) else read_secret(value, f"--{option.flag}")


def _read_header(option: Option, line: str) -> tuple[bytes, bytes]:
    """The header in `Name: value`. The fault never quotes the value: it is a secret."""
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not name or not name.isascii() or any(c in " \t\r\n" for c in name):
        raise InputError("--header: write it as 'Name: value'")
    if name.lower() in RESERVED:
        raise InputError("--header: {name} is set by the suite itself", name=name)
    if not value.isascii() or any(c in "\r\n\0" for c in value):
        raise InputError("--header: the value of {name} must be ASCII, on one line", name=name)
    return name.encode(), value.encode()


def _read_address(option: Option, text: str) -> tuple[str, int]:
    """The host and port in `HOST:PORT`."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port is None or f"//{text}" != f"//{parts.netloc}":
        raise InputError("--listen: {text!r} must be HOST:PORT, as in 0.0.0.0:8080", text=text)
    return host, port


def _read_dialect(option: Option, value: str | Dialect) -> Dialect:
    return value if isinstance(value, Dialect) else dialects.load(value)


def _check_secret(option: Option, secret: Secret) -> None:
    if not secret:
        raise no_secret(f"--{option.flag}")


def _check_command(option: Option, command: str) -> None:
    if not command.strip():
        raise InputError(
            "--{flag}: the command is empty; pass the one to run, or leave the option out",
            flag=option.flag,
        )


_READERS: dict[Kind, Callable[[Option, Any], Any]] = {
    **dict.fromkeys(UNITS, read_number),
    Kind.SEED: _read_seed,
    Kind.SECRET: _read_secret,
    Kind.HEADER: _read_header,
    Kind.ADDRESS: _read_address,
    Kind.DIALECT: _read_dialect,
    Kind.PATH: lambda _, path: Path(path),
}
"""How a value is read; others stay as they are."""

_CHECKS: dict[Kind, Callable[[Option, Any], object]] = {
    **dict.fromkeys(UNITS, read_number),
    Kind.SECRET: _check_secret,
    Kind.COMMAND: _check_command,
    Kind.URL: lambda option, url: check_url(_title(option), url),
    Kind.OBSERVER: lambda _, template: check_observer(template),
}
"""What is checked of a value, read or made in code."""
