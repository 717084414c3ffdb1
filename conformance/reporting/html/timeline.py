"""Deliveries of a sender over time: when each attempt of a message came, and how it was answered.

Static SVG with lengths in per cent, so that it fits a phone and needs no style of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from conformance.model.exchange import Exchange, Role
from conformance.reporting.pages.escaped import both, marked
from conformance.reporting.translations import FAULTS

MOST_MESSAGES, MOST_ATTEMPTS = 6, 40
"""Timelines that one result has, and attempts on one of them."""
_LABEL, _WAIT = 8.0, 13.0
"""Per cent of the width that a status needs to stand alone, and a wait."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery: seconds since the first attempt began, seconds waited since the last one ended
    (None for the first), and that wait as a multiple of the one before."""

    number: int
    id: int
    at: float
    wait: float | None
    growth: float | None
    took: float
    came: Markup
    delivered: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """All attempts of one message, as a drawing and as rows; `more` were left out."""

    msg_id: Markup
    attempts: tuple[Attempt, ...]
    drawing: Markup
    seconds: float
    more: int


class Attempts:
    """The attempts of a trace, by message and endpoint."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._attempts: dict[tuple[str, str], list[Exchange]] = {}
        for each in exchanges:
            if each.role is Role.ATTEMPT and each.msg_id is not None:
                self._attempts.setdefault((each.request.url, each.msg_id), []).append(each)

    def of(self, shown: Iterable[Exchange]) -> list[Timeline]:
        """The whole stories of the messages that `shown` belong to, at most MOST_MESSAGES, drawn on
        one scale."""
        keys = dict.fromkeys(
            (each.request.url, each.msg_id)
            for each in shown
            if each.role is Role.ATTEMPT and each.msg_id is not None
        )
        stories = [
            sorted(self._attempts[key], key=lambda each: each.started)
            for key in list(keys)[:MOST_MESSAGES]
            if key in self._attempts
        ]
        longest = max((story[-1].ended - story[0].started for story in stories), default=0.0)
        return [_timeline(story, longest) for story in stories]


def _timeline(story: list[Exchange], longest: float) -> Timeline:
    attempts = tuple(_rows(story[:MOST_ATTEMPTS]))
    return Timeline(
        msg_id=marked(story[0].msg_id or ""),
        attempts=attempts,
        drawing=_drawing(attempts, longest or 1.0),
        seconds=story[-1].ended - story[0].started,
        more=max(0, len(story) - MOST_ATTEMPTS),
    )


def _rows(story: list[Exchange]) -> Iterator[Attempt]:
    began, ended, before = story[0].started, None, None
    for number, each in enumerate(story, 1):
        wait = None if ended is None else each.started - ended
        came = both(FAULTS[each.fault]) if each.fault else Markup("{}").format(each.status or "…")
        yield Attempt(
            number=number,
            id=each.id,
            at=each.started - began,
            wait=wait,
            growth=wait / before if wait and before and before > 0.05 else None,
            took=each.ended - each.started,
            came=came,
            delivered=each.status == 200,
        )
        ended, before = each.ended, wait


def _drawing(attempts: tuple[Attempt, ...], longest: float) -> Markup:
    """A line with a mark for each attempt, full where it was delivered: its answer above it where
    there is room, the waits between them below."""
    parts = [Markup('<line x1="0" x2="100%" y1="24" y2="24"/>')]
    labelled = -100.0
    for number, each in enumerate(attempts):
        x, width = 100 * each.at / longest, 100 * each.took / longest
        kind = "delivered" if each.delivered else "refused"
        parts.append(
            Markup('<rect x="{:.2f}%" y="21" width="{:.2f}%" height="6" class="{}"/>').format(
                x, width, kind
            )
        )
        parts.append(Markup('<circle cx="{:.2f}%" cy="24" r="6" class="{}"/>').format(x, kind))
        if x - labelled >= _LABEL:
            parts.append(_label(x, 12, each.came if each.came.isdigit() else Markup("×")))
            labelled = x
        after = attempts[number + 1] if number + 1 < len(attempts) else None
        if after is not None and after.wait is not None:
            gap = 100 * after.wait / longest
            if gap >= _WAIT:
                middle = x + width + gap / 2
                parts.append(_label(middle, 43, Markup("{} s").format(f"{after.wait:.1f}")))
    return Markup(
        '<svg class="timeline" width="100%" height="48" aria-hidden="true">{}</svg>'
    ).format(Markup("").join(parts))


def _label(x: float, y: int, text: Markup) -> Markup:
    anchor = "start" if x < 3 else "end" if x > 97 else "middle"
    label = Markup('<text x="{:.2f}%" y="{}" text-anchor="{}">{}</text>')
    return label.format(x, y, anchor, text)
