"""Hookproof: a conformance suite for the WeChat-message webhook protocol.

The names below are imported on first use: importing `conformance` costs nothing, and a load test that
imports `conformance.protocol.dialect` does not pull in the asynchronous engine.
"""

import sys
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULES = {
    "check_receiver": "conformance.api",
    "check_receiver_sync": "conformance.api",
    "check_sender": "conformance.api",
    "check_sender_sync": "conformance.api",
    "Report": "conformance.api",
    "Trace": "conformance.trace",
    "charts": "conformance.reporting.notebook.charts",
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
    if name in _MODULES:
        module = import_module(_MODULES[name])
        return module if _MODULES[name].endswith(f".{name}") else getattr(module, name)
    raise AttributeError(f"module 'conformance' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])


def _register_displays() -> None:
    """Let a running notebook show reports and traces. Never imports IPython itself."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_ipython() if get_ipython is not None else None
    if shell is not None:
        import_module("conformance.reporting.notebook.displays").register(shell)


_register_displays()
