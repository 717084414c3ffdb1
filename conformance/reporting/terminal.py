"""The report in a terminal: failures first, with all that mends them; a line each for the rest."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import groupby

from rich.cells import set_cell_size
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text as Line

from conformance.model.escaping import visible
from conformance.model.report import Report, Result
from conformance.model.rules import Outcome, Verdict
from conformance.model.text import Text

STYLES = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.WARN: "yellow",
    Outcome.NOTE: "cyan",
    Outcome.SKIP: "dim",
    Outcome.ERROR: "bold magenta",
}
NAMES = {
    Outcome.PASS: Text("pass", "通過"),
    Outcome.FAIL: Text("fail", "失敗"),
    Outcome.WARN: Text("warn", "警告"),
    Outcome.NOTE: Text("note", "提示"),
    Outcome.SKIP: Text("skip", "略過"),
    Outcome.ERROR: Text("error", "無法判定"),
}
VERDICTS = {
    Verdict.PASS: (Text("PASS", "通過"), "bold green"),
    Verdict.FAIL: (Text("FAIL", "失敗"), "bold red"),
    Verdict.ERROR: (Text("ERROR: could not be judged", "無法判定"), "bold magenta"),
}
IN_FULL = (Outcome.FAIL, Outcome.WARN)
IN_SHORT = (Outcome.ERROR, Outcome.NOTE, Outcome.SKIP, Outcome.PASS)
TOGETHER, MOST_NAMED = 3, 6
"""Names that are written out where rules share a line, and in the last one."""

_WHAT, _WHY = Text("what", "情況"), Text("why", "原因")
_FIX, _SHOW = Text("fix", "修正"), Text("again", "重現")
_CASES = Text("cases", "個案例")


def plain(report: Report, *, quiet: bool = False) -> str:
    """The whole report as text without colours."""
    out = io.StringIO()
    console = Console(file=out, width=100, color_system=None, force_terminal=False)
    show(report, console, quiet=quiet)
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def print_report(report: Report, *, quiet: bool = False) -> None:
    """Print the report to standard output, in colours where that is a terminal."""
    console = Console(highlight=False)
    if console.is_terminal:
        show(report, console, quiet=quiet)
    else:
        console.file.write(plain(report, quiet=quiet))


def show(report: Report, console: Console, *, quiet: bool = False) -> None:
    """Print the report; `quiet` prints its last line alone."""
    if not quiet:
        _head(report, console)
        for outcome in IN_FULL:
            for _, results in groupby(report.having(outcome), key=lambda each: each.rule.id):
                _in_full(list(results), report.language, console)
        for outcome in IN_SHORT:
            _in_short(report.having(outcome), outcome, report, console)
        console.print()
    _summary(report, console, quiet=quiet)


def _head(report: Report, console: Console) -> None:
    spoken = ""
    if report.spoken not in (None, report.dialect):
        spoken = Text(f" (it speaks {report.spoken})", f"（實際使用 {report.spoken}）").in_(
            report.language
        )
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


def _in_full(results: list[Result], language: str, console: Console) -> None:
    """One block for a rule: what each of its cases showed, then why and how to mend it, once."""
    first = results[0]
    rule = first.rule
    source = f" · {rule.source}" if rule.source else ""
    name = first.name if len(results) == 1 else _count(rule.id, len(results), language)
    outcome = Line(_label(NAMES[first.outcome], language).upper(), style=STYLES[first.outcome])
    console.print(
        outcome + Line(name, style="bold") + Line(f"  {first.level}{source}"), soft_wrap=True
    )
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True, min_width=5)
    table.add_column(overflow="fold")
    table.add_row("", Line(rule.title.in_(language)))
    for number, (said, cases) in enumerate(_by_message(results, language).items()):
        where = f"[{', '.join(cases)}] " if len(results) > 1 else ""
        table.add_row(_WHAT.in_(language) if number == 0 else "", Line(where + said))
    for label, text in ((_WHY, rule.why), (_FIX, rule.fix)):
        if text:
            table.add_row(label.in_(language), Line(text.in_(language)))
    console.print(Padding(table, (0, 0, 0, 6), expand=False))
    shown = next((each.reproduce for each in results if each.reproduce is not None), None)
    if shown is not None:
        # Never wrapped: it must work when it is pasted.
        again = Line(f"      {_label(_SHOW, language)} ", style="dim")
        console.print(again + Line(shown, style="default"), soft_wrap=True, no_wrap=True)
    console.print()


def _by_message(results: list[Result], language: str) -> dict[str, list[str]]:
    """What was seen → the cases that showed it."""
    seen: dict[str, list[str]] = {}
    for each in results:
        seen.setdefault(visible(each.message.in_(language)), []).append(each.case or "")
    return seen


def _count(rule: str, cases: int, language: str) -> str:
    return f"{rule} ({cases} {_CASES.in_(language)})"


def _label(text: Text, language: str) -> str:
    """A word in the first column; a full-width character takes two cells."""
    return set_cell_size(text.in_(language), 5) + " "


def _in_short(results: list[Result], outcome: Outcome, report: Report, console: Console) -> None:
    """A line for each rule; rules that were not judged for the same reason share one."""
    language = report.language
    reasons: dict[str, list[Result]] = {}
    for each in results:
        if report.cause and each.message == report.cause:
            continue  # it stands above
        said = "" if outcome is Outcome.PASS else visible(each.message.in_(language))
        reasons.setdefault(said, []).append(each)
    for said, alike in reasons.items():
        rules = [list(cases) for _, cases in groupby(alike, key=lambda each: each.rule.id)]
        names = [
            cases[0].name if len(cases) == 1 else _count(cases[0].rule.id, len(cases), language)
            for cases in rules
        ]
        if outcome in (Outcome.SKIP, Outcome.ERROR) and len(names) > TOGETHER:
            names = [_listed(names, TOGETHER)]
        for name in names:
            line = Line.assemble((_label(NAMES[outcome], language), STYLES[outcome]), name)
            if said:
                line.append(f"  {said}", style="dim" if outcome is Outcome.SKIP else "default")
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
    return _listed(list(dict.fromkeys(each.rule.id for each in results)), MOST_NAMED)


def _listed(names: list[str], most: int) -> str:
    rest = f" +{len(names) - most}" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
