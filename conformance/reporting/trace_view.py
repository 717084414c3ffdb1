"""A trace in a terminal: in numbers, as a list, one exchange, one message, two runs side by side.

Whatever a target sent is hostile: nothing of it reaches a terminal but what is harmless to show.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from click import style

from conformance.checks.receiver.case import count
from conformance.model.escaping import visible
from conformance.model.exchange import Exchange, Headers, Role
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
    found: Summary, results: Sequence[Result], path: object, language: str
) -> Iterator[str]:
    """What is in a trace, and what was found."""
    run = found.run
    if run is not None:
        yield visible(
            f"{run['side']} {run['target']}  dialect {run['dialect']}  {run['started']}  "
            f"{run['seconds']:.1f} s  hookproof {run['hookproof']}"
        )
        yield _verdict(run, found.outcomes)
    yield f"{found.size}, {found.seconds:.1f} s"
    yield ""
    for role, came in found.replies.items():
        counts = ", ".join(f"{number:,} × {what}" for what, number in came.items())
        yield f"  {role:10} {counts}"
    if found.times:
        yield f"  answered in {format_quantiles(found.times)} (#{found.slowest})"
    broken = [each for each in results if each.outcome in BROKEN]
    if broken:
        yield ""
    for each in broken:
        yield "  " + _result(each, language)
    yield ""
    yield f"hookproof trace {path} --show ID, --follow MSGID, --rule GLOB, --status 5xx, --slow 1"


def _verdict(run: Mapping[str, Any], outcomes: Mapping[Outcome, int]) -> str:
    verdict = Verdict(run["verdict"])
    counts = ", ".join(f"{outcomes[each]} {each}" for each in COLOURS if outcomes.get(each))
    return f"{style(verdict.upper(), fg=COLOURS[Outcome(verdict)], bold=True)}  {counts}"


def _result(each: Result, language: str) -> str:
    where = f"  #{each.exchanges[0]}" if each.exchanges else ""
    said = visible(each.message.in_(language))
    return f"{_outcome(each.outcome)}  {each.name}  {said}{where}"


def _outcome(outcome: Outcome) -> str:
    return style(f"{outcome:5}", fg=COLOURS[outcome])


def line(each: Exchange, attempt: int | None, outcome: Outcome | None) -> str:
    """An exchange in one line."""
    parts = [
        f"#{each.id:<6}",
        _outcome(outcome) if outcome is not None else "     ",
        f"{came(each):9}",
        f"{_milliseconds(each.seconds):>11}",
        f"{each.role:9}",
        each.name or "-",
        visible(each.msg_id or ""),
        f"attempt {attempt}" if attempt is not None and attempt > 1 else "",
    ]
    return "  ".join(part for part in parts if part)


def came(each: Exchange) -> str:
    """What came back: a status, or the fault in its place."""
    return str(each.fault or each.status or "-")


def exchange(
    each: Exchange, epoch: float | None, results: Iterable[Result], language: str
) -> Iterator[str]:
    """One exchange as it was on the wire, and what was said of it."""
    yield style(f"#{each.id} {each.role} {each.name or ''}".rstrip(), bold=True)
    begun = each.clock if each.clock is not None or epoch is None else epoch + each.started
    when = datetime.fromtimestamp(begun, UTC).isoformat(timespec="milliseconds") if begun else "-"
    sending = _milliseconds(each.sent - each.started)
    yield f"at {when}  sent in {sending}  answered in {_milliseconds(each.seconds)}"
    yield f"msgId {visible(each.msg_id or '-')}  step {each.step}  {each.request.transport}"
    if each.peer is not None:
        yield f"peer {visible(each.peer)}"
    if each.masked:
        yield f"masked: {', '.join(sorted(each.masked))}"
    if each.superseded:
        yield "its case was run once more: no result rests on this"
    if each.signing is not None and not each.signing.authentic:
        yield "damaged on purpose: what was signed is not what was sent"
    yield ""
    yield style(visible(f"{each.request.method} {each.request.url}"), fg="cyan")
    yield from _wire(each.request.headers, each.request.body)
    yield ""
    if each.fault is not None:
        yield style(visible(f"{each.fault} {each.detail}".rstrip()), fg="magenta")
    if each.answer is not None:
        yield style(str(each.answer.status), fg="cyan")
        yield from _wire(each.answer.headers, each.answer.body, cut=each.answer.cut)
    about = [result for result in results if each.id in result.exchanges]
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


def message(found: Sequence[Exchange], accepted: Iterable[int]) -> Iterator[str]:
    """All that happened to one message: `found` in the order in which it began."""
    by_endpoint: dict[str, list[Exchange]] = {}
    for each in found:
        endpoint = each.request.url.partition("?")[0] if each.role in DELIVERY_ROLES else each.role
        by_endpoint.setdefault(endpoint, []).append(each)
    begin, good = min(each.started for each in found), frozenset(accepted)
    effects = [count(each) for each in found if each.role is Role.OBSERVE]
    for endpoint, exchanges in by_endpoint.items():
        yield style(visible(endpoint), bold=True)
        before: Exchange | None = None
        for number, each in enumerate(exchanges, 1):
            waited = each.started - before.ended if before is not None else None
            yield _attempt(each, number, each.started - begin, waited)
            before = each
        if exchanges[0].role in DELIVERY_ROLES:
            yield f"  {_delivered(exchanges, begin, good, effects[-1] if effects else None)}"


def _delivered(
    exchanges: Sequence[Exchange], begin: float, good: Collection[int], effects: int | None
) -> str:
    """How it ended at one endpoint; `effects` are those that the observer counted last."""
    taken = next((each for each in exchanges if each.status in good), None)
    if taken is None:
        known = any(each.answer is not None or each.fault is not None for each in exchanges)
        return "not delivered" if known else "no answer is recorded"
    after = f"after {taken.ended - begin:.3f} s"
    if effects == 0:
        return f"answered {taken.status} {after}, and lost: the observer counted 0"
    twice = f", and took effect {effects} times" if effects is not None and effects > 1 else ""
    return f"delivered {after}{twice}"


def _attempt(each: Exchange, number: int, after: float, waited: float | None) -> str:
    parts = [
        f"#{each.id:<6}",
        f"{number:>3}.",
        f"+{after:8.3f} s",
        f"waited {waited:8.3f} s" if waited is not None else " " * 17,
        f"{came(each):9}",
        f"{_milliseconds(each.seconds):>11}",
        f"{each.role:9}",
        each.name or "",
        _counted(each),
    ]
    return "  " + "  ".join(parts).rstrip()


def _counted(each: Exchange) -> str:
    """What the observer said, where it said a number."""
    seen = count(each) if each.role is Role.OBSERVE else None
    return f"count {seen}" if seen is not None else ""


_TITLES = {
    "regressed": "Regressed",
    "appeared": "Broken, and not judged before",
    "still": "Still broken",
    "unjudged": "Broken before, and not judged now",
    "fixed": "Fixed",
}


def comparison(found: Comparison, language: str) -> Iterator[str]:
    """What changed between two runs, the worst first."""
    for name, title in _TITLES.items():
        changes: list[Change] = getattr(found, name)
        if changes:
            yield style(f"{title}: {len(changes)}", bold=True)
        for each in changes:
            yield "  " + _change(each, language)
    counts = [f"{len(getattr(found, name))} {name}" for name in _TITLES]
    yield ", ".join(counts)


def _change(change: Change, language: str) -> str:
    outcomes = [each.outcome if each is not None else "-" for each in (change.before, change.after)]
    telling = change.after or change.before
    said = visible(telling.message.in_(language)) if telling is not None else ""
    return f"{change.name}  {outcomes[0]} → {outcomes[1]}  {said}".rstrip()


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"
