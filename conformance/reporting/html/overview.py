"""The head of a report: what its charts show, which are outcomes by group, and answer times."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from conformance.model.exchange import Exchange, Role
from conformance.model.report import Report
from conformance.model.rules import Outcome
from conformance.protocol.delivery import GUIDE_DEADLINE
from conformance.reporting.charts import bar, durations

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


def groups(reports: Iterable[Report]) -> list[Group]:
    """The groups of all rules in the order of the reports, each with its bar. The group with the most
    results has the longest bar."""
    by_group: defaultdict[tuple[str, str], Counter[Outcome]] = defaultdict(Counter)
    for report in reports:
        for result in report.results:
            by_group[report.side, group_of(result.rule.id)][result.outcome] += 1
    most = max(map(Counter.total, by_group.values()), default=1)
    return [
        Group(side, name, counts, bar(counts, counts.total() / most))
        for (side, name), counts in by_group.items()
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
        drawing=durations(((each.seconds, 1) for each in answered), GUIDE_DEADLINE),
        median=answered[len(answered) // 2].seconds,
        late=answered[len(answered) * 99 // 100].seconds,
        slowest=answered[-1],
        number=len(answered),
    )
