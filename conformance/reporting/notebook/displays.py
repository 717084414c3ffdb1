"""How a notebook shows reports, results, traces and exchanges.

Values know nothing of HTML. Each display is a function of one value; importing `conformance` under
IPython registers them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from conformance.model.exchange import Exchange
from conformance.model.language import ENGLISH, Language
from conformance.model.report import Recording, Report, Result
from conformance.model.rules import Outcome
from conformance.model.sentence import Sentence
from conformance.reporting.html.page import fragment
from conformance.reporting.notebook.cards import card, http_message, pre
from conformance.reporting.pages.escaped_text import escape_text
from conformance.trace import StoredTrace, Trace
from conformance.trace.summary import Summary, format_quantiles

MOST_EXCHANGES = 2
"""Exchanges that the display of a result contains."""
LABELS = (
    Sentence("rule"),
    Sentence("level"),
    Sentence("what"),
    Sentence("why"),
    Sentence("fix"),
    Sentence("reproduce"),
    Sentence("evidence"),
)
"""What the rows of a result's display say."""


@dataclass(frozen=True, slots=True)
class ShownResult(Result):
    """A result with what its display needs: the trace that holds its exchanges, and a language."""

    trace: Recording = field(default_factory=Trace, repr=False, compare=False)
    language: Language = field(default=ENGLISH, repr=False, compare=False)


def exchange_display(exchange: Exchange) -> str:
    """The request and its answer as they were on the wire."""
    request, answer = exchange.request, exchange.answer
    fault = f"{exchange.fault} {exchange.detail}".strip() if exchange.fault is not None else ""
    start_line = f"{request.method} {request.url}".lstrip()
    sent = http_message(start_line, *exchange.as_received)
    received = ""
    if answer is not None:
        received = http_message(str(answer.status), answer.headers, answer.body)
    return card(
        f"#{exchange.id} {exchange.role} {exchange.name or ''}".rstrip(),
        [
            ("request", sent),
            ("answer", received),
            ("fault", fault),
            ("took", f"{exchange.seconds * 1000:,.1f} ms"),
            ("msgId", exchange.msg_id or ""),
            ("masked", ", ".join(sorted(exchange.masked))),
        ],
    )


def result_display(result: Result) -> str:
    """The result in English."""
    return _result(result, ENGLISH, None)


def shown_result_display(result: ShownResult) -> str:
    """The result in its language, with the first exchanges of its evidence."""
    ids = result.exchanges[:MOST_EXCHANGES] if result.outcome is not Outcome.PASS else ()
    evidence = Markup("").join(
        Markup(exchange_display(result.trace[number]))  # noqa: S704 - `card` escapes it
        for number in ids
    )
    return _result(result, result.language, evidence)


def summary_display(summary: Summary) -> str:
    """A trace in numbers."""
    target = f"{summary.run['side']} {summary.run['target']}" if summary.run is not None else ""
    endings_by_role = [
        (role, ", ".join(f"{ending}: {number:,}" for ending, number in endings.items()))
        for role, endings in summary.replies.items()
    ]
    outcomes = ", ".join(f"{number} {outcome}" for outcome, number in summary.outcomes.items())
    rows = [
        ("target", target),
        ("results", outcomes),
        *endings_by_role,
        ("answered in", format_quantiles(summary.times)),
    ]
    return card(f"Trace of {summary.size}", rows)


def trace_display(trace: Trace) -> str:
    """The summary of a trace in memory."""
    return stored_display(trace.stored())


def stored_display(stored: StoredTrace) -> str:
    """The summary of a trace in a file."""
    return summary_display(stored.summary())


DISPLAYS: dict[type[Any], Callable[[Any], str]] = {
    Exchange: exchange_display,
    Report: fragment,
    Result: result_display,
    ShownResult: shown_result_display,
    StoredTrace: stored_display,
    Summary: summary_display,
    Trace: trace_display,
}
"""type → its display as HTML."""


def register(shell: Any) -> None:
    """Let the IPython `shell` show every type of DISPLAYS."""
    formatter = shell.display_formatter.formatters["text/html"]
    for type_, display in DISPLAYS.items():
        formatter.for_type(type_, display)


def _result(result: Result, language: Language, evidence: Markup | None) -> str:
    rule, level = result.rule, f"{result.level} · {result.rule.source or '—'}"
    command = pre(escape_text(result.reproduce, lines=True)) if result.reproduce is not None else ""
    values = (
        rule.title.in_(language),
        level,
        result.message.in_(language),
        rule.why.in_(language),
        rule.fix.in_(language),
        command,
        evidence,
    )
    labels = [label.in_(language) for label in LABELS]
    return card(f"{result.outcome.upper()} {result.name}", zip(labels, values, strict=True))
