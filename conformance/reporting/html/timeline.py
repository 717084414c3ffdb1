"""Deliveries of a sender over time: when each attempt of a message began, and how it was answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from conformance.model.exchange import Exchange, Role
from conformance.reporting import charts
from conformance.reporting.charts import Mark
from conformance.reporting.pages.escaped_text import both, escape_text
from conformance.reporting.translations import FAULTS

MOST_MESSAGES, MOST_ATTEMPTS = 6, 40
"""Timelines of one result, and attempts on one of them."""


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
        drawing=charts.attempts([_mark(attempt) for attempt in attempts], longest or 1.0),
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


def _mark(attempt: Attempt) -> Mark:
    label = str(attempt.ending) if attempt.ending.isdigit() else "×"
    kind = "delivered" if attempt.delivered else "refused"
    return Mark(attempt.at, attempt.took, attempt.wait, label, kind)
