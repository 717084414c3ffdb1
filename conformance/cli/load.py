"""`hookproof load`: load a receiver with Locust, and judge the run."""

from __future__ import annotations

import sys
from typing import Any

import click

from conformance.cli.options import FILE, LANGUAGE, VERIFYING_SECRET, dialect_option


@click.command("load", short_help="Load a receiver, and judge what it did.")
@click.argument("url")
@click.argument("locust", nargs=-1, type=click.UNPROCESSED)
@click.option("--secret", required=True, help=VERIFYING_SECRET)
@click.option("--users", default=50, show_default=True, help="Users at once.")
@click.option("--spawn-rate", default=50.0, show_default=True, help="Users to start per second.")
@click.option("--run-time", default="60s", show_default=True, help="As in 90s, 5m, 1h30m.")
@click.option(
    "--user-rate",
    type=float,
    help="Requests per second of each user; by default as fast as answers come.",
)
@click.option("--observer-url", metavar="TEMPLATE", help='With {msgId}; answers {"count": N}.')
@click.option(
    "--max-p99", type=float, metavar="SECONDS", help="Highest p99; by default the deadline."
)
@click.option("--max-fail-ratio", type=float, default=0.0, help="Share of requests that may fail.")
@click.option("--deadline", type=float, metavar="SECONDS", help="By default the dialect's: 5.")
@click.option("--mix", metavar="NAME=N,…", help="ordinary=7,repeats=1,forgeries=1,storms=1")
@dialect_option
@click.option("--seed", default="1", show_default=True, help="A number, or `random`.")
@click.option("--ca", type=FILE, help="Certificates to trust besides the system's.")
@click.option("--json", type=FILE, help="Write the verdict and the figures as JSON.")
@click.option("--html", type=FILE, help="Write them as one HTML file, with charts.")
@LANGUAGE
@click.option("--quiet", is_flag=True, help="Print only the verdict.")
def load(url: str, secret: str, locust: tuple[str, ...], **arguments: Any) -> None:
    """Load the receiver at URL with Locust, then report what was lost, processed twice, or wrongly
    accepted.

    Arguments after `--` go to Locust unchanged, as in `-- --processes 4 --csv figures`.
    """
    from conformance.load.launch import load as run_load
    from conformance.options.run import read_seed
    from conformance.reporting.files import Files
    from conformance.reporting.load import plain, write

    files = Files(json=arguments.pop("json"), html=arguments.pop("html"))
    files.check()
    quiet, seed = arguments.pop("quiet"), read_seed(arguments.pop("seed"))
    options = {name.replace("_", "-"): value for name, value in arguments.items()}
    options |= {
        "lang": arguments["lang"].code,
        "seed": seed,
        "progress": int(sys.stderr.isatty() and not quiet),
    }

    def print_progress(line: str) -> None:
        click.echo(line, err=True)

    report, status = run_load(url, secret, options, locust, print_progress)
    if report is not None:
        write(report, files)
        click.echo(plain(report, quiet=quiet), nl=False)
    sys.exit(status)
