"""Libraries that only some need: asked for where they are used, and named when they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from conformance.errors import InputError


def extra(module: str, name: str) -> Any:
    """The library `module`, which the extra `name` installs. Raises InputError when it is missing."""
    try:
        return import_module(module)
    except ImportError:
        raise InputError(
            f"this needs {module.partition('.')[0]}: pip install 'hookproof[{name}]'"
        ) from None
