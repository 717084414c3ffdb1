"""Modules that rest on a library which only some need: asked for late, and told what is missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from conformance.model.errors import InputError


def extra(module: str, name: str) -> Any:
    """The module `module`, for which the extra `name` installs what it needs. Raises InputError when
    that is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        raise InputError(f"this needs {missing.name}: pip install 'hookproof[{name}]'") from None
