"""The report of a load run: the JSON that other tools read. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance import __version__
from conformance.load import histogram
from conformance.load.ledger import ACKNOWLEDGED, FORGED, Effects, Figures, Kind, ResponseClass
from conformance.load.verdict import LoadFinding, LoadRun, checks, count_messages
from conformance.model.language import ENGLISH, Language
from conformance.model.rules import verdict

SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def load_report(
    run: LoadRun, findings: Sequence[LoadFinding], language: Language = ENGLISH
) -> dict[str, Any]:
    """The report that `schemas/load.schema.json` describes, with texts in `language`."""
    settings, figures = run.settings, run.figures
    seconds = max(run.seconds, 1e-9)
    right = sum(second.right for second in figures.seconds.values())
    return {
        "hookproof": __version__,
        "target": settings.url,
        "dialect": settings.dialect.name,
        "seed": settings.seed,
        "language": language.code,
        "verdict": verdict((finding.outcome for finding in findings), complete=True).value,
        "started": run.started,
        "seconds": round(run.seconds, 3),
        "users": figures.users,
        "workers": run.workers,
        "rate": {
            "paced": settings.user_rate is not None,
            "offered": round(
                sum(second.offered for second in figures.seconds.values()) / seconds, 1
            ),
            "sent": round(sum(second.sent for second in figures.seconds.values()) / seconds, 1),
            "achieved": round(right / seconds, 1),
        },
        "latency": _percentiles(figures.times) | {"max": round(figures.slowest, 6)},
        "late_starts": {
            "starts": figures.starts,
            "held_up": _lateness(figures.answer_delays),
            "generator": _lateness(figures.generator_delays),
        },
        "generator": {"lag": _percentiles(figures.ticks), "excused": figures.excused},
        "requests": {
            kind.value: {
                response_class.value: figures.responses[kind, response_class]
                for response_class in ResponseClass
                if figures.responses[kind, response_class]
            }
            for kind in Kind
        },
        "messages": {
            "valid": sum(len(ledger.states) for ledger in run.ledgers)
            - count_messages(run.ledgers, FORGED),
            "acknowledged": count_messages(run.ledgers, ACKNOWLEDGED),
            "forged": count_messages(run.ledgers, FORGED),
        },
        "observer": _effects(run.effects),
        "checks": [_check(finding, language) for finding in findings],
        "timeline": _timeline(figures),
    }


def _check(finding: LoadFinding, language: Language) -> dict[str, Any]:
    check = checks()[finding.check]
    return {
        "check": check.name,
        "outcome": finding.outcome.value,
        "title": check.title.in_(language),
        "message": finding.message.in_(language),
        "fix": check.fix.in_(language),
        "source": check.source,
        "count": finding.count,
        "examples": list(finding.examples),
    }


def _percentiles(times: histogram.Histogram) -> dict[str, float | None]:
    durations = {name: histogram.percentile(times, share) for name, share in SHARES.items()}
    return {
        name: None if duration is None else round(duration, 6)
        for name, duration in durations.items()
    }


def _lateness(times: histogram.Histogram) -> dict[str, Any]:
    return {"count": sum(times.values())} | _percentiles(times)


def _effects(effects: Effects | None) -> dict[str, Any] | None:
    if effects is None:
        return None
    return {
        "asked": effects.queries,
        "unread": effects.unread,
        "lost": len(effects.lost),
        "doubled": len(effects.doubled),
        "forged": len(effects.forged),
        "late": effects.late,
        "behind": round(effects.behind, 3),
        "seconds": round(effects.seconds, 3),
    }


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
