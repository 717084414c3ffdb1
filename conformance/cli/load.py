"""`hookproof load`: load a receiver with Locust, and judge the run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from conformance.cli.check import judge_side
from conformance.cli.options import LANGUAGE_KEY, report_files, shared
from conformance.options.commands import LOAD

_INTERVAL = 5.0
"""Seconds between two lines of progress."""


@click.command("load", params=shared(LOAD), short_help="Load a receiver, and judge what it did.")
@click.argument("locust", nargs=-1, type=click.UNPROCESSED)
def load(url: str, secret: str, locust: tuple[str, ...], **arguments: Any) -> None:
    """Load the receiver at URL with Locust, then report what was lost, processed twice, or wrongly
    accepted.

    Arguments after `--` go to Locust unchanged, as in `-- --processes 4 --csv figures`.
    """
    from conformance.load.launch import become_locust

    report_files(arguments)
    for name in ("json", "junit", "html", "trace"):
        arguments[f"verdict-{name}"] = arguments.pop(name)
    arguments |= {
        "lang": arguments["lang"].code,
        "progress": int(sys.stderr.isatty() and not arguments["quiet"]),
        **{name: int(arguments[name]) for name in ("strict", "redact", "quiet")},
    }
    options = {name.replace("_", "-"): value for name, value in arguments.items()}
    become_locust(url, secret, options, locust)


@click.command("judge-load", hidden=True)
@click.option("--ready", type=int, required=True)
@click.pass_context
def judge_load(context: click.Context, ready: int) -> None:
    """Judge a load that Locust runs. Started by its process; see conformance/load/handover.py."""
    from conformance.engine.events import ignore
    from conformance.load.handover import generate, read_options
    from conformance.load.settings import read
    from conformance.load.side import LoadSide
    from conformance.reporting import languages

    host, options = read_options()
    language = context.meta[LANGUAGE_KEY] = languages.load(options["lang"])
    paths = {name: options[f"verdict_{name}"] for name in ("json", "junit", "html", "trace")}
    files = {name: Path(path) if path else None for name, path in paths.items()}
    show = _print_asked() if options["progress"] else (lambda asked, messages: None)
    flags = {name: bool(options[name]) for name in ("redact", "quiet")}
    side = LoadSide(read(host, options), partial(generate, ready), show)
    judge_side(side, files | flags | {"lang": language}, ignore)


def _print_asked() -> Callable[[int, int], None]:
    """A function that prints now and then how many effects have been asked about."""
    due = perf_counter() + _INTERVAL

    def show(asked: int, messages: int) -> None:
        nonlocal due
        if perf_counter() > due:
            due += _INTERVAL
            click.echo(f"hookproof: asked about {asked:,} of {messages:,} messages", err=True)

    return show
