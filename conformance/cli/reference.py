"""`hookproof options`: every command, its options and their bounds as one page, docs/cli.md.

The page is made of the commands and of the table of options; nothing in it is written by hand but the
meaning of the exit status.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

import click

from conformance.cli.options import note, parameters
from conformance.model.language import Language
from conformance.model.sentence import Sentence
from conformance.options.commands import Texts
from conformance.options.table import Option, ReceiverTable, SenderTable, pytest_options
from conformance.options.table import options as options_of

STATUSES = {
    0: Sentence("The verdict is `pass`."),
    1: Sentence("The verdict is `fail`."),
    2: Sentence(
        "Wrong usage, or an unreadable scenario, dialect or schema: one line on standard error."
    ),
    3: Sentence("The verdict is `error`: the target could not be judged."),
}


@click.command(params=parameters(Texts), short_help="Print every command with its options.")
@click.pass_context
def options(context: click.Context, lang: Language) -> None:
    """Print every command with its options and their bounds, the options of pytest, and the arguments of
    the Python functions, as a Markdown page."""
    root = click.Context(context.find_root().command, info_name="hookproof")
    click.echo("\n".join(_page(root, lang)))


def _page(root: click.Context, lang: Language) -> Iterator[str]:
    yield f"# {Sentence('Commands and options').in_(lang)}"
    yield ""
    yield Sentence(
        "Made by `hookproof options`. Secrets may be given as `env:NAME` or `file:PATH`."
    ).in_(lang)
    assert isinstance(root.command, click.Group)  # noqa: S101 - it has commands
    yield from _commands(root, root.command)
    yield from ["", f"## {Sentence('Exit status').in_(lang)}", "", "| | |", "|---|---|"]
    yield from (f"| {status} | {meaning.in_(lang)} |" for status, meaning in STATUSES.items())
    yield from ["", "## pytest", "", "| | | |", "|---|---|---|"]
    for option in pytest_options().values():
        short = f"`--{option.pytest or option.flag}`" if option.short else ""
        yield (
            f"| `{option.long} {option.metavar}".rstrip()
            + f"` | {short} | {_meaning(option, lang)} |"
        )
    for name, table in (("check_receiver", ReceiverTable), ("check_sender", SenderTable)):
        yield from ["", f"## `conformance.{name}`", "", "| | |", "|---|---|"]
        for option in options_of(table).values():
            yield f"| `{option.name}` | {_meaning(option, lang)} |"


def _commands(context: click.Context, group: click.Group) -> Iterator[str]:
    for name in sorted(group.commands):
        command = group.commands[name]
        below = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(below, command)
            continue
        usage = " ".join(command.collect_usage_pieces(below)).removeprefix("[OPTIONS]").strip()
        text = " ".join(inspect.cleandoc(command.help or "").split())
        yield from ["", f"## `{f'{below.command_path} {usage}'.rstrip()}`", "", text, ""]
        shown = (param.get_help_record(below) for param in command.params)
        yield from _rows(record for record in shown if record is not None and record[1])


def _rows(records: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield from ["| | |", "|---|---|"]
    yield from (f"| `{_cell(name)}` | {_cell(text)} |" for name, text in records)


def _meaning(option: Option, lang: Language) -> str:
    return _cell(note(option, lang))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("  [", " [")
