"""The targets that a user's conftest.py returns, and the stash keys of the plugin. Cheap to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

LINES = pytest.StashKey[list[str]]()
"""The lines of the terminal summary: notes, and lines about each run."""
SEED = pytest.StashKey[int]()


class HookproofWarning(UserWarning):
    """A target breaks a rule of level SHOULD: the item passes with this warning."""


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver under test, as the fixture `hookproof_receiver` returns it.

    `secret` is what it verifies with; a str may also be `env:NAME` or `file:PATH`. `dialect` is a
    name or a YAML file; `observer_url` a template with `{msgId}` whose GET answers `{"count": N}`;
    `also_url` another instance of the same service; `restart_command` a shell command that kills
    the receiver hard and starts it again; `headers` are lines `Name: value` sent with every request
    and recorded nowhere; `ca` a file of certificates to trust besides the system's. `called` replaces
    the URL in the summary.
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


@dataclass(frozen=True, slots=True)
class SenderTarget:
    """A sender under test, as the fixture `hookproof_sender` returns it.

    `url` is the base of its Config, List, Test and Update; `secret` is what it signs with; a str
    may also be `env:NAME` or `file:PATH`. `emit_url` takes one message event as JSON, `emit_command`
    on its standard input; `restart_command` kills the sender hard and starts it again; `api_key` is
    sent as `?key=`. The mock receiver listens on `listen`, and `public_url` is how the sender reaches
    it. The rest is as for `Target`.
    """

    url: str
    secret: str | bytes = field(repr=False)
    dialect: str = "guide"
    emit_url: str | None = None
    emit_command: str | None = None
    restart_command: str | None = None
    api_key: str | None = field(default=None, repr=False)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    listen: str = "127.0.0.1:0"
    public_url: str | None = None
    ca: Path | None = None
    called: str | None = None
