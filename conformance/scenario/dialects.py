"""Loads dialects from YAML files: the built-in ones by name, a user's own by path."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from conformance.model.errors import InputError
from conformance.model.sentence import Sentence
from conformance.protocol.dialect import Dialect, parse_template
from conformance.protocol.resources import PACKAGE
from conformance.protocol.validation import problems
from conformance.scenario import yaml_file

BUILT_IN = PACKAGE / "protocol" / "dialects"
SUFFIXES = (".yaml", ".yml")


def names() -> list[str]:
    """The names of the built-in dialects, sorted."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def load(name: str) -> Dialect:
    """The built-in dialect `name`, or the one in the file of that name.

    Raises InputError, naming the file and the line or key, when there is none or it is invalid.
    """
    if name in names():
        return read(BUILT_IN / f"{name}.yaml")
    if name.endswith(SUFFIXES) or "/" in name:
        return read(Path(name))
    near = get_close_matches(name, names(), n=1)
    known = Sentence("known: {names}", names=", ".join(names()))
    hint = Sentence("did you mean {name!r}?", name=near[0]) if near else known
    raise InputError(
        "--dialect: no dialect is called {name!r}; {hint} (or pass a .yaml file)",
        name=name,
        hint=hint,
    )


def read(path: Path) -> Dialect:
    """The dialect in the YAML file at `path`. Raises InputError."""
    data = yaml_file.read(path, "dialect")
    wrong = problems("dialect", data)
    if wrong:
        raise InputError(
            "{path}: {location}: {message}",
            path=str(path),
            location=wrong[0].path,
            message=wrong[0].message,
        )
    return Dialect(
        name=data["name"],
        title=data["title"],
        summary=data["summary"],
        timestamp_header=data["timestamp-header"],
        signature_header=data["signature-header"],
        parts=parse_template(data["string-to-sign"]),
        encoding=data["encoding"],
        timestamp_unit=data["timestamp-unit"],
        success=tuple(data["success"]),
        deadline=float(data["deadline"]),
    )
