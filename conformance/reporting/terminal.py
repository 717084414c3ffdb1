"""The report in a terminal: failures first, with why and how to fix them; a line each for the rest."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import groupby

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text as Line

from conformance.model.escaping import visible
from conformance.model.language import Language
from conformance.model.report import Report, Result
from conformance.model.rules import Outcome, Verdict
from conformance.model.sentence import Sentence
from conformance.reporting.load import figures_of

STYLES = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.WARN: "yellow",
    Outcome.NOTE: "cyan",
    Outcome.SKIP: "dim",
    Outcome.ERROR: "bold magenta",
}
NAMES = {
    Outcome.PASS: Sentence("pass"),
    Outcome.FAIL: Sentence("fail"),
    Outcome.WARN: Sentence("warn"),
    Outcome.NOTE: Sentence("note"),
    Outcome.SKIP: Sentence("skip"),
    Outcome.ERROR: Sentence("error"),
}
VERDICTS = {
    Verdict.PASS: (Sentence("PASS"), "bold green"),
    Verdict.FAIL: (Sentence("FAIL"), "bold red"),
    Verdict.ERROR: (Sentence("ERROR: could not be judged"), "bold magenta"),
}
IN_FULL = (Outcome.FAIL, Outcome.WARN)
IN_SHORT = (Outcome.ERROR, Outcome.NOTE, Outcome.SKIP, Outcome.PASS)
MOST_ON_SHARED_LINE, MOST_ON_LAST_LINE = 3, 6
"""Rules listed by name on a line that several share, and on the last line."""

_WHAT, _WHY = Sentence("what"), Sentence("why")
_FIX, _REPRODUCE = Sentence("fix"), Sentence("reproduce")
_CASES = Sentence("cases")


def plain(report: Report, *, quiet: bool = False) -> str:
    """The whole report as text without colours."""
    out = io.StringIO()
    console = Console(file=out, width=100, color_system=None, force_terminal=False)
    show(report, console, quiet=quiet)
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def print_report(report: Report, *, quiet: bool = False) -> None:
    """Print the report to standard output, in colour if that is a terminal."""
    console = Console(highlight=False)
    if console.is_terminal:
        show(report, console, quiet=quiet)
    else:
        console.file.write(plain(report, quiet=quiet))


def show(report: Report, console: Console, *, quiet: bool = False) -> None:
    """Print the report; with `quiet` only its last line."""
    if not quiet:
        _head(report, console)
        for outcome in IN_FULL:
            for _, results in groupby(report.having(outcome), key=lambda result: result.rule.id):
                _in_full(list(results), report.language, console)
        for outcome in IN_SHORT:
            _in_short(report.having(outcome), outcome, report, console)
        console.print()
    _summary(report, console, quiet=quiet)


def _head(report: Report, console: Console) -> None:
    spoken = ""
    if report.spoken not in (None, report.dialect):
        spoken = Sentence(" (it speaks {spoken})", spoken=report.spoken).in_(report.language)
    line = Line.assemble(
        ("hookproof ", "bold"),
        f"{report.side} {visible(report.target)}  dialect {report.dialect}{visible(spoken)}"
        f"  seed {report.seed}",
    )
    console.print(line, soft_wrap=True)
    console.print()
    if report.cause:
        cause = Line(visible(report.cause.in_(report.language)), style="bold magenta")
        console.print(cause, soft_wrap=True)
        console.print()
    if report.load is not None:
        for name, text in figures_of(report.load):
            label = Line(f"      {name.in_(report.language)}  ", style="dim")
            console.print(
                label + Line(visible(text.in_(report.language)), style="default"), soft_wrap=True
            )
        console.print()


def _in_full(results: list[Result], language: Language, console: Console) -> None:
    """One block for a rule: the finding of each of its cases, then why it matters and how to fix it."""
    first = results[0]
    rule = first.rule
    source = f" · {rule.source}" if rule.source else ""
    name = first.name if len(results) == 1 else _count(rule.id, len(results), language)
    outcome = Line(_label(NAMES[first.outcome], language).upper(), style=STYLES[first.outcome])
    console.print(
        outcome + Line(name, style="bold") + Line(f"  {first.level}{source}"), soft_wrap=True
    )
    table = Table.grid(padding=(0, 2))
    width = max(cell_len(label.in_(language)) for label in (_WHAT, _WHY, _FIX, _REPRODUCE))
    table.add_column(style="dim", no_wrap=True, min_width=width)
    table.add_column(overflow="fold")
    table.add_row("", Line(rule.title.in_(language)))
    for number, (message, cases) in enumerate(_by_message(results, language).items()):
        where = f"[{', '.join(cases)}] " if len(results) > 1 else ""
        table.add_row(_WHAT.in_(language) if number == 0 else "", Line(where + message))
    for label, text in ((_WHY, rule.why), (_FIX, rule.fix)):
        if text:
            table.add_row(label.in_(language), Line(text.in_(language)))
    console.print(Padding(table, (0, 0, 0, 6), expand=False))
    commands = (result.reproduce for result in results if result.reproduce is not None)
    command = next(commands, None)
    if command is not None:
        # Never wrapped: it must work when pasted.
        prefix = Line(f"      {_REPRODUCE.in_(language)}  ", style="dim")
        console.print(prefix + Line(command, style="default"), soft_wrap=True, no_wrap=True)
    console.print()


def _by_message(results: list[Result], language: Language) -> dict[str, list[str]]:
    """Message → the cases with it."""
    cases: dict[str, list[str]] = {}
    for result in results:
        cases.setdefault(visible(result.message.in_(language)), []).append(result.case or "")
    return cases


def _count(rule: str, cases: int, language: Language) -> str:
    return f"{rule} ({cases} {_CASES.in_(language)})"


def _label(text: Sentence, language: Language) -> str:
    """A word padded for the first column; a full-width character takes two cells."""
    return set_cell_size(text.in_(language), 5) + " "


def _in_short(results: list[Result], outcome: Outcome, report: Report, console: Console) -> None:
    """A line for each rule; rules that were not judged for the same reason share a line."""
    language = report.language
    by_message: dict[str, list[Result]] = {}
    for result in results:
        if report.cause and result.message == report.cause:
            continue  # it is printed at the top
        message = "" if outcome is Outcome.PASS else visible(result.message.in_(language))
        by_message.setdefault(message, []).append(result)
    for message, same in by_message.items():
        rules = [list(cases) for _, cases in groupby(same, key=lambda result: result.rule.id)]
        names = [
            cases[0].name if len(cases) == 1 else _count(cases[0].rule.id, len(cases), language)
            for cases in rules
        ]
        if outcome in (Outcome.SKIP, Outcome.ERROR) and len(names) > MOST_ON_SHARED_LINE:
            names = [_listed(names, MOST_ON_SHARED_LINE)]
        for name in names:
            line = Line.assemble((_label(NAMES[outcome], language), STYLES[outcome]), name)
            if message:
                line.append(f"  {message}", style="dim" if outcome is Outcome.SKIP else "default")
            console.print(line, soft_wrap=True)


def _summary(report: Report, console: Console, *, quiet: bool) -> None:
    text, style = VERDICTS[report.verdict]
    language = report.language
    counts = report.summary()
    parts = [f"{counts[o]} {NAMES[o].in_(language)}" for o in (*IN_FULL, *IN_SHORT) if counts[o]]
    line = Line.assemble((text.in_(language), style), "  " + ", ".join(parts))
    line.append(f"  {report.seconds:.1f} s")
    if report.failures:
        line.append("  " + _names(report.failures), style="red")
    elif report.cause and quiet:
        line.append(f"  {visible(report.cause.in_(language))}")
    console.print(line, soft_wrap=True)


def _names(results: Iterable[Result]) -> str:
    return _listed(list(dict.fromkeys(result.rule.id for result in results)), MOST_ON_LAST_LINE)


def _listed(names: list[str], most: int) -> str:
    rest = f" +{len(names) - most}" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
