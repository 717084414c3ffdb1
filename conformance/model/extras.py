"""Imports modules that need an optional library, and says which extra is missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from conformance.model.errors import InputError


def extra(module: str, name: str) -> Any:
    """The module `module`, whose dependencies the extra `name` installs. Raises InputError when one of
    them is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        raise InputError(
            "this needs {missing}: pip install 'hookproof[{name}]'",
            missing=str(missing.name),
            name=name,
        ) from None
