"""The results of reports made ready for one HTML page: grouped by rule, each with its evidence.

A page has room for a limited amount of evidence. Failures come first, and of each result its first
exchange before the further ones of any, so that no single result takes all the room.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from markupsafe import Markup

from conformance.model.exchange import Exchange
from conformance.model.report import Report, Result
from conformance.model.rules import Outcome, Rule
from conformance.model.sentence import verbatim
from conformance.model.text import Statement
from conformance.reporting.charts import ORDER
from conformance.reporting.html.exchange import ExchangeRenderer, ExchangeView
from conformance.reporting.html.overview import group_of
from conformance.reporting.html.timeline import Timeline, Timelines
from conformance.reporting.pages.escaped_text import both, escape_text
from conformance.reporting.translations import WORDS
from conformance.scenario.load import group_titles

ROOM = 700_000
"""Bytes of evidence on a page, for all of its reports."""
LONGEST_LINE = 10_000
"""Characters of a command to paste; only the JSON report has a longer one."""
MOST_RULES = 2000
"""Rules that are shown in full; the rest have a line each."""
MOST_EXCHANGES = 20
"""Exchanges of one result."""
_BODY, _PASSING_BODY = 2048, 512
"""Bytes that are shown of a body, in a result that did not pass and in one that did."""
_MOST_MESSAGES, _MOST_CASES = 3, 8
"""Messages at the head of a rule, and cases that are listed with each."""


@dataclass(frozen=True, slots=True)
class ResultView:
    """A result with its evidence. `exchanges` are shown here, `elsewhere` are the ids of exchanges
    that are shown above, `more` counts those that were left out."""

    result: Result
    message: Markup
    line: Markup | None
    exchanges: tuple[ExchangeView, ...]
    elsewhere: tuple[int, ...]
    more: int
    timelines: tuple[Timeline, ...]

    @property
    def evident(self) -> bool:
        """Whether there is any evidence to unfold."""
        return bool(self.line or self.exchanges or self.elsewhere or self.timelines)


@dataclass(frozen=True, slots=True)
class RuleView:
    """The results of one rule with the same outcome and level. `place` is the id of its element,
    `prefix` begins the ids of its exchanges."""

    place: str
    prefix: str
    side: str
    rule: Rule
    outcome: Outcome
    level: str
    results: tuple[ResultView, ...]
    alike: bool
    """Whether all cases share one message."""
    short: bool
    """Whether the rule gets only a line, because many rules come before it."""

    @property
    def bare(self) -> bool:
        """Whether the page had no room for the evidence of some of the results."""
        return any(not view.evident and view.more for view in self.results)

    @property
    def group(self) -> str:
        """The value for the page's filter by group."""
        return f"{self.side}.{group_of(self.rule.id)}"

    def heads(self) -> list[tuple[Markup, list[str], int]]:
        """Each distinct message: (message, the first cases with it, the number of further cases)."""
        cases_by_message: dict[Markup, list[str]] = {}
        for view in self.results:
            cases = cases_by_message.setdefault(view.message, [])
            if view.result.case is not None:
                cases.append(f"[{view.result.case}]")
        return [
            (message, cases[:_MOST_CASES], max(0, len(cases) - _MOST_CASES))
            for message, cases in list(cases_by_message.items())[:_MOST_MESSAGES]
        ]


def group_name(side: str, name: str) -> Statement:
    """The name of a group of rules for people."""
    return group_titles()[side].get(name, verbatim(name))


class Evidence:
    """The evidence of `reports` on one page, in the order of `ORDER`."""

    def __init__(self, reports: Iterable[Report]) -> None:
        self._sides = [_Side(report) for report in reports]
        self._room = ROOM
        not_passed = [it for it in self._results() if it[1].outcome is not Outcome.PASS]
        passed = [it for it in self._results() if it[1].outcome is Outcome.PASS]
        for position in range(MOST_EXCHANGES):
            for side, result in not_passed:
                self._take(side, result, position, _BODY)
        for side, result in passed:
            self._take(side, result, 0, _PASSING_BODY)

    def sections(self) -> list[tuple[Outcome, list[RuleView]]]:
        """The rules of each outcome that occurs."""
        numbers = count()
        sections = [
            (
                outcome,
                [
                    rule
                    for side in self._sides
                    for rule in side.rules(outcome, self.prefix(side), numbers)
                ],
            )
            for outcome in ORDER
        ]
        return [(outcome, rules) for outcome, rules in sections if rules]

    def prefix(self, side: _Side) -> str:
        """The beginning of the ids of a side's elements, which must be unique in a page."""
        return "" if len(self._sides) == 1 else f"{self._sides.index(side)}-"

    def _results(self) -> Iterator[tuple[_Side, Result]]:
        for outcome in ORDER:
            for side in self._sides:
                for result in side.report.having(outcome):
                    yield side, result

    def _take(self, side: _Side, result: Result, position: int, longest: int) -> None:
        """Take room for the result's exchange at `position`, and with the first for its command."""
        if self._room <= 0:
            return
        if position == 0 and result.reproduce and len(result.reproduce) <= LONGEST_LINE:
            side.lines.add(result.name)
            self._room -= len(result.reproduce)
        if position < len(result.exchanges):
            self._room -= side.take(result.exchanges[position], longest)


class _Side:
    """One report of the page: its exchanges by id, and which of them are shown."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.lines: set[str] = set()
        """The names of the results whose command is shown."""
        self._by_id = {exchange.id: exchange for exchange in report.trace}
        self._renderer = ExchangeRenderer(report.trace)
        self._timelines = Timelines(report.trace)
        self._views: dict[int, ExchangeView] = {}
        self._placed: set[int] = set()

    def take(self, number: int, longest: int) -> int:
        """Show the exchange `number`. Returns the bytes that it takes, 0 if it is shown already."""
        exchange = self._by_id.get(number)
        if exchange is None or number in self._views:
            return 0
        self._views[number] = view = self._renderer.render(exchange, longest)
        return view.weight

    def rules(self, outcome: Outcome, prefix: str, numbers: Iterator[int]) -> list[RuleView]:
        """The results with `outcome` by rule and level, in their order; `numbers` counts the rules of
        the page."""
        by_rule: dict[tuple[str, str], list[Result]] = {}
        for result in self.report.having(outcome):
            by_rule.setdefault((result.rule.id, result.level.value), []).append(result)
        return [
            RuleView(
                place=f"{prefix}{outcome.value}-{rule}-{level}",
                prefix=prefix,
                side=self.report.side,
                rule=results[0].rule,
                outcome=outcome,
                level=level,
                results=tuple(self._view(result) for result in results),
                alike=len({result.message for result in results}) == 1,
                short=next(numbers) >= MOST_RULES,
            )
            for (rule, level), results in by_rule.items()
        ]

    def _view(self, result: Result) -> ResultView:
        shown = [number for number in result.exchanges[:MOST_EXCHANGES] if number in self._views]
        here = [number for number in shown if number not in self._placed]
        self._placed.update(here)
        # The root cause is at the top of the page, and is not repeated here.
        explained = bool(result.message) and result.message == self.report.cause
        message = WORDS["see-cause"] if explained else result.message
        line = result.reproduce if result.name in self.lines else None
        recorded = [number for number in result.exchanges if number in self._by_id]
        return ResultView(
            result=result,
            message=both(message),
            line=escape_text(line, lines=True) if line else None,
            exchanges=tuple(self._views[number] for number in here),
            elsewhere=tuple(number for number in shown if number not in here),
            more=len(recorded) - len(shown),
            timelines=tuple(self._timelines.of(self._exchanges(shown))),
        )

    def _exchanges(self, numbers: list[int]) -> list[Exchange]:
        return [self._by_id[number] for number in numbers]
