"""`hookproof selftest` in a terminal: the gallery's matrix, a recording of it, and a comparison with one.

One line for each peer or difference, and a summary in the last line. Knows nothing of how peers run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text as Line

from conformance.gallery.matrix import Matrix, Row
from conformance.gallery.record import ABSENT, Difference
from conformance.gallery.record_run import Compared, Taken
from conformance.model.escaping import visible
from conformance.model.text import NO_TEXT, Text

HOLDS, BREAKS, SKIPPED = Text("ok", "成立"), Text("FAIL", "失敗"), Text("skip", "略過")
_CORRECT = {
    "receiver": Text("a correct receiver", "正確的接收端"),
    "sender": Text("a correct sender", "正確的發送端"),
}
_CAUGHT, _MISSED = Text("caught", "抓到"), Text("missed", "漏掉")
_ACCUSED, _ERROR = Text("accused", "誤判"), Text("could not judge", "無法判定")
_NAME_WIDTH = 30

_NEW_PEER = Text("a new peer, not in the record", "新的對象，記錄中沒有")
_GONE_PEER = Text("a peer of the record that no longer exists", "記錄中的對象已不存在")
_NOT_RUN = Text("not run", "未執行")
_MOST_LISTED = 8
"""Peers that a summary lists by name."""


def show(matrix: Matrix, language: str, console: Console | None = None) -> None:
    """Print the matrix, by default on standard output; lines are not wrapped."""
    console = console or Console(highlight=False)
    for row in matrix.rows:
        console.print(_row(row, language), soft_wrap=True)
    console.print(_matrix_summary(matrix, language), soft_wrap=True)


def _row(row: Row, language: str) -> Line:
    mark, style = (HOLDS, "green") if row.holds else (BREAKS, "bold red")
    if row.skipped is not None:
        mark, style = SKIPPED, "dim"
    expected = len(row.caught) + len(row.missed)
    judged = row.fault is not None and row.skipped is None
    score = f"{len(row.caught)}/{expected}" if judged else "-"
    line = Line.assemble(
        (f"{mark.in_(language):4}  ", style), f"{row.peer:{_NAME_WIDTH}} {score:>3}  "
    )
    line.append(
        row.fault or _CORRECT[row.side].in_(language), style="dim" if row.holds else "default"
    )
    if row.skipped is not None:
        line.append(f"  ({row.skipped})", style="dim")
    for label, rules in ((_MISSED, row.missed), (_ACCUSED, row.accused)):
        if rules:
            line.append(f"  {label.in_(language)}: {', '.join(rules)}", style="red")
    if row.errors and not row.holds:
        rest = f" +{len(row.errors) - 1}" if len(row.errors) > 1 else ""
        line.append(f"  {_ERROR.in_(language)}: {visible(row.errors[0])}{rest}", style="magenta")
    return line


def _matrix_summary(matrix: Matrix, language: str) -> Line:
    expected = matrix.caught + matrix.missed
    counts = Text(
        f"caught {matrix.caught} of {expected}, missed {matrix.missed}, accused {matrix.accused}",
        f"應抓 {expected}，抓到 {matrix.caught}，漏掉 {matrix.missed}，誤判 {matrix.accused}",
    )
    skipped = sum(row.skipped is not None for row in matrix.rows)
    rest = Text(
        f"  ({len(matrix.rows)} peers, {skipped} skipped, {matrix.seconds:.0f} s)",
        f"（{len(matrix.rows)} 個對象，略過 {skipped} 個，{matrix.seconds:.0f} 秒）",
    )
    style = "bold green" if matrix.holds else "bold red"
    return Line.assemble((counts.in_(language), style), (rest.in_(language), "dim"))


def show_recorded(
    recording: Taken, path: Path, language: str, console: Console | None = None
) -> None:
    """Print what was recorded, by default on standard output; lines are not wrapped."""
    peers = sum(map(len, recording.record.values()))
    unstable = Text(
        "; outcomes varied: " + _listed(recording.unstable),
        "；每次判定不盡相同：" + _listed(recording.unstable),
    )
    summary = Text(
        f"recorded {peers} peers in {path} ({recording.seconds:.0f} s",
        f"已將 {peers} 個對象記錄於 {path}（{recording.seconds:.0f} 秒",
    )
    summary += unstable if recording.unstable else NO_TEXT
    lines = [*_obstacles(recording.obstacles), summary + Text(")", "）")]
    _print(lines, language, console)


def show_compared(
    comparison: Compared, path: Path, language: str, console: Console | None = None
) -> None:
    """Print the differences, by default on standard output; lines are not wrapped."""
    lines = [_difference(difference) for difference in comparison.differences]
    summary = _comparison_summary(comparison, path)
    _print([*lines, *_obstacles(comparison.obstacles), summary], language, console)


def _comparison_summary(comparison: Compared, path: Path) -> Text:
    number = len(comparison.differences)
    if number:
        peers = len({difference.peer for difference in comparison.differences})
        summary = Text(
            f"{number} differences from {path}, in {peers} peers",
            f"與 {path} 有 {number} 處不同，涉及 {peers} 個對象",
        )
    else:
        summary = Text(f"no difference from {path}", f"與 {path} 沒有不同")
    summary += Text(
        f"  ({comparison.peers} peers, {comparison.seconds:.0f} s",
        f"（{comparison.peers} 個對象，{comparison.seconds:.0f} 秒",
    )
    if not comparison.confirmed:
        summary += Text(
            "; too many to judge again: each was seen once",
            "；為數過多，未再次判定：各只判定一次",
        )
    elif comparison.again:
        peers_listed = _listed(comparison.again)
        summary += Text(f"; judged again: {peers_listed}", f"；再次判定：{peers_listed}")
    return summary + Text(")", "）")


def _difference(difference: Difference) -> Text:
    peer = Text(f"{difference.peer}  ", f"{difference.peer}  ")
    if difference.name is None:
        return peer + (_GONE_PEER if difference.before else _NEW_PEER)
    before, after = _joined(difference.before), _joined(difference.after)
    name = Text(f"{difference.name}: ", f"{difference.name}：")
    if difference.before == {ABSENT}:
        change = Text(f"new: {after}", f"新增：{after}")
    elif difference.after == {ABSENT}:
        change = Text(f"gone (was {before})", f"已不存在（原為 {before}）")
    else:
        change = Text(f"was {before}, now {after}", f"原為 {before}，現為 {after}")
    return peer + name + change


def _joined(outcomes: Iterable[str]) -> str:
    return "|".join(sorted(outcomes))


def _obstacles(obstacles: Mapping[str, str]) -> list[Text]:
    return [
        Text(f"{peer}  {_NOT_RUN.en}: {reason}", f"{peer}  {_NOT_RUN.zh}：{reason}")
        for peer, reason in sorted(obstacles.items())
    ]


def _listed(names: tuple[str, ...]) -> str:
    rest = f" +{len(names) - _MOST_LISTED}" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + rest


def _print(lines: Iterable[Text], language: str, console: Console | None) -> None:
    console = console or Console(highlight=False)
    for line in lines:
        console.print(visible(line.in_(language)), markup=False, soft_wrap=True)
