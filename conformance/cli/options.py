"""Options that several commands share: their declarations, and the values that a run takes from them.

Knows nothing of what a command does with them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conformance.model.language import ENGLISH, LANGUAGES, Language
from conformance.reporting import languages

if TYPE_CHECKING:
    from conformance.reporting.files import Files

FILE = click.Path(path_type=Path)
PORT = click.IntRange(0, 65535)

VERIFYING_SECRET = "What it verifies with; or env:NAME, file:PATH."  # noqa: S105 - a help text

Command = Callable[..., None]

LANGUAGE_KEY = f"{__name__}.language"
"""The key of --lang in a context's `meta`, which the whole command line shares."""


def _read_language(context: click.Context, _: click.Parameter, code: str) -> Language:
    language = languages.load(code)
    context.meta[LANGUAGE_KEY] = language
    return language


LANGUAGE = click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default=ENGLISH.code,
    callback=_read_language,
    is_eager=True,  # what is wrong with the other options is reported in this language
    help="Language of texts.",
)
"""The option --lang, whose value is a Language."""


def report_options(command: Command) -> Command:
    """Add the options of every command that ends in a report."""
    for option in (
        click.option("--quiet", is_flag=True, help="Print only the verdict."),
        LANGUAGE,
        click.option("--redact", is_flag=True, help="Keep contents and names out of the trace."),
        click.option("--trace", type=FILE, help="Write every exchange to this SQLite file."),
        click.option("--html", type=FILE, help="Write the report as one HTML file."),
        click.option("--junit", type=FILE, help="Write the report as JUnit XML."),
        click.option("--json", type=FILE, help="Write the report as JSON."),
    ):
        command = option(command)
    return command


def report_files(arguments: dict[str, Any]) -> Files:
    """The files that `report_options` asked for. Raises InputError for one that cannot be written."""
    from conformance.reporting.files import Files

    names = ("json", "junit", "html", "trace", "redact")
    files = Files(**{name: arguments[name] for name in names})
    files.check()
    return files


def run_options(command: Command) -> Command:
    """Add the options of both `check` commands."""
    for option in (
        click.option(
            "--scenarios", multiple=True, type=FILE, metavar="DIR", help="Your own scenarios."
        ),
        click.option("--ca", type=FILE, help="Certificates to trust besides the system's."),
        click.option(
            "--timeout", default=120.0, show_default=True, help="Seconds for the whole run."
        ),
        click.option("--concurrency", default=16, show_default=True, help="Requests in flight."),
        click.option("--seed", default="1", show_default=True, help="A number, or `random`."),
        click.option(
            "--fuzz",
            type=click.IntRange(min=0),
            default=200,
            show_default=True,
            help="Examples for each fuzz rule, or drawn messages for a sender; 0 turns them off.",
        ),
        click.option("--strict", is_flag=True, help="A broken SHOULD fails too."),
        click.option(
            "--rules", multiple=True, metavar="GLOB", help="Only these rules (repeatable)."
        ),
        dialect_option,
    ):
        command = option(command)
    return command


def dialect_option(command: Command) -> Command:
    """Add the option `--dialect`."""
    return click.option(
        "--dialect", default="guide", show_default=True, help="A dialect's name or its file."
    )(command)


def read_run_options(arguments: dict[str, Any]) -> dict[str, Any]:
    """The values that the options of both sides share, by field name, from the `arguments` of a
    `check` command. Raises InputError."""
    from conformance.options.run import EXAMPLES, read_seed
    from conformance.options.secrets import read_secret
    from conformance.scenario.dialects import load

    return {
        "secret": read_secret(arguments["secret"]),
        "dialect": load(arguments["dialect"]),
        "rules": arguments["rules"],
        "strict": arguments["strict"],
        "seed": read_seed(arguments["seed"]),
        "fuzz": arguments["fuzz"],
        "examples": EXAMPLES,
        "concurrency": arguments["concurrency"],
        "timeout": arguments["timeout"],
        "restart_command": arguments["restart_command"],
        "ca": arguments["ca"],
        "scenarios": arguments["scenarios"],
    }
