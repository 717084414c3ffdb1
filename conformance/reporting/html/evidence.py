"""The results of reports made ready for one HTML page: grouped by rule, with what shows each of them.

A page has room for so much evidence. What broke comes first, the telling exchange of each result
before the further ones of any, so that no result takes the room of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from markupsafe import Markup

from conformance.model.exchange import Exchange
from conformance.model.report import Report, Result
from conformance.model.rules import Outcome, Rule
from conformance.model.text import Text
from conformance.reporting.html.exchange import ShownExchange, Wire
from conformance.reporting.html.overview import ORDER, group_of
from conformance.reporting.html.timeline import Attempts, Timeline
from conformance.reporting.pages.escaped import both, marked
from conformance.reporting.translations import GROUPS, WORDS

ROOM = 700_000
"""Bytes of evidence on a page, for all of its reports."""
LONGEST_LINE = 10_000
"""Characters of a line to paste; a longer one stands in the JSON report alone."""
MOST_RULES = 2000
"""Rules that are shown with all that is known of them; the rest have a line each."""
MOST_EXCHANGES = 20
"""Exchanges of one result."""
_BODY, _PASSING_BODY = 2048, 512
"""Bytes that are shown of a body, where something broke and where nothing did."""
_MOST_MESSAGES, _MOST_CASES = 3, 8
"""What a rule says at its head: so many messages, and so many cases of each."""


@dataclass(frozen=True, slots=True)
class ShownResult:
    """`exchanges` are shown here, `elsewhere` are ids shown further up, `more` were left out."""

    result: Result
    message: Markup
    line: Markup | None
    exchanges: tuple[ShownExchange, ...]
    elsewhere: tuple[int, ...]
    more: int
    timelines: tuple[Timeline, ...]

    @property
    def evident(self) -> bool:
        """Whether there is anything to unfold."""
        return bool(self.line or self.exchanges or self.elsewhere or self.timelines)


@dataclass(frozen=True, slots=True)
class ShownRule:
    """The results of one rule that came to the same outcome at the same level; `place` is the id of
    its element, `prefix` that of its exchanges."""

    place: str
    prefix: str
    side: str
    rule: Rule
    outcome: Outcome
    level: str
    results: tuple[ShownResult, ...]
    alike: bool
    """Whether one message says what was seen of every case."""
    short: bool
    """Whether a line must do, since so many rules stand before it."""

    @property
    def bare(self) -> bool:
        """Whether the page had no room for what shows some of the results."""
        return any(not each.evident and each.more for each in self.results)

    @property
    def group(self) -> str:
        """What the page's filter by group goes by."""
        return f"{self.side}.{group_of(self.rule.id)}"

    def heads(self) -> list[tuple[Markup, list[str], int]]:
        """What was seen, each once: (message, the first cases that showed it, how many more did)."""
        seen: dict[Markup, list[str]] = {}
        for each in self.results:
            cases = seen.setdefault(each.message, [])
            if each.result.case is not None:
                cases.append(f"[{each.result.case}]")
        return [
            (message, cases[:_MOST_CASES], max(0, len(cases) - _MOST_CASES))
            for message, cases in list(seen.items())[:_MOST_MESSAGES]
        ]


def group_name(side: str, name: str) -> Text:
    """How people call a group of rules."""
    return GROUPS.get((side, name), Text(name, name))


class Evidence:
    """What is shown of `reports` on one page, in the order of `ORDER`."""

    def __init__(self, reports: Iterable[Report]) -> None:
        self._sides = [_Side(each) for each in reports]
        self._left = ROOM
        broken = [it for it in self._results() if it[1].outcome is not Outcome.PASS]
        passed = [it for it in self._results() if it[1].outcome is Outcome.PASS]
        for round_ in range(MOST_EXCHANGES):
            for side, result in broken:
                self._take(side, result, round_, _BODY)
        for side, result in passed:
            self._take(side, result, 0, _PASSING_BODY)

    def sections(self) -> list[tuple[Outcome, list[ShownRule]]]:
        """The rules of each outcome that there is."""
        numbers = count()
        found = [
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
        return [(outcome, rules) for outcome, rules in found if rules]

    def prefix(self, side: _Side) -> str:
        """What the ids of a side's elements begin with: ids are unique in a page."""
        return "" if len(self._sides) == 1 else f"{self._sides.index(side)}-"

    def _results(self) -> Iterator[tuple[_Side, Result]]:
        for outcome in ORDER:
            for side in self._sides:
                for each in side.report.having(outcome):
                    yield side, each

    def _take(self, side: _Side, result: Result, position: int, longest: int) -> None:
        """Find room for the result's exchange at `position`, and with the first for the line."""
        if self._left <= 0:
            return
        if position == 0 and result.reproduce and len(result.reproduce) <= LONGEST_LINE:
            side.lines.add(result.name)
            self._left -= len(result.reproduce)
        if position < len(result.exchanges):
            self._left -= side.take(result.exchanges[position], longest)


class _Side:
    """One report of the page: its exchanges by id, and which of them are shown."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.lines: set[str] = set()
        self._by_id = {each.id: each for each in report.trace}
        self._wire = Wire(report.trace)
        self._attempts = Attempts(report.trace)
        self._shown: dict[int, ShownExchange] = {}
        self._placed: set[int] = set()

    def take(self, number: int, longest: int) -> int:
        """Show the exchange `number`; gives the bytes that it takes, 0 when it is shown already."""
        exchange = self._by_id.get(number)
        if exchange is None or number in self._shown:
            return 0
        self._shown[number] = shown = self._wire.show(exchange, longest)
        return shown.weight

    def rules(self, outcome: Outcome, prefix: str, numbers: Iterator[int]) -> list[ShownRule]:
        """The results with `outcome` by rule and level, in their order; `numbers` counts the rules of
        the page."""
        alike: dict[tuple[str, str], list[Result]] = {}
        for each in self.report.having(outcome):
            alike.setdefault((each.rule.id, each.level.value), []).append(each)
        return [
            ShownRule(
                place=f"{prefix}{outcome.value}-{rule}-{level}",
                prefix=prefix,
                side=self.report.side,
                rule=results[0].rule,
                outcome=outcome,
                level=level,
                results=tuple(self._result(each) for each in results),
                alike=len({(each.message.en, each.message.zh) for each in results}) == 1,
                short=next(numbers) >= MOST_RULES,
            )
            for (rule, level), results in alike.items()
        ]

    def _result(self, result: Result) -> ShownResult:
        shown = [each for each in result.exchanges[:MOST_EXCHANGES] if each in self._shown]
        here = [each for each in shown if each not in self._placed]
        self._placed.update(here)
        # The cause of all stands at the top of the page, and is not told twice.
        known = bool(result.message) and result.message == self.report.cause
        told = WORDS["see-cause"] if known else result.message
        line = result.reproduce if result.name in self.lines else None
        return ShownResult(
            result=result,
            message=both(told),
            line=marked(line, lines=True) if line else None,
            exchanges=tuple(self._shown[each] for each in here),
            elsewhere=tuple(each for each in shown if each not in here),
            more=len([each for each in result.exchanges if each in self._by_id]) - len(shown),
            timelines=tuple(self._attempts.of(self._exchanges(shown))),
        )

    def _exchanges(self, shown: list[int]) -> list[Exchange]:
        return [self._by_id[each] for each in shown]
