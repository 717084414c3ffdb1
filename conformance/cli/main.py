"""The entry point of the command line: the group `hookproof` and its commands.

A command imports what it needs when it runs: `--help` must not pay for the engine.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import click

from conformance import __version__
from conformance.cli.check import check
from conformance.cli.demo import demo
from conformance.cli.load import judge_load, load
from conformance.cli.options import language
from conformance.cli.reference import options
from conformance.cli.rules import rules
from conformance.cli.selftest import selftest
from conformance.cli.serve import serve
from conformance.cli.trace import trace
from conformance.model.errors import InputError


class _Group(click.Group):
    """Reports a usage error as one line, in the language of --lang where it is ours, with status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as fault:
            message = fault.sentence.in_(language(ctx))
        except click.UsageError as fault:
            message = " ".join(fault.format_message().split())
        click.echo(f"hookproof: {message}", err=True)
        return ctx.exit(2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hookproof")
def main() -> None:
    """Judge webhooks of the WeChat-message protocol from outside."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape what the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    # Hypothesis builds some tables once. They belong in the user's cache, not in the working directory.
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", f"{caches}/hookproof/hypothesis")


for command in (check, demo, judge_load, load, options, rules, selftest, serve, trace):
    main.add_command(command)


if __name__ == "__main__":
    main()
