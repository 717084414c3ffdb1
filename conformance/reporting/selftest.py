"""The gallery's matrix in a terminal: a line for each peer, and what it comes to in the last one."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text as Line

from conformance.gallery.matrix import Matrix, Row
from conformance.model.escaping import visible
from conformance.model.text import Text

HOLDS, BREAKS, SKIPPED = Text("ok", "成立"), Text("FAIL", "失敗"), Text("skip", "略過")
_CORRECT = {
    "receiver": Text("a correct receiver", "正確的接收端"),
    "sender": Text("a correct sender", "正確的發送端"),
}
_CAUGHT, _MISSED = Text("caught", "抓到"), Text("missed", "漏掉")
_ACCUSED, _ERROR = Text("accused", "誤判"), Text("could not judge", "無法判定")
_NAME_WIDTH = 30


def show(matrix: Matrix, language: str, console: Console | None = None) -> None:
    """Print the matrix, on standard output unless told otherwise; lines are not wrapped."""
    console = console or Console(highlight=False)
    for row in matrix.rows:
        console.print(_line(row, language), soft_wrap=True)
    console.print(_summary(matrix, language), soft_wrap=True)


def _line(row: Row, language: str) -> Line:
    mark, style = (HOLDS, "green") if row.holds else (BREAKS, "bold red")
    if row.skipped is not None:
        mark, style = SKIPPED, "dim"
    named = len(row.caught) + len(row.missed)
    score = f"{len(row.caught)}/{named}" if row.fault is not None and row.skipped is None else "-"
    line = Line.assemble(
        (f"{mark.in_(language):4}  ", style), f"{row.peer:{_NAME_WIDTH}} {score:>3}  "
    )
    line.append(
        row.fault or _CORRECT[row.side].in_(language), style="dim" if row.holds else "default"
    )
    if row.skipped is not None:
        line.append(f"  ({row.skipped})", style="dim")
    for what, found in ((_MISSED, row.missed), (_ACCUSED, row.accused)):
        if found:
            line.append(f"  {what.in_(language)}: {', '.join(found)}", style="red")
    if row.errors and not row.holds:
        rest = f" +{len(row.errors) - 1}" if len(row.errors) > 1 else ""
        line.append(f"  {_ERROR.in_(language)}: {visible(row.errors[0])}{rest}", style="magenta")
    return line


def _summary(matrix: Matrix, language: str) -> Line:
    named = matrix.caught + matrix.missed
    counts = Text(
        f"caught {matrix.caught} of {named}, missed {matrix.missed}, accused {matrix.accused}",
        f"應抓 {named}，抓到 {matrix.caught}，漏掉 {matrix.missed}，誤判 {matrix.accused}",
    )
    skipped = sum(row.skipped is not None for row in matrix.rows)
    rest = Text(
        f"  ({len(matrix.rows)} peers, {skipped} skipped, {matrix.seconds:.0f} s)",
        f"（{len(matrix.rows)} 個對象，略過 {skipped} 個，{matrix.seconds:.0f} 秒）",
    )
    style = "bold green" if matrix.holds else "bold red"
    return Line.assemble((counts.in_(language), style), (rest.in_(language), "dim"))
