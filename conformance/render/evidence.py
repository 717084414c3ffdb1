"""What was seen of a target, made ready for an HTML page: escaped, cut, grouped by rule.

Whatever a target sent is hostile. Nothing leaves here but Markup, made by `markup`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from markupsafe import Markup

from conformance.exchange import Exchange, Headers
from conformance.markup import LONGEST_HEADER, as_text, header, marked
from conformance.render.words import FAULTS, TRANSPORTS, WORDS
from conformance.report import Report, Result
from conformance.rules import Outcome, Rule
from conformance.text import NO_TEXT

LONGEST_LINE = 10_000
"""Characters of a line to paste; a longer one stands in the JSON report alone."""
MOST_HEADERS = 40


@dataclass(frozen=True, slots=True)
class ShownExchange:
    """`call` and `came` say in short what `request` and `answer` show whole."""

    id: int
    call: Markup
    came: Markup
    milliseconds: str
    way: str
    request: Markup
    answer: Markup | None
    fault: Markup | None


@dataclass(frozen=True, slots=True)
class ShownResult:
    """`exchanges` are shown here, `elsewhere` are ids shown further up, `more` were left out."""

    result: Result
    message: Markup
    line: Markup | None
    exchanges: tuple[ShownExchange, ...]
    elsewhere: tuple[int, ...]
    more: int


@dataclass(frozen=True, slots=True)
class ShownRule:
    """The results of one rule that came to the same outcome."""

    rule: Rule
    results: tuple[ShownResult, ...]

    @property
    def levels(self) -> list[str]:
        """The levels of the results, each once: a case may be of another level than its rule."""
        return list(dict.fromkeys(each.result.level.value for each in self.results))

    def messages(self) -> dict[Markup, list[str]]:
        """What was seen, each once → the cases that showed it, with their levels if these differ."""
        seen: dict[Markup, list[str]] = {}
        for each in self.results:
            cases = seen.setdefault(each.message, [])
            if each.result.case is not None:
                level = f" {each.result.level}" if len(self.levels) > 1 else ""
                cases.append(f"[{each.result.case}]{level}")
        return seen


def telling(result: Result, most: int) -> tuple[int, ...]:
    """Ids of the exchanges that are shown of a result, where there is room for `most`."""
    return () if result.outcome is Outcome.PASS else result.exchanges[:most]


def weight(report: Report, most: int, longest: int) -> int:
    """Bytes of bodies that would be shown, before anything is escaped."""
    wanted = {each for result in report.results for each in telling(result, most)}
    shown = [each for each in report.trace if each.id in wanted]
    answers = [each.answer.body for each in shown if each.answer is not None]
    return sum(min(len(body), longest) for body in [*(it.request.body for it in shown), *answers])


class Evidence:
    """The exchanges of a report, at most `most` for a result and `longest` bytes of a body.

    Each is shown once; a later result points to it.
    """

    def __init__(self, report: Report, most: int, longest: int) -> None:
        self._language = report.language
        self._cause = report.cause
        self._by_id = {each.id: each for each in report.trace}
        self._most, self._longest = most, longest
        self._placed: set[int] = set()

    def by_rule(self, results: Iterable[Result]) -> list[ShownRule]:
        """`results` as they are shown, in their order."""
        rules: dict[str, list[Result]] = {}
        for each in results:
            rules.setdefault(each.rule.id, []).append(each)
        return [
            ShownRule(alike[0].rule, tuple(self._result(each) for each in alike))
            for alike in rules.values()
        ]

    def _result(self, result: Result) -> ShownResult:
        shown = [each for each in telling(result, self._most) if each in self._by_id]
        here = [each for each in shown if each not in self._placed]
        self._placed.update(here)
        # The cause of all stands at the top of the page, and is not told twice.
        message = WORDS["see-cause"] if result.message == self._cause else result.message
        line = result.reproduce
        return ShownResult(
            result=result,
            message=marked(message.in_(self._language)) if message else Markup(""),
            line=marked(line, keep="\n\t") if line and len(line) <= LONGEST_LINE else None,
            exchanges=tuple(self._exchange(self._by_id[each]) for each in here),
            elsewhere=tuple(each for each in shown if each not in here),
            more=max(0, len(result.exchanges) - self._most),
        )

    def _exchange(self, exchange: Exchange) -> ShownExchange:
        request, answer, fault = exchange.request, exchange.answer, exchange.fault
        told = came = None
        if fault is not None:
            detail = f" ({exchange.detail})" if exchange.detail else ""
            told = marked((FAULTS[fault].in_(self._language) + detail)[:LONGEST_HEADER])
        if answer is not None:
            status = Markup("{} {}").format(answer.status, _phrase(answer.status))
            came = self._wire(status, answer.headers, answer.body, more=answer.cut)
        path = "/" + request.url.split("/", 3)[-1]
        return ShownExchange(
            id=exchange.id,
            call=marked(f"{request.method} {path}"[:LONGEST_HEADER]),
            came=told or Markup("{}").format(exchange.status),
            milliseconds=_milliseconds(exchange.seconds),
            way=TRANSPORTS.get(request.transport, NO_TEXT).in_(self._language),
            request=self._wire(
                marked(f"{request.method} {request.url}"[:LONGEST_HEADER]),
                request.headers,
                request.body,
            ),
            answer=came,
            fault=told,
        )

    def _wire(self, first: Markup, headers: Headers, body: bytes, *, more: bool = False) -> Markup:
        """A request or an answer as it stood on the wire, the body cut where it is long.

        `more`: the body was longer still than what was kept of it.
        """
        lines = [Markup("<b>{}</b>").format(first)]
        for name, value in headers[:MOST_HEADERS]:
            lines.append(Markup("<s>{}:</s> {}").format(header(name), header(value)))
        if len(headers) > MOST_HEADERS:
            lines.append(self._remark("cut-headers", len(headers), MOST_HEADERS))
        if body:
            lines += [Markup(""), as_text(body, self._longest)]
        if more or len(body) > self._longest:
            shown = min(self._longest, len(body))
            lines.append(self._remark("cut-more" if more else "cut", len(body), shown))
        return Markup("\n").join(lines)

    def _remark(self, name: str, whole: int, shown: int) -> Markup:
        text = WORDS[name].in_(self._language).format(whole=f"{whole:,}", shown=f"{shown:,}")
        return Markup("<em>{}</em>").format(text)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _milliseconds(seconds: float) -> str:
    milliseconds = seconds * 1000
    number = f"{milliseconds:,.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}"
    return f"{number}\N{NO-BREAK SPACE}ms"
