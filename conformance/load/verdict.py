"""The verdict on a load run: one finding for each check.

Pure. A check is one promise of a receiver; its texts are in `checks.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import yaml

from conformance.load import histogram
from conformance.load.ledger import ACKNOWLEDGED, Effects, Figures, Kind, Ledger, ResponseClass
from conformance.load.settings import Settings
from conformance.model.rules import Outcome
from conformance.model.sentence import EMPTY, Sentence
from conformance.model.text import Text
from conformance.protocol.resources import PACKAGE

VALID = (Kind.MESSAGE, Kind.REPEAT, Kind.RETRY)
EXAMPLES = 10
"""Ids of wrongly processed messages that a finding names, at most."""


@dataclass(frozen=True, slots=True)
class Check:
    """A promise that is judged: its name, the promise, how to fix it, and the guide's sections."""

    name: str
    title: Text
    fix: Text
    source: str


@cache
def checks() -> dict[str, Check]:
    """Every check by its name, in the order of the report."""
    entries = yaml.safe_load((PACKAGE / "load" / "checks.yaml").read_text(encoding="utf-8"))
    return {
        name: Check(name, _text(entry["title"]), _text(entry["fix"]), entry["source"])
        for name, entry in entries.items()
    }


@dataclass(frozen=True, slots=True)
class LoadFinding:
    """The outcome of the check of that name; `examples` are ids of messages that show it."""

    check: str
    outcome: Outcome
    message: Sentence
    count: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadRun:
    """A run that has ended. `started` is UTC in ISO 8601, `seconds` the duration of the load.

    `effects` is None without an observer. `cause` says why the run cannot be judged at all.
    `missing_workers` is the number of workers that left without sending their ledgers.
    """

    settings: Settings
    started: str
    seconds: float
    workers: int
    figures: Figures
    ledgers: Sequence[Ledger]
    effects: Effects | None
    cause: Sentence = EMPTY
    missing_workers: int = 0


def judge(run: LoadRun) -> list[LoadFinding]:
    """One finding for each check."""
    if run.cause:
        return [LoadFinding(name, Outcome.ERROR, run.cause) for name in checks()]
    return [_answered(run), _p99(run), _forged(run), _lost(run), _doubled(run)]


def _answered(run: LoadRun) -> LoadFinding:
    figures, settings = run.figures, run.settings
    sent = figures.count(VALID)
    if not sent:
        return LoadFinding("answered", Outcome.ERROR, Sentence("nothing was sent"))
    bad = sent - figures.count(VALID, ResponseClass.RIGHT)
    share = bad / sent
    if not bad:
        message = Sentence(
            "all of {sent:,} valid requests were answered 200 within {deadline:g} s",
            sent=sent,
            deadline=settings.deadline,
        )
        return LoadFinding("answered", Outcome.PASS, message)
    answers = _failures(figures)
    message = Sentence(
        "{bad:,} of {sent:,} valid requests were not answered 200 within {deadline:g} s "
        "({share:.2%}, at most {max_fail_ratio:.2%} may): {answers}",
        bad=bad,
        sent=sent,
        deadline=settings.deadline,
        share=share,
        max_fail_ratio=settings.max_fail_ratio,
        answers=answers,
    )
    if not figures.count(VALID, ResponseClass.RIGHT):
        return LoadFinding("answered", Outcome.ERROR, message, bad)
    failed = share > settings.max_fail_ratio
    return LoadFinding("answered", Outcome.FAIL if failed else Outcome.PASS, message, bad)


def _p99(run: LoadRun) -> LoadFinding:
    p99 = histogram.percentile(run.figures.times, 0.99)
    if p99 is None:
        return LoadFinding("p99", Outcome.ERROR, Sentence("nothing was answered"))
    limit = run.settings.max_p99
    generator_delay = histogram.percentile(run.figures.ticks, 0.99) or 0.0
    message = Sentence(
        "the p99 of the answers is {p99}; {limit} are allowed",
        p99=_time(p99),
        limit=_time(limit),
    )
    over = histogram.count_above(run.figures.times, limit)
    if p99 <= limit:
        return LoadFinding("p99", Outcome.PASS, message)
    if p99 - generator_delay <= limit:
        message += Sentence(
            ", of which the load generator's own delay is {generator_delay}: use more workers",
            generator_delay=_time(generator_delay),
        )
        return LoadFinding("p99", Outcome.ERROR, message, over)
    return LoadFinding("p99", Outcome.FAIL, message, over)


def _forged(run: LoadRun) -> LoadFinding:
    figures, effects = run.figures, run.effects
    sent = figures.count([Kind.FORGERY])
    if not sent:
        return LoadFinding("forged", Outcome.SKIP, _none_sent("forgeries"))
    accepted = figures.count([Kind.FORGERY], ResponseClass.ACCEPTED)
    ids = sorted(effects.forged) if effects else []
    if accepted or ids:
        message = Sentence(
            "{accepted:,} of {sent:,} forgeries were answered 2xx{count}",
            accepted=accepted,
            sent=sent,
            count=(Sentence(", {count:,} took effect", count=len(ids)) if effects else EMPTY),
        )
        return LoadFinding("forged", Outcome.FAIL, message, max(accepted, len(ids)), _examples(ids))
    unanswered = figures.count([Kind.FORGERY], ResponseClass.UNANSWERED)
    if unanswered == sent:
        message = Sentence("no forgery was answered at all")
        return LoadFinding("forged", Outcome.ERROR, message, unanswered)
    message = Sentence("all of {sent:,} were refused", sent=sent)
    if effects and effects.complete:
        message += Sentence(", and none took effect")
    if unanswered:
        message += Sentence(", {unanswered:,} of them without an answer", unanswered=unanswered)
    return LoadFinding("forged", Outcome.PASS, message)


def _lost(run: LoadRun) -> LoadFinding:
    unjudged = _unjudged("lost", run)
    effects = run.effects
    if effects is None or (unjudged is not None and not effects.lost):
        return unjudged or LoadFinding("lost", Outcome.SKIP, _NO_OBSERVER)
    promised = count_messages(run.ledgers, ACKNOWLEDGED)
    if effects.lost:
        ids = sorted(effects.lost)
        message = Sentence(
            "{count:,} of {promised:,} messages that were answered 200 took no effect",
            count=len(ids),
            promised=promised,
        )
        return LoadFinding("lost", Outcome.FAIL, message, len(ids), _examples(ids))
    message = Sentence("all of {promised:,} took effect", promised=promised)
    if effects.late:
        message += Sentence(
            ", {late:,} of them up to {behind:.1f} s after the end",
            late=effects.late,
            behind=effects.behind,
        )
    return LoadFinding("lost", Outcome.PASS, message)


def _doubled(run: LoadRun) -> LoadFinding:
    unjudged = _unjudged("doubled", run)
    effects = run.effects
    if effects is None or (unjudged is not None and not effects.doubled):
        return unjudged or LoadFinding("doubled", Outcome.SKIP, _NO_OBSERVER)
    repeats = run.figures.count((Kind.REPEAT, Kind.RETRY))
    if effects.doubled:
        ids = sorted(effects.doubled)
        message = Sentence(
            "{count:,} messages took effect more than once; {repeats:,} repeats were sent",
            count=len(ids),
            repeats=repeats,
        )
        return LoadFinding("doubled", Outcome.FAIL, message, len(ids), _examples(ids))
    if not repeats:
        return LoadFinding("doubled", Outcome.SKIP, _none_sent("repeats"))
    message = Sentence("none took effect twice; {repeats:,} repeats were sent", repeats=repeats)
    return LoadFinding("doubled", Outcome.PASS, message)


_NO_OBSERVER = Sentence("needs --observer-url: answers alone do not show what took effect")


def _unjudged(check: str, run: LoadRun) -> LoadFinding | None:
    """The finding of a check when the effects are not known, or not all of them; else None."""
    effects = run.effects
    if effects is None:
        return LoadFinding(check, Outcome.SKIP, _NO_OBSERVER)
    if run.missing_workers:
        message = Sentence(
            "{missing_workers} worker(s) left without reporting what they had sent",
            missing_workers=run.missing_workers,
        )
        return LoadFinding(check, Outcome.ERROR, message)
    if not effects.complete:
        counted = effects.queries - effects.unread
        message = Sentence(
            "the observer reported only {counted:,} of {messages:,} messages",
            counted=counted,
            messages=effects.messages,
        )
        return LoadFinding(check, Outcome.ERROR, message)
    return None


def _none_sent(name: str) -> Sentence:
    return Sentence("there were no {name}: give more users, or more of them in --mix", name=name)


def count_messages(ledgers: Iterable[Ledger], flag: int) -> int:
    """How many messages have the flag `flag`."""
    return sum(sum(1 for state in ledger.states if state & flag) for ledger in ledgers)


def _examples(ids: Sequence[int]) -> tuple[str, ...]:
    return tuple(str(msg_id) for msg_id in ids[:EXAMPLES])


def _failures(figures: Figures) -> str:
    """The wrong answers to valid requests, the commonest first."""
    failures = [
        f"{number:,} × {failure}"
        for failure, number in figures.failures.most_common()
        if not failure.endswith(" to a forgery")
    ]
    return ", ".join(failures[:5]) + (" …" if len(failures) > 5 else "")


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def _text(entry: dict[str, str]) -> Text:
    return Text(entry["en"], entry["zh-Hant"])
