"""Hookproof: a conformance suite for the WeChat-message webhook protocol.

The names below are given lazily: importing `conformance` costs nothing, and a load test that
imports `conformance.protocol.dialect` does not pull in the asynchronous engine.
"""

import sys
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "check_receiver": "conformance.api",
    "check_receiver_sync": "conformance.api",
    "check_sender": "conformance.api",
    "check_sender_sync": "conformance.api",
    "Report": "conformance.api",
    "Trace": "conformance.trace",
    "charts": "conformance.reporting.charts",
    "Target": "conformance.pytest_plugin.target",
    "SenderTarget": "conformance.pytest_plugin.target",
}

__all__ = [
    "Report",
    "SenderTarget",
    "Target",
    "check_receiver",
    "check_receiver_sync",
    "check_sender",
    "check_sender_sync",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        home = import_module(_HOMES[name])
        return home if _HOMES[name].endswith(f".{name}") else getattr(home, name)
    raise AttributeError(f"module 'conformance' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


def _register_displays() -> None:
    """Let a notebook show reports and traces. IPython is not imported to find out whether one runs."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_ipython() if get_ipython is not None else None
    if shell is not None:
        import_module("conformance.reporting.notebook.displays").register(shell)


_register_displays()
