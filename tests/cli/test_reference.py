"""The page of commands and options, and what holds for every option in it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from conformance.cli.main import main
from conformance.options.bounds import UNITS
from conformance.options.commands import Load, ServeReceiver, ServeSender
from conformance.options.table import Option, ReceiverTable, SenderTable, options
from tests.places import ROOT


def test_the_page_is_up_to_date() -> None:
    page = CliRunner().invoke(main, ["options"]).output
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == page, "hookproof options"


COMMANDS = {
    ("check", "receiver"): ReceiverTable,
    ("check", "sender"): SenderTable,
    ("load",): Load,
    ("serve", "receiver"): ServeReceiver,
    ("serve", "sender"): ServeSender,
}


NUMBERS = [
    pytest.param(command, option, id=f"{' '.join(command)} {option.flag}")
    for command, table in COMMANDS.items()
    for option in options(table).values()
    if option.kind in UNITS
]


@pytest.mark.parametrize(("command", "option"), NUMBERS)
@pytest.mark.parametrize("value", ["-1", "nan", "1e999", "x", ""])
def test_a_number_out_of_bounds_is_one_line_that_says_them(
    command: tuple[str, ...], option: Option, value: str
) -> None:
    result = CliRunner().invoke(main, [*command, f"--{option.flag}", value])
    assert result.exit_code == 2
    assert result.output.startswith(f"hookproof: --{option.flag}: {value!r} is not a")
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize("argument", ["--fuz=1", "--fuzz", "extra"])
def test_what_click_reports_is_one_line(argument: str) -> None:
    result = CliRunner().invoke(main, ["check", "receiver", "http://h/", argument, "--secret=s"])
    assert result.exit_code == 2
    assert result.output.startswith("hookproof: ")
    assert len(result.output.splitlines()) == 1


def test_help_is_in_the_language_of_the_command() -> None:
    result = CliRunner().invoke(main, ["demo", "--lang", "zh-Hant", "--help"])
    assert "只印出判定" in result.output
