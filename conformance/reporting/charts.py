"""The charts of pages: static SVG whose lengths are in per cent or scale with the page, so that it fits a
phone. Colours are in the page's style, by class; notebooks have `notebook.charts`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from conformance.model.rules import Outcome

ORDER = (Outcome.FAIL, Outcome.ERROR, Outcome.WARN, Outcome.NOTE, Outcome.SKIP, Outcome.PASS)
"""Outcomes, the gravest first."""

_DECADES, _BARS = 5, 6
"""The axis of durations: decades from _FASTEST on (0.1 ms to 10 s), and bars per decade."""
_FASTEST = 1e-4
_HEIGHT = 72
_TICKS = ((1e-3, "1 ms"), (1e-2, "10 ms"), (1e-1, "100 ms"), (1.0, "1 s"))
_PLOT = 160
"""The height of a chart of lines."""
_STATUS_WIDTH, _WAIT_WIDTH = 8.0, 13.0
"""Per cent of the width that the label of a status needs, and that of a wait."""

Series = Mapping[str, Sequence[tuple[float, float]]]
"""The name of each line, which is also its class, and its points (seconds, value)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An attempt on a line of time: its beginning and duration in seconds, the `wait` before it (None for
    the first), a label, and its class."""

    at: float
    took: float
    wait: float | None
    label: str
    kind: str


def bar(counts: Mapping[Outcome, int], share: float = 1.0) -> Markup:
    """`counts` as one bar divided by outcome, as long as `share` of the width."""
    present = [(outcome, counts[outcome]) for outcome in ORDER if counts.get(outcome)]
    total = sum(count for _, count in present)
    # Each part has a minimum width, so that a rare outcome is still visible.
    least, gap = 8.0, 3.0
    room = max(0.0, 1000 * share - len(present) * (least + gap) + gap)
    parts, start = [], 0.0
    for outcome, count in present:
        width = least + room * count / total
        parts.append(
            _shape("rect", outcome.value, x=f"{start:.1f}", width=f"{width:.1f}", height=8)
        )
        start += width + gap
    return _svg("bar", parts, viewBox="0 0 1000 8", preserveAspectRatio="none")


def durations(times: Iterable[tuple[float, int]], deadline: float) -> Markup:
    """How many answers took how long, on a logarithmic axis with the `deadline`. `times` are pairs of
    seconds and a number of answers."""
    bars, counts = _DECADES * _BARS, Counter[int]()
    for seconds, number in times:
        counts[min(bars - 1, max(0, int(_position(seconds) * bars)))] += number
    most, limit = max(counts.values(), default=1), _position(deadline)
    parts = []
    for place, count in sorted(counts.items()):
        # A single late answer among thousands must be visible.
        height = max(2.0, _HEIGHT * count / most)
        kind = "late" if (place + 0.5) / bars > limit else "in-time"
        x, width = f"{100 * place / bars:.2f}%", f"{100 / bars - 0.4:.2f}%"
        y, tall = f"{_HEIGHT - height:.1f}", f"{height:.1f}"
        parts.append(_shape("rect", kind, x=x, y=y, width=width, height=tall))
    base, end, x = _HEIGHT + 0.5, _HEIGHT + 16, f"{100 * limit:.2f}%"
    parts.append(_shape("line", "axis", x1="0", x2="100%", y1=base, y2=base))
    parts.append(_shape("line", "deadline", x1=x, x2=x, y1="0", y2=base))
    ticks = [tick for tick in _TICKS if abs(_position(tick[0]) - limit) > 0.06]
    parts += [_text(100 * _position(seconds), end, name, middle=True) for seconds, name in ticks]
    parts.append(_text(100 * limit, end, f"{deadline:g} s", kind="deadline", middle=True))
    return _svg("times", parts, width="100%", height=end + 4)


def lines(series: Series) -> Markup:
    """Lines over time, from second 0 on, on an axis that begins at 0."""
    top = _round_up(max((value for points in series.values() for _, value in points), default=1))
    marks = {part: f"{top * part:,g}" for part in (0, 0.5, 1)}
    return _plot(
        {name: [(x, y / top) for x, y in points] for name, points in series.items()}, marks
    )


def logarithmic(series: Series) -> Markup:
    """Lines of durations over time, on an axis of powers of ten."""
    values = [value for points in series.values() for _, value in points if value] or [1.0]
    low = math.floor(math.log10(min(values)))
    high = max(low + 1, math.ceil(math.log10(max(values))))

    def place(value: float) -> float:
        return (math.log10(value) - low) / (high - low)

    scaled = {name: [(x, place(y)) for x, y in points if y] for name, points in series.items()}
    return _plot(scaled, {place(10.0**power): _label(power) for power in range(low, high + 1)})


def attempts(marks: Sequence[Mark], longest: float) -> Markup:
    """A line with a dot for each attempt; its label is above it where there is room, the waits between
    attempts are below. The width stands for `longest` seconds."""
    parts = [_shape("line", "", x1="0", x2="100%", y1=24, y2=24)]
    last_label = -100.0
    for number, mark in enumerate(marks):
        x, width = 100 * mark.at / longest, 100 * mark.took / longest
        parts.append(
            _shape("rect", mark.kind, x=f"{x:.2f}%", y=21, width=f"{width:.2f}%", height=6)
        )
        parts.append(_shape("circle", mark.kind, cx=f"{x:.2f}%", cy=24, r=6))
        if x - last_label >= _STATUS_WIDTH:
            parts.append(_text(x, 12, mark.label))
            last_label = x
        wait = marks[number + 1].wait if number + 1 < len(marks) else None
        if wait is not None and 100 * wait / longest >= _WAIT_WIDTH:
            parts.append(_text(x + width + 50 * wait / longest, 43, f"{wait:.1f} s"))
    return _svg("timeline", parts, width="100%", height=48)


def _plot(series: Series, marks: Mapping[float, str]) -> Markup:
    """Lines whose values are shares of the height, and marks of the vertical axis by their share."""
    last = max((x for points in series.values() for x, _ in points), default=0) or 1
    parts = []
    for share, label in marks.items():
        y = _PLOT * (1 - share) + 12
        parts.append(_shape("line", "axis", x1="0", x2="100%", y1=f"{y:.1f}", y2=f"{y:.1f}"))
        parts.append(_text(0, y - 3, label))
    drawn = [
        _shape(
            "polyline",
            name,
            points=" ".join(f"{1000 * x / last:.1f},{_PLOT * (1 - y):.1f}" for x, y in points),
        )
        for name, points in series.items()
    ]
    inner = Markup(
        '<svg y="12" height="{}" viewBox="0 0 1000 {}" preserveAspectRatio="none">{}</svg>'
    )
    parts.append(inner.format(_PLOT, _PLOT, Markup("").join(drawn)))
    parts += [_text(0, _PLOT + 28, "0 s"), _text(100, _PLOT + 28, f"{last:g} s")]
    return _svg("lines", parts, width="100%", height=_PLOT + 32)


def _position(seconds: float) -> float:
    """The place of a duration on the axis, from 0 to 1."""
    return math.log10(max(seconds, _FASTEST) / _FASTEST) / _DECADES


def _round_up(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    unit = 10.0 ** math.floor(math.log10(max(value, 1)))
    return next(unit * step for step in (1, 2, 5, 10) if unit * step >= value)


def _label(power: int) -> str:
    return f"{10**power:g} s" if power >= 0 else f"{10 ** (power + 3):g} ms"


def _text(x: float, y: float, text: str, *, kind: str = "", middle: bool = False) -> Markup:
    anchor = "middle" if middle or 3 <= x <= 97 else "start" if x < 3 else "end"
    at = {"x": f"{x:.2f}%", "y": f"{y:g}", "text-anchor": anchor}
    return Markup("<text{}>{}</text>").format(_attributes({"class": kind, **at}), text)


def _shape(name: str, kind: str, **attributes: object) -> Markup:
    return Markup("<{}{}/>").format(Markup(name), _attributes({"class": kind, **attributes}))  # noqa: S704


def _svg(kind: str, parts: Iterable[Markup], **attributes: object) -> Markup:
    given = _attributes({"class": kind, **attributes, "aria-hidden": "true"})
    return Markup("<svg{}>{}</svg>").format(given, Markup("").join(parts))


def _attributes(attributes: Mapping[str, object]) -> Markup:
    pair = Markup(' {}="{}"')
    return Markup("").join(
        pair.format(name, value) for name, value in attributes.items() if value != ""
    )
