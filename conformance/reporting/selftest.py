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
from conformance.model.language import Language
from conformance.model.sentence import EMPTY, Sentence

HOLDS, BREAKS, SKIPPED = Sentence("ok"), Sentence("FAIL"), Sentence("skip")
_CORRECT = {
    "receiver": Sentence("a correct receiver"),
    "sender": Sentence("a correct sender"),
}
_CAUGHT, _MISSED = Sentence("caught"), Sentence("missed")
_ACCUSED, _ERROR = Sentence("accused"), Sentence("could not judge")
_NAME_WIDTH = 30

_NEW_PEER = Sentence("a new peer, not in the record")
_GONE_PEER = Sentence("a peer of the record that no longer exists")
_NOT_RUN = Sentence("not run")
_MOST_LISTED = 8
"""Peers that a summary lists by name."""


def show(matrix: Matrix, language: Language, console: Console | None = None) -> None:
    """Print the matrix, by default on standard output; lines are not wrapped."""
    console = console or Console(highlight=False)
    for row in matrix.rows:
        console.print(_row(row, language), soft_wrap=True)
    console.print(_matrix_summary(matrix, language), soft_wrap=True)


def _row(row: Row, language: Language) -> Line:
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


def _matrix_summary(matrix: Matrix, language: Language) -> Line:
    expected = matrix.caught + matrix.missed
    counts = Sentence(
        "caught {caught} of {expected}, missed {missed}, accused {accused}",
        caught=matrix.caught,
        expected=expected,
        missed=matrix.missed,
        accused=matrix.accused,
    )
    skipped = sum(row.skipped is not None for row in matrix.rows)
    rest = Sentence(
        "  ({count} peers, {skipped} skipped, {seconds:.0f} s)",
        count=len(matrix.rows),
        skipped=skipped,
        seconds=matrix.seconds,
    )
    style = "bold green" if matrix.holds else "bold red"
    return Line.assemble((counts.in_(language), style), (rest.in_(language), "dim"))


def show_recorded(
    recording: Taken, path: Path, language: Language, console: Console | None = None
) -> None:
    """Print what was recorded, by default on standard output; lines are not wrapped."""
    peers = sum(map(len, recording.record.values()))
    unstable = Sentence("; outcomes varied: {unstable}", unstable=_listed(recording.unstable))
    summary = Sentence(
        "recorded {peers} peers in {path} ({seconds:.0f} s",
        peers=peers,
        path=str(path),
        seconds=recording.seconds,
    )
    summary += unstable if recording.unstable else EMPTY
    lines = [*_obstacles(recording.obstacles), summary + Sentence(")")]
    _print(lines, language, console)


def show_compared(
    comparison: Compared, path: Path, language: Language, console: Console | None = None
) -> None:
    """Print the differences, by default on standard output; lines are not wrapped."""
    lines = [_difference(difference) for difference in comparison.differences]
    summary = _comparison_summary(comparison, path)
    _print([*lines, *_obstacles(comparison.obstacles), summary], language, console)


def _comparison_summary(comparison: Compared, path: Path) -> Sentence:
    number = len(comparison.differences)
    if number:
        peers = len({difference.peer for difference in comparison.differences})
        summary = Sentence(
            "{number} differences from {path}, in {peers} peers",
            number=number,
            path=str(path),
            peers=peers,
        )
    else:
        summary = Sentence("no difference from {path}", path=str(path))
    summary += Sentence(
        "  ({peers} peers, {seconds:.0f} s", peers=comparison.peers, seconds=comparison.seconds
    )
    if not comparison.confirmed:
        summary += Sentence("; too many to judge again: each was seen once")
    elif comparison.again:
        peers_listed = _listed(comparison.again)
        summary += Sentence("; judged again: {peers_listed}", peers_listed=peers_listed)
    return summary + Sentence(")")


def _difference(difference: Difference) -> Sentence:
    peer = Sentence("{peer}  ", peer=difference.peer)
    if difference.name is None:
        return peer + (_GONE_PEER if difference.before else _NEW_PEER)
    before, after = _joined(difference.before), _joined(difference.after)
    name = Sentence("{difference}: ", difference=difference.name)
    if difference.before == {ABSENT}:
        change = Sentence("new: {after}", after=after)
    elif difference.after == {ABSENT}:
        change = Sentence("gone (was {before})", before=before)
    else:
        change = Sentence("was {before}, now {after}", before=before, after=after)
    return peer + name + change


def _joined(outcomes: Iterable[str]) -> str:
    return "|".join(sorted(outcomes))


def _obstacles(obstacles: Mapping[str, str]) -> list[Sentence]:
    return [
        Sentence("{peer}  {not_run}: {reason}", peer=peer, not_run=_NOT_RUN, reason=reason)
        for peer, reason in sorted(obstacles.items())
    ]


def _listed(names: tuple[str, ...]) -> str:
    rest = f" +{len(names) - _MOST_LISTED}" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + rest


def _print(lines: Iterable[Sentence], language: Language, console: Console | None) -> None:
    console = console or Console(highlight=False)
    for line in lines:
        console.print(visible(line.in_(language)), markup=False, soft_wrap=True)
