"""The options that runs against both sides have in common."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from conformance.model.errors import InputError
from conformance.options.secrets import no_secret
from conformance.protocol.dialect import Dialect, Secret

EXAMPLES = Path(".hookproof", "examples")
"""Where failing examples are stored: in the working directory, like Hypothesis's own."""
FUZZ = 200
"""The default number of examples for each fuzz rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of a run against either side. `timeout` is in seconds, for the whole run.

    `fuzz` is the number of examples for each fuzz rule; `examples` is the folder for failing examples,
    which the next run tries first, or None.
    """

    secret: Secret
    dialect: Dialect
    rules: tuple[str, ...] = ()
    strict: bool = False
    seed: int = 1
    fuzz: int = FUZZ
    examples: Path | None = None
    concurrency: int = 16
    timeout: float = 120.0
    restart_command: str | None = None
    ca: Path | None = None
    scenarios: tuple[Path, ...] = ()
    scenario_files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not self.secret:
            raise no_secret()
        if self.concurrency < 1:
            raise InputError("--concurrency: must be at least 1")
        if self.fuzz < 0:
            raise InputError("--fuzz: must be at least 0, which turns it off")
        if not self.timeout > 0:
            raise InputError("--timeout: must be more than 0 seconds")


def read_seed(text: str) -> int:
    """The seed in `text`: a number, or `random` to draw one. Raises InputError."""
    if text == "random":
        return random.SystemRandom().randrange(1, 2**31)
    try:
        return int(text)
    except ValueError:
        raise InputError("--seed: {text!r} is neither a number nor `random`", text=text) from None
