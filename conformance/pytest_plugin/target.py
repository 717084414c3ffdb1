"""What the modules of the pytest face share, and what a user's conftest.py needs. Cheap to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

LINES = pytest.StashKey[list[str]]()
"""What the terminal summary tells: notes, and a line for each run."""
SEED = pytest.StashKey[int]()


class HookproofWarning(UserWarning):
    """A receiver breaks a rule of level SHOULD: the item passes, with this warning."""


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver under test, as the fixture `hookproof_receiver` returns it.

    `secret` is what it verifies with; a str may also be `env:NAME` or `file:PATH`. `dialect` is a
    name or a YAML file; `observer_url` a template with `{msgId}` whose GET answers `{"count": N}`;
    `also_url` another instance of the same service; `restart_command` a shell command that kills
    the receiver hard and starts it again; `headers` are lines `Name: value` sent with every request
    and recorded nowhere; `ca` a file of certificates to trust beside the system's. `called` stands
    for the URL in the summary.
    """

    url: str
    secret: str | bytes = field(repr=False)
    dialect: str = "guide"
    observer_url: str | None = None
    also_url: str | None = None
    restart_command: str | None = None
    headers: tuple[str, ...] = field(default=(), repr=False)
    ca: Path | None = None
    called: str | None = None
