"""What a report shows at its head: bars of outcomes and of groups, answer times; static SVG without script
or style of its own."""

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
"""Outcomes by weight."""
_DECADES, _BARS = 5, 6
"""Answer times are drawn from 0.1 ms to 10 s, in so many bars for a factor of ten."""
_FASTEST = 1e-4
_HEIGHT = 72
_TICKS = ((1e-3, "1 ms"), (1e-2, "10 ms"), (1e-1, "100 ms"), (1.0, "1 s"))
_OWN = (Role.PLAIN, Role.CONTROL, Role.PROBE)
"""Requests whose answers a receiver under test gave to a delivery."""


@dataclass(frozen=True, slots=True)
class Group:
    """Results of the rules under one prefix: `receiver.signature`."""

    side: str
    name: str
    counts: Mapping[Outcome, int]
    bar: Markup


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """How long the answers took, in seconds; `slowest` is the exchange that took longest."""

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
    """`counts` as one bar cut by outcome, as long as `share` of the width."""
    seen = [(outcome, counts[outcome]) for outcome in ORDER if counts.get(outcome)]
    total = sum(count for _, count in seen)
    # What is rare must still be seen, so that each part has a width of its own to begin with.
    least, gap = 8.0, 3.0
    room = max(0.0, 1000 * share - len(seen) * (least + gap) + gap)
    parts, start = [], 0.0
    for outcome, count in seen:
        width = least + room * count / total
        part = Markup('<rect class="{}" x="{:.1f}" width="{:.1f}" height="8"/>')
        parts.append(part.format(outcome.value, start, width))
        start += width + gap
    svg = Markup(
        '<svg class="bar" viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    )
    return svg.format(Markup("").join(parts))


def groups(reports: Iterable[Report]) -> list[Group]:
    """The groups of all rules in the order in which they stand, each with its bar: the longest one
    is that of most results."""
    found: dict[tuple[str, str], list[Result]] = {}
    for report in reports:
        for each in report.results:
            found.setdefault((report.side, group_of(each.rule.id)), []).append(each)
    most = max(map(len, found.values()), default=1)
    return [
        Group(side, name, counts, bar(counts, len(results) / most))
        for (side, name), results in found.items()
        for counts in [Counter(each.outcome for each in results)]
    ]


def answer_times(exchanges: Iterable[Exchange]) -> AnswerTimes | None:
    """How long a receiver under test took to answer, against the deadline; None where it did not."""
    answered = sorted(
        (each for each in exchanges if each.role in _OWN and each.status is not None),
        key=lambda each: each.seconds,
    )
    if not answered:
        return None
    return AnswerTimes(
        drawing=_histogram([each.seconds for each in answered]),
        median=answered[len(answered) // 2].seconds,
        late=answered[len(answered) * 99 // 100].seconds,
        slowest=answered[-1],
        number=len(answered),
    )


def _histogram(times: list[float]) -> Markup:
    bars = _DECADES * _BARS
    counts = Counter(min(bars - 1, max(0, int(_position(each) * bars))) for each in times)
    most = max(counts.values())
    deadline = _position(GUIDE_DEADLINE)
    parts = []
    for number, count in sorted(counts.items()):
        # A single late answer among thousands must be seen.
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
    """Where a time stands on the axis, from 0 to 1."""
    return math.log10(max(seconds, _FASTEST) / _FASTEST) / _DECADES
