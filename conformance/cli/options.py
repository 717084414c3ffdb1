"""The options of the table on the command line: what click needs to know of each, and their help.

Knows nothing of what a command does with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conformance.model.language import ENGLISH, Language
from conformance.model.sentence import Sentence
from conformance.options import table
from conformance.options.bounds import expected
from conformance.reporting import languages

if TYPE_CHECKING:
    from conformance.reporting.files import Files

FILE = click.Path(path_type=Path)

LANGUAGE_KEY = f"{__name__}.language"
"""The key of --lang in a context's `meta`, which the whole command line shares."""


def language(context: click.Context) -> Language:
    """The language of --lang, or English before it is read."""
    chosen: Language = context.meta.get(LANGUAGE_KEY, ENGLISH)
    return chosen


class Value(click.ParamType[Any]):
    """A value that the table's reader reads."""

    def __init__(self, option: table.Option) -> None:
        self._option = option
        self.name = option.metavar

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """The value in a text. Raises InputError."""
        from conformance.options.values import read_one  # a command's help does without it

        return read_one(self._option, value)


class TableOption(click.Option):
    """An option of the table. Its help is in the language of --lang."""

    def __init__(self, option: table.Option) -> None:
        flag = option.kind is table.Kind.FLAG
        super().__init__(
            [f"--{option.flag}", option.name],
            type=None if flag else Value(option),
            is_flag=flag,
            multiple=option.many,
            metavar=None if flag else option.metavar,
            **({"required": True} if option.required else {"default": option.default}),
        )
        self._declared = option

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """The option's name, and what it does, with its default and its bounds."""
        option = self._declared
        return f"--{option.flag} {option.metavar}".rstrip(), note(option, language(ctx))


def note(option: table.Option, lang: Language) -> str:
    """What an option does, with its default and its bounds."""
    bounds = expected(option)
    notes = [] if bounds is None else [bounds]
    if option.required:
        notes.insert(0, Sentence("required"))
    if option.default_text:
        notes.insert(0, Sentence("default: {value}", value=option.default_text))
    text = Sentence(option.help).in_(lang)
    return f"{text}  [{'; '.join(note.in_(lang) for note in notes)}]" if notes else text


class LanguageOption(TableOption):
    """The option --lang, whose value is a Language."""

    def __init__(self, option: table.Option) -> None:
        super().__init__(option)
        self.type = click.Choice(table.LANGUAGES)
        self.is_eager = True  # what is wrong with the other options is reported in this language
        self.callback = self._keep

    @staticmethod
    def _keep(context: click.Context, _: click.Parameter, code: str) -> Language:
        context.meta[LANGUAGE_KEY] = languages.load(code)
        return languages.load(code)


def parameters(*tables: type) -> list[click.Parameter]:
    """The parameters of a command with the options of these tables."""
    return shared([option for cls in tables for option in table.options(cls).values()])


def shared(options: Iterable[table.Option]) -> list[click.Parameter]:
    """The parameters of a command with these options."""
    return [_parameter(option) for option in options]


def _parameter(option: table.Option) -> click.Parameter:
    if option.argument:
        return click.Argument([option.name], metavar=option.metavar, type=Value(option))
    return (LanguageOption if option.kind is table.Kind.LANGUAGE else TableOption)(option)


def values(cls: type, arguments: dict[str, Any]) -> dict[str, Any]:
    """Those of a command's `arguments` that belong to a table."""
    return {name: arguments[name] for name in table.options(cls)}


def report_files(arguments: dict[str, Any]) -> Files:
    """The files that a report goes to. Raises InputError for one that cannot be written."""
    from conformance.reporting.files import Files

    names = ("json", "junit", "html", "trace", "redact")
    files = Files(**{name: arguments[name] for name in names})
    files.check()
    return files
