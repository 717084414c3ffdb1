"""What pytest's command line says of the targets, validated before anything is collected.

Collection pays for this module, so it knows nothing of the engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from conformance.model.errors import InputError
from conformance.options.receiver import Options
from conformance.options.sender import SenderOptions
from conformance.options.table import Option, RunOptions, options, pytest_options
from conformance.options.values import read, read_options
from conformance.pytest_plugin.target import SenderTarget, Target
from conformance.scenario.load import built_in, select
from hookproof_pytest import SEED, SHORT

TARGETS: dict[str, type[Target]] = {"receiver": Target, "sender": SenderTarget}
"""Side → what its fixture returns."""

COMMON = {name for name, option in options(RunOptions).items() if not option.target}
"""The options that are about a run, whatever its target."""


def values(config: pytest.Config) -> dict[str, Any]:
    """The options on the command line, by their names in the table."""
    found = {
        name: getattr(config.option, declared.dest) for name, declared in pytest_options().items()
    }
    return {name: value for name, value in found.items() if value not in (None, False)}


def written(config: pytest.Config, option: Option) -> str:
    """An option as pytest's command line spells it."""
    return option.brief if option.brief in config.stash[SHORT] else option.long


def message(config: pytest.Config, fault: InputError) -> str:
    """A fault with the options named as pytest spells them."""
    names = {f"--{option.flag}": written(config, option) for option in pytest_options().values()}
    return re.sub(r"(?<!\S)--[a-z][a-z-]*", lambda word: names.get(word[0], word[0]), str(fault))


def target_option(config: pytest.Config, side: str) -> Target | None:
    """The target of the side's URL on the command line; None without one."""
    kind = TARGETS[side]
    own = options(kind.TABLE).keys() - COMMON
    found = {name: value for name, value in values(config).items() if name in own}
    if kind.URL not in found:
        return None
    return kind(url=found.pop(kind.URL), **found)


def run_options(
    config: pytest.Config, target: Target, more: Mapping[str, Any], **fixed: Any
) -> RunOptions:
    """The options of a run against `target`: its own and those of the command line; `more` replaces them, and
    `fixed` are fields that are not options. Raises InputError."""
    record = SenderOptions if isinstance(target, SenderTarget) else Options
    common = {name: value for name, value in values(config).items() if name in COMMON}
    return read_options(
        record, {**common, "seed": config.stash.get(SEED, 1), **target.values, **more}, **fixed
    )


def check(config: pytest.Config) -> None:
    """Validate the command line, and keep the seed. Raises UsageError."""
    found, table = values(config), pytest_options()
    try:
        if "seed" in found:
            config.stash[SEED] = read(table["seed"], found["seed"])
        for name in COMMON & found.keys():
            read(table[name], found[name])
        select([*built_in("receiver"), *built_in("sender")], found.get("rules", ()))
        if "trace" in found:
            from conformance.reporting.files import Files

            Files(trace=read(table["trace"], found["trace"])).check()
        _check_targets(config, found)
        for side in TARGETS:
            target = target_option(config, side)
            if target is not None:
                run_options(config, target, {})
    except InputError as fault:
        raise pytest.UsageError(message(config, fault)) from None


def _check_targets(config: pytest.Config, found: Mapping[str, Any]) -> None:
    """Raises UsageError for a target without a secret, and for what describes a target that is missing."""
    table = pytest_options()
    urls = {side: table[kind.URL] for side, kind in TARGETS.items()}
    for side, kind in TARGETS.items():
        if kind.URL in found:
            if "secret" not in found:
                raise pytest.UsageError(
                    f"{written(config, urls[side])}: needs {written(config, table['secret'])} too: "
                    "the secret itself, env:NAME or file:PATH"
                )
            continue
        own = options(kind.TABLE).keys() - options(RunOptions)
        for name in sorted(own & found.keys()):
            raise pytest.UsageError(
                f"{written(config, table[name])}: needs {written(config, urls[side])} URL too"
            )
    if not any(kind.URL in found for kind in TARGETS.values()):
        for name in sorted(found.keys() & (options(RunOptions).keys() - COMMON)):
            either = " URL or ".join(written(config, url) for url in urls.values())
            raise pytest.UsageError(f"{written(config, table[name])}: needs {either} URL too")
