"""Locates the files that ship with Hookproof: schemas, scenarios and the locustfile.

They are at the top of a checkout, where people look for them, and inside the package in a wheel.
"""

from functools import cache
from pathlib import Path

from conformance.model.errors import InputError

PACKAGE = Path(__file__).resolve().parent.parent


@cache
def folder(name: str) -> Path:
    """The folder `name` ("schemas" or "scenarios"), from the wheel or from the checkout."""
    for place in (PACKAGE / name, PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise InputError(
        "the folder {name}/ is missing from this installation: install hookproof again", name=name
    )


def locustfile() -> Path:
    """The locustfile, from the wheel or from the checkout."""
    for place in (PACKAGE / "locustfile.py", PACKAGE.parent / "locustfile.py"):
        if place.is_file():
            return place
    raise InputError("locustfile.py is missing from this installation: install hookproof again")
