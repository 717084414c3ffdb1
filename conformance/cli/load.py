"""`hookproof load`: load a receiver with Locust, and judge the run."""

from __future__ import annotations

import sys
from typing import Any

import click

from conformance.cli.options import shared
from conformance.options.commands import LOAD


@click.command("load", params=shared(LOAD), short_help="Load a receiver, and judge what it did.")
@click.argument("locust", nargs=-1, type=click.UNPROCESSED)
def load(url: str, secret: str, locust: tuple[str, ...], **arguments: Any) -> None:
    """Load the receiver at URL with Locust, then report what was lost, processed twice, or wrongly
    accepted.

    Arguments after `--` go to Locust unchanged, as in `-- --processes 4 --csv figures`.
    """
    from conformance.load.launch import load as run_load
    from conformance.reporting.files import Files
    from conformance.reporting.load import plain, write

    files = Files(json=arguments.pop("json"), html=arguments.pop("html"))
    files.check()
    quiet = arguments.pop("quiet")
    options = {name.replace("_", "-"): value for name, value in arguments.items()}
    options |= {
        "lang": arguments["lang"].code,
        "progress": int(sys.stderr.isatty() and not quiet),
    }

    def print_progress(line: str) -> None:
        click.echo(line, err=True)

    report, status = run_load(url, secret, options, locust, print_progress)
    if report is not None:
        write(report, files)
        click.echo(plain(report, quiet=quiet), nl=False)
    sys.exit(status)
