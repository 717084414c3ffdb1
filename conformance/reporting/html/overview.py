"""The head of a report: bars of outcomes and groups, and answer times. Static SVG without script or style
of its own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from conformance.model.exchange import Exchange, Role
from conformance.model.report import Report, Result
from conformance.model.rules import Outcome
from conformance.protocol.delivery import GUIDE_DEADLINE

ORDER = (Outcome.FAIL, Outcome.ERROR, Outcome.WARN, Outcome.NOTE, Outcome.SKIP, Outcome.PASS)
"""Outcomes, the gravest first."""
_DECADES, _BARS = 5, 6
"""The axis of answer times: decades from _FASTEST on (0.1 ms to 10 s), and bars per decade."""
_FASTEST = 1e-4
_HEIGHT = 72
_TICKS = ((1e-3, "1 ms"), (1e-2, "10 ms"), (1e-1, "100 ms"), (1.0, "1 s"))
_DELIVERIES = (Role.PLAIN, Role.CONTROL, Role.PROBE)
"""Roles of the deliveries that a receiver under test answered."""


@dataclass(frozen=True, slots=True)
class Group:
    """The results of the rules of one group, as `receiver.signature`."""

    side: str
    name: str
    counts: Mapping[Outcome, int]
    bar: Markup


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """How long answers took, in seconds: the median, the 99th percentile (`late`), and the `slowest`
    exchange of `number`."""

    drawing: Markup
    median: float
    late: float
    slowest: Exchange
    number: int


def group_of(rule: str) -> str:
    """The part of a rule's id that names its group."""
    parts = rule.split(".")
    return parts[1] if len(parts) > 2 else parts[0]


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
        part = Markup('<rect class="{}" x="{:.1f}" width="{:.1f}" height="8"/>')
        parts.append(part.format(outcome.value, start, width))
        start += width + gap
    svg = Markup(
        '<svg class="bar" viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    )
    return svg.format(Markup("").join(parts))


def groups(reports: Iterable[Report]) -> list[Group]:
    """The groups of all rules in the order of the reports, each with its bar. The group with the most
    results has the longest bar."""
    by_group: dict[tuple[str, str], list[Result]] = {}
    for report in reports:
        for result in report.results:
            by_group.setdefault((report.side, group_of(result.rule.id)), []).append(result)
    most = max(map(len, by_group.values()), default=1)
    return [
        Group(side, name, counts, bar(counts, len(results) / most))
        for (side, name), results in by_group.items()
        for counts in [Counter(result.outcome for result in results)]
    ]


def answer_times(exchanges: Iterable[Exchange]) -> AnswerTimes | None:
    """How long a receiver under test took to answer, against the deadline; None without an answer."""
    answered = sorted(
        (
            exchange
            for exchange in exchanges
            if exchange.role in _DELIVERIES and exchange.status is not None
        ),
        key=lambda exchange: exchange.seconds,
    )
    if not answered:
        return None
    return AnswerTimes(
        drawing=_histogram([exchange.seconds for exchange in answered]),
        median=answered[len(answered) // 2].seconds,
        late=answered[len(answered) * 99 // 100].seconds,
        slowest=answered[-1],
        number=len(answered),
    )


def _histogram(times: list[float]) -> Markup:
    bars = _DECADES * _BARS
    counts = Counter(min(bars - 1, max(0, int(_position(time) * bars))) for time in times)
    most = max(counts.values())
    deadline = _position(GUIDE_DEADLINE)
    parts = []
    for number, count in sorted(counts.items()):
        # A single late answer among thousands must be visible.
        height = max(2.0, _HEIGHT * count / most)
        kind = "late" if (number + 0.5) / bars > deadline else "in-time"
        parts.append(
            Markup(
                '<rect class="{}" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{:.1f}"/>'
            ).format(kind, 100 * number / bars, _HEIGHT - height, 100 / bars - 0.4, height)
        )
    base, end = _HEIGHT + 0.5, _HEIGHT + 16
    parts.append(Markup('<line class="axis" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(base))
    line = Markup('<line class="deadline" x1="{0:.2f}%" x2="{0:.2f}%" y1="0" y2="{1}"/>')
    parts.append(line.format(100 * deadline, base))
    label = Markup('<text x="{:.2f}%" y="{}" text-anchor="middle"{}>{}</text>')
    for seconds, name in _TICKS:
        parts.append(label.format(100 * _position(seconds), end, "", name))
    kind, name = Markup(' class="deadline"'), f"{GUIDE_DEADLINE:g} s"
    parts.append(label.format(100 * deadline, end, kind, name))
    svg = Markup('<svg class="times" width="100%" height="{}" aria-hidden="true">{}</svg>')
    return svg.format(end + 4, Markup("").join(parts))


def _position(seconds: float) -> float:
    """The place of a time on the axis, from 0 to 1."""
    return math.log10(max(seconds, _FASTEST) / _FASTEST) / _DECADES
