"""Charts of a load run over time as shapes for SVG: rates, and latencies on a log scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

WIDTH, HEIGHT = 1000.0, 220.0
PERCENTILES = ("p50", "p95", "p99")


@dataclass(frozen=True, slots=True)
class Line:
    """A series: its name and the points of its polyline."""

    name: str
    points: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over `seconds`, and the marks of the vertical axis: (y, label)."""

    lines: tuple[Line, ...]
    marks: tuple[tuple[float, str], ...]
    seconds: int


def rates(timeline: Sequence[dict[str, Any]]) -> Chart | None:
    """Requests offered, answered correctly and failed in each second; None for an empty timeline."""
    if not timeline:
        return None
    names = ("offered", "right", "wrong")
    top = _round_up(max(max(second[name] for name in names) for second in timeline))

    def place(value: float) -> float:
        return HEIGHT * (1 - value / top)

    marks = tuple((place(top * part), f"{top * part:,.0f}") for part in (0, 0.5, 1))
    return _chart(timeline, names, place, marks)


def latencies(timeline: Sequence[dict[str, Any]]) -> Chart | None:
    """Percentiles of each second's response times, in powers of ten; None without answers."""
    times = [second[name] for second in timeline for name in PERCENTILES if second[name]]
    if not times:
        return None
    low, high = floor(log10(min(times))), ceil(log10(max(times)))
    high = max(high, low + 1)

    def place(value: float) -> float:
        return HEIGHT * (1 - (log10(value) - low) / (high - low))

    marks = tuple((place(10.0**power), _label(power)) for power in range(low, high + 1))
    return _chart(timeline, PERCENTILES, place, marks)


def _chart(
    timeline: Sequence[dict[str, Any]],
    names: Sequence[str],
    place: Callable[[float], float],
    marks: tuple[tuple[float, str], ...],
) -> Chart:
    last = max(timeline[-1]["second"], 1)

    def points(name: str) -> str:
        values = [
            (second["second"], second[name]) for second in timeline if second[name] is not None
        ]
        return " ".join(f"{WIDTH * at / last:.1f},{place(value):.1f}" for at, value in values)

    return Chart(tuple(Line(name, points(name)) for name in names), marks, last)


def _round_up(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    unit = 10.0 ** floor(log10(max(value, 1)))
    return next(unit * step for step in (1, 2, 5, 10) if unit * step >= value)


def _label(power: int) -> str:
    return f"{10**power:g} s" if power >= 0 else f"{10 ** (power + 3):g} ms"
