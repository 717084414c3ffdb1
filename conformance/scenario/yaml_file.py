"""Reads YAML files written by hand: only values that JSON has too, and no key twice.

Knows files and lines, and must not know what a scenario or a dialect is.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from conformance.model.errors import InputError

# The C parser where PyYAML was built with it: start-up counts.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

LONGEST = 60
_STR, _FLOAT, _MERGE = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "float", "merge"))


def read(path: Path, kind: str) -> Any:
    """The content of the file at `path`; `kind` names it in messages, as in "scenario".

    Raises InputError, with the line where it is known, for a file that is not YAML, a key that occurs
    twice in one mapping or is not a string, and a number that is not finite.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(
            "{path}: the {kind} file cannot be read: {reason}",
            path=str(path),
            kind=kind,
            reason=str(fault),
        ) from None
    try:
        return _load(text, path)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise InputError(
            "{path}:{line}: not YAML: {reason}",
            path=str(path),
            line=line,
            reason=str(getattr(fault, "problem", fault)),
        ) from None
    except RecursionError:
        raise InputError(
            "{path}: not a {kind} file: nested too deeply", path=str(path), kind=kind
        ) from None
    except ValueError as fault:
        raise InputError(
            "{path}: not a {kind} file: {reason}",
            path=str(path),
            kind=kind,
            reason=type(fault).__name__,
        ) from None


def _load(text: str, path: Path) -> Any:
    loader = LOADER(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        # The nodes are checked, since the values constructed from them keep only the last of equal keys.
        for inner in _nodes(node):
            if isinstance(inner, yaml.MappingNode):
                _check_keys(inner, path)
            elif inner.tag == _FLOAT and not isfinite(loader.construct_yaml_float(inner)):
                raise InputError(
                    "{place}: {value} is not a finite number",
                    place=_place(path, inner),
                    value=_quote(inner),
                )
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """Every node once, however many aliases refer to it."""
    waiting, visited = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting += [value for _, value in reversed(node.value)]
        elif isinstance(node, yaml.SequenceNode):
            waiting += reversed(node.value)


def _check_keys(node: yaml.MappingNode, path: Path) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if key.tag not in (_STR, _MERGE):
            raise InputError(
                "{place}: the key {key} is not read as a string: put it in quotes",
                place=_place(path, key),
                key=_quote(key),
            )
        if key.value in lines:
            raise InputError(
                "{place}: the key {key} is already in line {line}: remove one of them",
                place=_place(path, key),
                key=_quote(key),
                line=lines[key.value],
            )
        lines[key.value] = key.start_mark.line + 1


def _place(path: Path, node: yaml.Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"


def _quote(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        return "of more than one value"
    return repr(node.value if len(node.value) <= LONGEST else f"{node.value[:LONGEST]}…")
