"""The record of the gallery in a terminal: a line for each difference, and what it comes to in the last
one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console

from conformance.gallery.record import ABSENT, Difference
from conformance.gallery.record_run import Compared, Taken
from conformance.model.escaping import visible
from conformance.model.text import NO_TEXT, Text

_NEW_PEER = Text("a new peer, which the record has not", "新的對象，記錄中沒有")
_GONE_PEER = Text("a peer of the record that is gone", "記錄中的對象已不存在")
_NOT_RUN = Text("not run", "未執行")
_NAMED = 8
"""Peers that a summary names."""


def show_recorded(taken: Taken, path: Path, language: str, console: Console | None = None) -> None:
    """Print what was recorded, on standard output unless told otherwise; lines are not wrapped."""
    peers = sum(map(len, taken.record.values()))
    unstable = Text(
        "; not the same at every look: " + _some(taken.unstable),
        "；每次判定不盡相同：" + _some(taken.unstable),
    )
    summary = Text(
        f"recorded {peers} peers in {path} ({taken.seconds:.0f} s",
        f"已將 {peers} 個對象記錄於 {path}（{taken.seconds:.0f} 秒",
    )
    summary += unstable if taken.unstable else NO_TEXT
    _print([*_obstacles(taken.obstacles), summary + Text(")", "）")], language, console)


def show_compared(
    found: Compared, path: Path, language: str, console: Console | None = None
) -> None:
    """Print the differences, on standard output unless told otherwise; lines are not wrapped."""
    lines = [_line(each) for each in found.differences]
    if lines:
        peers = len({each.peer for each in found.differences})
        summary = Text(
            f"{len(lines)} differences from {path}, in {peers} peers",
            f"與 {path} 有 {len(lines)} 處不同，涉及 {peers} 個對象",
        )
    else:
        summary = Text(f"no difference from {path}", f"與 {path} 沒有不同")
    summary += Text(
        f"  ({found.peers} peers, {found.seconds:.0f} s",
        f"（{found.peers} 個對象，{found.seconds:.0f} 秒",
    )
    if not found.confirmed:
        summary += Text(
            "; too many to be looked at again: each was seen once",
            "；為數過多，未再次判定：各只判定一次",
        )
    elif found.again:
        some = _some(found.again)
        summary += Text(f"; looked at again: {some}", f"；再次判定：{some}")
    _print([*lines, *_obstacles(found.obstacles), summary + Text(")", "）")], language, console)


def _line(each: Difference) -> Text:
    peer = Text(f"{each.peer}  ", f"{each.peer}  ")
    if each.name is None:
        return peer + (_GONE_PEER if each.before else _NEW_PEER)
    before, after = _written(each.before), _written(each.after)
    name = Text(f"{each.name}: ", f"{each.name}：")
    if each.before == {ABSENT}:
        change = Text(f"new: {after}", f"新增：{after}")
    elif each.after == {ABSENT}:
        change = Text(f"gone (was {before})", f"已不存在（原為 {before}）")
    else:
        change = Text(f"was {before}, now {after}", f"原為 {before}，現為 {after}")
    return peer + name + change


def _written(outcomes: Iterable[str]) -> str:
    return "|".join(sorted(outcomes))


def _obstacles(obstacles: Mapping[str, str]) -> list[Text]:
    return [
        Text(f"{peer}  {_NOT_RUN.en}: {reason}", f"{peer}  {_NOT_RUN.zh}：{reason}")
        for peer, reason in sorted(obstacles.items())
    ]


def _some(names: tuple[str, ...]) -> str:
    rest = f" +{len(names) - _NAMED}" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest


def _print(lines: Iterable[Text], language: str, console: Console | None) -> None:
    console = console or Console(highlight=False)
    for line in lines:
        console.print(visible(line.in_(language)), markup=False, soft_wrap=True)
