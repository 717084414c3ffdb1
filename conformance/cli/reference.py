"""`hookproof options`: every command, its options and their bounds as one page, docs/cli.md.

The page is made of the commands and of the table of options; nothing in it is written by hand but the
meaning of the exit status.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

import click

from conformance.cli.options import note, shared
from conformance.model.language import Language
from conformance.model.sentence import Sentence
from conformance.options.table import (
    ReceiverTable,
    ReportOptions,
    SenderTable,
    pick,
    pytest_options,
)
from conformance.options.table import options as options_of

STATUSES = {
    0: Sentence("The verdict is `pass`."),
    1: Sentence("The verdict is `fail`."),
    2: Sentence(
        "Wrong usage, or an unreadable scenario, dialect or schema: one line on standard error."
    ),
    3: Sentence("The verdict is `error`: the target could not be judged."),
}


@click.command(
    params=shared(pick(ReportOptions, "lang")), short_help="Print every command with its options."
)
@click.pass_context
def options(context: click.Context, lang: Language) -> None:
    """Print every command with its options and their bounds, the options of pytest, and the arguments of
    the Python functions, as a Markdown page."""
    root = click.Context(context.find_root().command, info_name="hookproof")
    click.echo("\n".join(_page(root, lang)))


def _page(root: click.Context, lang: Language) -> Iterator[str]:
    yield f"# {Sentence('Commands and options').in_(lang)}"
    intro = Sentence(
        "Made by `hookproof options`. Secrets may be given as `env:NAME` or `file:PATH`."
    )
    yield from ["", intro.in_(lang)]
    assert isinstance(root.command, click.Group)  # noqa: S101 - it has commands
    yield from _commands(root, root.command)
    statuses = [(f"{status}", meaning.in_(lang)) for status, meaning in STATUSES.items()]
    yield from _section(Sentence("Exit status").in_(lang), statuses)
    rows = []
    for option in pytest_options().values():
        name = f"{option.long} {option.metavar}".rstrip()
        name += f", {option.brief}" if option.short else ""
        rows.append((name, note(option, lang)))
    yield from _section("pytest", rows)
    for function, table in (("check_receiver", ReceiverTable), ("check_sender", SenderTable)):
        rows = [(name, note(option, lang)) for name, option in options_of(table).items()]
        yield from _section(f"`conformance.{function}`", rows)


def _commands(context: click.Context, group: click.Group) -> Iterator[str]:
    for name in sorted(group.commands):
        command = group.commands[name]
        if command.hidden:
            continue
        below = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(below, command)
            continue
        usage = " ".join([below.command_path, *command.collect_usage_pieces(below)[1:]])
        text = " ".join(inspect.cleandoc(command.help or "").split())
        shown = [param.get_help_record(below) for param in command.params]
        yield from _section(
            f"`{usage}`", [row for row in shown if row is not None and row[1]], text
        )


def _section(title: str, rows: Iterable[tuple[str, str]], text: str = "") -> Iterator[str]:
    yield from ["", f"## {title}", *(["", text] if text else []), "", "| | |", "|---|---|"]
    for row in rows:
        name, meaning = (cell.replace("|", "\\|").replace("  [", " [") for cell in row)
        yield f"| `{name}` | {meaning} |"
