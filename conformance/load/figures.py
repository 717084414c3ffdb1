"""The figures of a whole run, from the ledgers of its processes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.load import histogram
from conformance.load.ledger import ACKNOWLEDGED, FORGED, Figures, Ledger
from conformance.load.settings import Settings
from conformance.model.load import Kind, LoadFigures, ResponseClass

SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def load_figures(
    settings: Settings,
    ledgers: Sequence[Ledger],
    seconds: float,
    missing_workers: int,
    observer: dict[str, Any] | None,
) -> LoadFigures:
    """The figures of a load of so many `seconds`. `observer` is what the audit found out; None without."""
    figures = Figures()
    for ledger in ledgers:
        figures.add(ledger.figures)
    forged = count_messages(ledgers, FORGED)
    return LoadFigures(
        users=figures.users,
        workers=len(ledgers),
        missing_workers=missing_workers,
        seconds=round(seconds, 3),
        limits={
            "deadline": settings.deadline,
            "effect_timeout": settings.effect_timeout,
            "max_fail_ratio": settings.max_fail_ratio,
            "max_p99": settings.max_p99,
        },
        rate={"paced": settings.user_rate is not None, **_rates(figures, max(seconds, 1e-9))},
        latency=_percentiles(figures.times) | {"max": round(figures.slowest, 6)},
        histogram=[[round(least, 6), number] for least, number in histogram.coarse(figures.times)],
        late=figures.late,
        late_starts={
            "starts": figures.starts,
            "held_up": _lateness(figures.answer_delays),
            "generator": _lateness(figures.generator_delays),
        },
        generator={"lag": _percentiles(figures.ticks), "excused": figures.excused},
        requests={
            kind.value: {
                response_class.value: figures.responses[kind, response_class]
                for response_class in ResponseClass
                if figures.responses[kind, response_class]
            }
            for kind in Kind
        },
        failures=dict(figures.failures.most_common()),
        messages={
            "valid": sum(len(ledger.states) for ledger in ledgers) - forged,
            "acknowledged": count_messages(ledgers, ACKNOWLEDGED),
            "forged": forged,
        },
        observer=observer,
        timeline=_timeline(figures),
    )


def count_messages(ledgers: Sequence[Ledger], flag: int) -> int:
    """How many messages have the flag `flag`."""
    return sum(sum(1 for state in ledger.states if state & flag) for ledger in ledgers)


def _rates(figures: Figures, seconds: float) -> dict[str, float]:
    """Requests a second: offered, sent, and answered as they should be."""
    each = figures.seconds.values()
    return {
        "offered": round(sum(second.offered for second in each) / seconds, 1),
        "sent": round(sum(second.sent for second in each) / seconds, 1),
        "achieved": round(sum(second.right for second in each) / seconds, 1),
    }


def _percentiles(times: histogram.Histogram) -> dict[str, float | None]:
    durations = {name: histogram.percentile(times, share) for name, share in SHARES.items()}
    return {
        name: None if duration is None else round(duration, 6)
        for name, duration in durations.items()
    }


def _lateness(times: histogram.Histogram) -> dict[str, Any]:
    return {"count": sum(times.values())} | _percentiles(times)


def _timeline(figures: Figures) -> list[dict[str, Any]]:
    return [
        {
            "second": at,
            "offered": second.offered,
            "sent": second.sent,
            "right": second.right,
            "wrong": second.wrong,
        }
        | _percentiles(second.times)
        for at, second in sorted(figures.seconds.items())
    ]
