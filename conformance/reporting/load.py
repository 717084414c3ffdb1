"""The figures of a load run, for people: lines of text, and charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from conformance.model.load import VALID, Kind, LoadFigures, ResponseClass
from conformance.model.sentence import EMPTY, Sentence, verbatim
from conformance.reporting import charts

_OFFERED, _RIGHT, _WRONG = Sentence("offered"), Sentence("answered correctly"), Sentence("failed")
_PERCENTILES = ("p50", "p95", "p99")


def figures_of(load: LoadFigures) -> Iterator[tuple[Sentence, Sentence]]:
    """The name and the value of each line."""
    if not load.users:
        return
    yield Sentence("users"), verbatim(f"{load.users:,}")
    yield Sentence("processes"), verbatim(f"{load.workers:,}")
    yield Sentence("rate"), _rate(load)
    percentiles = [f"{name} {_time(value)}" for name, value in load.latency.items() if value]
    yield Sentence("latency"), verbatim("  ".join(percentiles))
    if load.rate["paced"]:
        yield Sentence("late"), _late_starts(load)
    sent = load.count(VALID)
    text = Sentence(
        "{sent:,} valid, of which {bad:,} were not answered 200 in time; {forged:,} forged",
        sent=sent,
        bad=sent - load.count(VALID, ResponseClass.RIGHT),
        forged=load.count([Kind.FORGERY]),
    )
    yield Sentence("requests"), text
    if load.observer is not None:
        yield Sentence("effects"), _effects(load.observer)


def charts_of(load: LoadFigures) -> Iterator[tuple[Sentence, Markup, Mapping[str, Sentence]]]:
    """The title of each chart, the chart, and the names of its lines by their class."""
    if not load.timeline:
        return
    # The last second is seldom a whole one: as a rate it would look like a collapse.
    whole = load.timeline[:-1] if len(load.timeline) > 2 else load.timeline
    rates = {"offered": _OFFERED, "right": _RIGHT, "wrong": _WRONG}
    points = {name: [(each["second"], each[name]) for each in whole] for name in rates}
    yield Sentence("Requests per second"), charts.lines(points), rates
    times = {
        name: [(each["second"], each[name]) for each in load.timeline if each[name]]
        for name in _PERCENTILES
    }
    names = {name: verbatim(name) for name in _PERCENTILES}
    yield Sentence("Response times"), charts.logarithmic(times), names
    pairs = ((seconds, int(number)) for seconds, number in load.histogram)
    deadline = load.limits["deadline"] or 0.0
    yield Sentence("Responses by duration"), charts.durations(pairs, deadline), {}


def _rate(load: LoadFigures) -> Sentence:
    rate = load.rate
    return Sentence(
        "{offered:,.0f}/s offered{unpaced}, {sent:,.0f}/s sent, {achieved:,.0f}/s answered correctly, "
        "{seconds:.1f} s",
        offered=rate["offered"],
        unpaced=EMPTY if rate["paced"] else Sentence(" (as fast as answers came)"),
        sent=rate["sent"],
        achieved=rate["achieved"],
        seconds=load.seconds,
    )


def _late_starts(load: LoadFigures) -> Sentence:
    held, own = load.late_starts["held_up"], load.late_starts["generator"]
    return Sentence(
        "of {starts:,} starts {count:,} were held up by an earlier answer (p99 {p99}), "
        "{own_count:,} by the load generator itself (p99 {own_p99})",
        starts=load.late_starts["starts"],
        count=held["count"],
        p99=_time(held["p99"]),
        own_count=own["count"],
        own_p99=_time(own["p99"]),
    )


def _effects(observer: Mapping[str, Any]) -> Sentence:
    text = Sentence(
        "of {messages:,} messages {lost:,} lost, {doubled:,} doubled",
        messages=observer["messages"],
        lost=observer["lost"],
        doubled=observer["doubled"],
    )
    if observer["late"]:
        text += Sentence(
            "; {late:,} took effect late, up to {behind:.1f} s after the end",
            late=observer["late"],
            behind=observer["behind"],
        )
    return text


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
