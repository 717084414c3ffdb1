"""A trace in a terminal: a summary, a line of a list, one exchange, one message, two runs compared.

Everything that a target sent is hostile: it is escaped before it reaches the terminal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from click import style

from conformance.checks.receiver.case import count
from conformance.model.escaping import visible
from conformance.model.exchange import Exchange, Headers, Role
from conformance.model.language import Language
from conformance.model.result import Result
from conformance.model.rules import Outcome, Verdict
from conformance.reporting.compare import Change, Comparison
from conformance.trace.summary import Summary, format_quantiles
from conformance.trace.tables import DELIVERY_ROLES

LONGEST = 4096
"""Bytes of a body that are shown."""
BROKEN = (Outcome.FAIL, Outcome.WARN, Outcome.NOTE)
COLOURS = {
    Outcome.PASS: "green",
    Outcome.FAIL: "red",
    Outcome.WARN: "yellow",
    Outcome.NOTE: "cyan",
    Outcome.SKIP: "bright_black",
    Outcome.ERROR: "magenta",
}


def summary(
    numbers: Summary, results: Sequence[Result], path: object, language: Language
) -> Iterator[str]:
    """What is in a trace, in `numbers`, and the findings of its run."""
    run = numbers.run
    if run is not None:
        yield visible(
            f"{run['side']} {run['target']}  dialect {run['dialect']}  {run['started']}  "
            f"{run['seconds']:.1f} s  hookproof {run['hookproof']}"
        )
        yield _verdict(run, numbers.outcomes)
    yield f"{numbers.size}, {numbers.seconds:.1f} s"
    yield ""
    for role, endings in numbers.replies.items():
        counts = ", ".join(f"{number:,} × {ending}" for ending, number in endings.items())
        yield f"  {role:10} {counts}"
    if numbers.times:
        yield f"  answered in {format_quantiles(numbers.times)} (#{numbers.slowest})"
    broken = [result for result in results if result.outcome in BROKEN]
    if broken:
        yield ""
    for result in broken:
        yield "  " + _result(result, language)
    yield ""
    yield f"hookproof trace {path} --show ID, --follow MSGID, --rule GLOB, --status 5xx, --slow 1"


def _verdict(run: Mapping[str, Any], outcomes: Mapping[Outcome, int]) -> str:
    verdict = Verdict(run["verdict"])
    counts = ", ".join(
        f"{outcomes[outcome]} {outcome}" for outcome in COLOURS if outcomes.get(outcome)
    )
    return f"{style(verdict.upper(), fg=COLOURS[Outcome(verdict)], bold=True)}  {counts}"


def _result(result: Result, language: Language) -> str:
    where = f"  #{result.exchanges[0]}" if result.exchanges else ""
    message = visible(result.message.in_(language))
    return f"{_outcome(result.outcome)}  {result.name}  {message}{where}"


def _outcome(outcome: Outcome) -> str:
    return style(f"{outcome:5}", fg=COLOURS[outcome])


def line(exchange: Exchange, attempt: int | None, outcome: Outcome | None) -> str:
    """An exchange in one line."""
    parts = [
        f"#{exchange.id:<6}",
        _outcome(outcome) if outcome is not None else "     ",
        f"{_ending(exchange):9}",
        f"{_milliseconds(exchange.seconds):>11}",
        f"{exchange.role:9}",
        exchange.name or "-",
        visible(exchange.msg_id or ""),
        f"attempt {attempt}" if attempt is not None and attempt > 1 else "",
    ]
    return "  ".join(part for part in parts if part)


def _ending(exchange: Exchange) -> str:
    """How an exchange ended: with a fault, or a status."""
    return str(exchange.fault or exchange.status or "-")


def exchange(
    recorded: Exchange, epoch: float | None, results: Iterable[Result], language: Language
) -> Iterator[str]:
    """One exchange as it was on the wire, and the results that rest on it."""
    yield style(f"#{recorded.id} {recorded.role} {recorded.name or ''}".rstrip(), bold=True)
    begin = (
        recorded.clock if recorded.clock is not None or epoch is None else epoch + recorded.started
    )
    when = datetime.fromtimestamp(begin, UTC).isoformat(timespec="milliseconds") if begin else "-"
    sending = _milliseconds(recorded.sent - recorded.started)
    yield f"at {when}  sent in {sending}  answered in {_milliseconds(recorded.seconds)}"
    yield f"msgId {visible(recorded.msg_id or '-')}  step {recorded.step}  {recorded.request.transport}"
    if recorded.peer is not None:
        yield f"peer {visible(recorded.peer)}"
    if recorded.masked:
        yield f"masked: {', '.join(sorted(recorded.masked))}"
    if recorded.injected is not None:
        yield f"the suite put in a fault: {visible(recorded.injected)}"
    if recorded.leg is not None:
        yield f"on the leg to the {recorded.leg}; #{recorded.link} is its other leg"
    if recorded.superseded:
        yield "its case was run again: no result rests on this exchange"
    if recorded.signing is not None and not recorded.signing.authentic:
        yield "tampered with on purpose: what was signed is not what was sent"
    yield ""
    yield style(visible(f"{recorded.request.method} {recorded.request.url}".lstrip()), fg="cyan")
    yield from _wire(*recorded.as_received)
    yield ""
    if recorded.fault is not None:
        yield style(visible(f"{recorded.fault} {recorded.detail}".rstrip()), fg="magenta")
    if recorded.answer is not None:
        yield style(str(recorded.answer.status), fg="cyan")
        yield from _wire(recorded.answer.headers, recorded.answer.body, cut=recorded.answer.cut)
    about = [result for result in results if recorded.id in result.exchanges]
    if about:
        yield ""
    for result in about:
        yield _result(result, language)


def _wire(headers: Headers, body: bytes, *, cut: bool = False) -> Iterator[str]:
    for name, value in headers:
        yield f"{_text(name)}: {_text(value)}"
    if body:
        yield ""
        yield from _text(body[:LONGEST]).split("\n")
    if len(body) > LONGEST or cut:
        more = "more than " if cut else ""
        yield style(f"… {more}{len(body):,} bytes, {min(len(body), LONGEST):,} shown", dim=True)


def _text(part: bytes) -> str:
    return visible(part.decode("utf-8", "backslashreplace"))


def message(exchanges: Sequence[Exchange], accepted: Iterable[int]) -> Iterator[str]:
    """One message, attempt by attempt: all of its `exchanges`, in the order in which they began.
    `accepted` are the statuses that count as success."""
    by_endpoint: dict[str, list[Exchange]] = {}
    for sent in exchanges:
        delivering = sent.role in DELIVERY_ROLES
        endpoint = sent.request.url.partition("?")[0] if delivering else sent.role
        by_endpoint.setdefault(endpoint, []).append(sent)
    begin, success = min(sent.started for sent in exchanges), frozenset(accepted)
    effects = [count(sent) for sent in exchanges if sent.role is Role.OBSERVE]
    for endpoint, attempts in by_endpoint.items():
        yield style(visible(endpoint), bold=True)
        previous: Exchange | None = None
        for number, attempt in enumerate(attempts, 1):
            wait = attempt.started - previous.ended if previous is not None else None
            yield _attempt(attempt, number, attempt.started - begin, wait)
            previous = attempt
        if attempts[0].role in DELIVERY_ROLES:
            yield f"  {_delivery(attempts, begin, success, effects[-1] if effects else None)}"


def _delivery(
    attempts: Sequence[Exchange], begin: float, success: Collection[int], effects: int | None
) -> str:
    """How the delivery to one endpoint ended; `effects` is the observer's last count."""
    accepted = next((attempt for attempt in attempts if attempt.status in success), None)
    if accepted is None:
        ended = any(attempt.answer is not None or attempt.fault is not None for attempt in attempts)
        return "not delivered" if ended else "no answer is recorded"
    after = f"after {accepted.ended - begin:.3f} s"
    if effects == 0:
        return f"answered {accepted.status} {after}, and lost: the observer counted 0"
    twice = f", and took effect {effects} times" if effects is not None and effects > 1 else ""
    return f"delivered {after}{twice}"


def _attempt(attempt: Exchange, number: int, after: float, wait: float | None) -> str:
    parts = [
        f"#{attempt.id:<6}",
        f"{number:>3}.",
        f"+{after:8.3f} s",
        f"waited {wait:8.3f} s" if wait is not None else " " * 17,
        f"{_ending(attempt):9}",
        f"{_milliseconds(attempt.seconds):>11}",
        f"{attempt.role:9}",
        attempt.name or "",
        _effects(attempt),
    ]
    return "  " + "  ".join(parts).rstrip()


def _effects(exchange: Exchange) -> str:
    """The observer's count, if it answered with a number."""
    effects = count(exchange) if exchange.role is Role.OBSERVE else None
    return f"count {effects}" if effects is not None else ""


_TITLES = {
    "regressed": "Regressed",
    "appeared": "Broken, not judged before",
    "still": "Still broken",
    "unjudged": "Broken before, not judged now",
    "fixed": "Fixed",
}


def comparison(changes_by_kind: Comparison, language: Language) -> Iterator[str]:
    """The changes between two runs, the worst first."""
    for name, title in _TITLES.items():
        changes: list[Change] = getattr(changes_by_kind, name)
        if changes:
            yield style(f"{title}: {len(changes)}", bold=True)
        for change in changes:
            yield "  " + _change(change, language)
    counts = [f"{len(getattr(changes_by_kind, name))} {name}" for name in _TITLES]
    yield ", ".join(counts)


def _change(change: Change, language: Language) -> str:
    before = change.before.outcome if change.before is not None else "-"
    after = change.after.outcome if change.after is not None else "-"
    result = change.after or change.before
    message = visible(result.message.in_(language)) if result is not None else ""
    return f"{change.name}  {before} → {after}  {message}".rstrip()


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"
