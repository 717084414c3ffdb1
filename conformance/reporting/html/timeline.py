"""Deliveries of a sender over time: when each attempt of a message began, and how it was answered.

Static SVG with lengths in per cent, so that it fits a phone and needs no style of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from conformance.model.exchange import Exchange, Role
from conformance.reporting.pages.escaped_text import both, escape_text
from conformance.reporting.translations import FAULTS

MOST_MESSAGES, MOST_ATTEMPTS = 6, 40
"""Timelines of one result, and attempts on one of them."""
_STATUS_WIDTH, _WAIT_WIDTH = 8.0, 13.0
"""Per cent of the width that the label of a status needs, and that of a wait."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery. `at` is seconds since the first attempt began, `wait` seconds since the previous
    one ended (None for the first), `growth` that wait as a multiple of the one before it."""

    number: int
    id: int
    at: float
    wait: float | None
    growth: float | None
    took: float
    ending: Markup
    delivered: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """All attempts of one message, as a drawing and as rows; `more` were left out."""

    msg_id: Markup
    attempts: tuple[Attempt, ...]
    drawing: Markup
    seconds: float
    more: int


class Timelines:
    """The attempts of a trace, by message and endpoint."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._attempts: dict[tuple[str, str], list[Exchange]] = {}
        for exchange in exchanges:
            if exchange.role is Role.ATTEMPT and exchange.msg_id is not None:
                key = exchange.request.url, exchange.msg_id
                self._attempts.setdefault(key, []).append(exchange)

    def of(self, exchanges: Iterable[Exchange]) -> list[Timeline]:
        """All attempts of the messages that `exchanges` belong to, at most MOST_MESSAGES of them,
        drawn on one scale."""
        keys = dict.fromkeys(
            (exchange.request.url, exchange.msg_id)
            for exchange in exchanges
            if exchange.role is Role.ATTEMPT and exchange.msg_id is not None
        )
        deliveries = [
            sorted(self._attempts[key], key=lambda exchange: exchange.started)
            for key in list(keys)[:MOST_MESSAGES]
            if key in self._attempts
        ]
        durations = (attempts[-1].ended - attempts[0].started for attempts in deliveries)
        longest = max(durations, default=0.0)
        return [_timeline(attempts, longest) for attempts in deliveries]


def _timeline(exchanges: list[Exchange], longest: float) -> Timeline:
    attempts = tuple(_rows(exchanges[:MOST_ATTEMPTS]))
    return Timeline(
        msg_id=escape_text(exchanges[0].msg_id or ""),
        attempts=attempts,
        drawing=_drawing(attempts, longest or 1.0),
        seconds=exchanges[-1].ended - exchanges[0].started,
        more=max(0, len(exchanges) - MOST_ATTEMPTS),
    )


def _rows(exchanges: list[Exchange]) -> Iterator[Attempt]:
    first_start, previous_end, previous_wait = exchanges[0].started, None, None
    for number, exchange in enumerate(exchanges, 1):
        wait = None if previous_end is None else exchange.started - previous_end
        fault, status = exchange.fault, exchange.status
        yield Attempt(
            number=number,
            id=exchange.id,
            at=exchange.started - first_start,
            wait=wait,
            growth=wait / previous_wait
            if wait and previous_wait and previous_wait > 0.05
            else None,
            took=exchange.ended - exchange.started,
            ending=both(FAULTS[fault]) if fault else Markup("{}").format(status or "…"),
            delivered=status == 200,
        )
        previous_end, previous_wait = exchange.ended, wait


def _drawing(attempts: tuple[Attempt, ...], longest: float) -> Markup:
    """A line with a dot for each attempt, filled if it was delivered. Its status is above it where
    there is room, the waits between attempts are below."""
    parts = [Markup('<line x1="0" x2="100%" y1="24" y2="24"/>')]
    last_label = -100.0
    for number, attempt in enumerate(attempts):
        x, width = 100 * attempt.at / longest, 100 * attempt.took / longest
        kind = "delivered" if attempt.delivered else "refused"
        parts.append(
            Markup('<rect x="{:.2f}%" y="21" width="{:.2f}%" height="6" class="{}"/>').format(
                x, width, kind
            )
        )
        parts.append(Markup('<circle cx="{:.2f}%" cy="24" r="6" class="{}"/>').format(x, kind))
        if x - last_label >= _STATUS_WIDTH:
            status = attempt.ending if attempt.ending.isdigit() else Markup("×")
            parts.append(_label(x, 12, status))
            last_label = x
        following = attempts[number + 1] if number + 1 < len(attempts) else None
        if following is not None and following.wait is not None:
            gap = 100 * following.wait / longest
            if gap >= _WAIT_WIDTH:
                middle = x + width + gap / 2
                parts.append(_label(middle, 43, Markup("{} s").format(f"{following.wait:.1f}")))
    return Markup(
        '<svg class="timeline" width="100%" height="48" aria-hidden="true">{}</svg>'
    ).format(Markup("").join(parts))


def _label(x: float, y: int, text: Markup) -> Markup:
    anchor = "start" if x < 3 else "end" if x > 97 else "middle"
    label = Markup('<text x="{:.2f}%" y="{}" text-anchor="{}">{}</text>')
    return label.format(x, y, anchor, text)
