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
from conformance.model.text import NO_TEXT, Text
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
    message: Text
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
    cause: Text = NO_TEXT
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
        return LoadFinding("answered", Outcome.ERROR, Text("nothing was sent", "沒有送出任何請求"))
    bad = sent - figures.count(VALID, ResponseClass.RIGHT)
    share = bad / sent
    if not bad:
        message = Text(
            f"all of {sent:,} valid requests were answered 200 within {settings.deadline:g} s",
            f"{sent:,} 個有效請求全部在 {settings.deadline:g} 秒內得到 200 響應",
        )
        return LoadFinding("answered", Outcome.PASS, message)
    answers = _failures(figures)
    message = Text(
        f"{bad:,} of {sent:,} valid requests were not answered 200 within {settings.deadline:g} s "
        f"({share:.2%}, at most {settings.max_fail_ratio:.2%} may): {answers}",
        f"{sent:,} 個有效請求中有 {bad:,} 個未在 {settings.deadline:g} 秒內得到 200 響應"
        f"（{share:.2%}，上限 {settings.max_fail_ratio:.2%}）：{answers}",
    )
    if not figures.count(VALID, ResponseClass.RIGHT):
        return LoadFinding("answered", Outcome.ERROR, message, bad)
    failed = share > settings.max_fail_ratio
    return LoadFinding("answered", Outcome.FAIL if failed else Outcome.PASS, message, bad)


def _p99(run: LoadRun) -> LoadFinding:
    p99 = histogram.percentile(run.figures.times, 0.99)
    if p99 is None:
        return LoadFinding("p99", Outcome.ERROR, Text("nothing was answered", "沒有任何響應"))
    limit = run.settings.max_p99
    generator_delay = histogram.percentile(run.figures.ticks, 0.99) or 0.0
    message = Text(
        f"99 % of answers took at most {_time(p99)}; {_time(limit)} are allowed",
        f"99% 的響應在 {_time(p99)} 以內；上限 {_time(limit)}",
    )
    over = histogram.count_above(run.figures.times, limit)
    if p99 <= limit:
        return LoadFinding("p99", Outcome.PASS, message)
    if p99 - generator_delay <= limit:
        message += Text(
            f", of which the load generator's own delay is {_time(generator_delay)}: use more workers",
            f"，其中負載產生器自身延遲 {_time(generator_delay)}：請增加 worker",
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
        message = Text(
            f"{accepted:,} of {sent:,} forgeries were answered 2xx"
            + (f", {len(ids):,} took effect" if effects else ""),
            f"{sent:,} 個偽造請求中有 {accepted:,} 個得到 2xx 響應"
            + (f"，{len(ids):,} 個被處理" if effects else ""),
        )
        return LoadFinding("forged", Outcome.FAIL, message, max(accepted, len(ids)), _examples(ids))
    unanswered = figures.count([Kind.FORGERY], ResponseClass.UNANSWERED)
    if unanswered == sent:
        message = Text("no forgery was answered at all", "所有偽造請求都沒有得到響應")
        return LoadFinding("forged", Outcome.ERROR, message, unanswered)
    message = Text(f"all of {sent:,} were refused", f"{sent:,} 個全部被拒絕")
    if effects and effects.complete:
        message += Text(", and none took effect", "，且都未被處理")
    if unanswered:
        message += Text(
            f", {unanswered:,} of them without an answer", f"，其中 {unanswered:,} 個沒有響應"
        )
    return LoadFinding("forged", Outcome.PASS, message)


def _lost(run: LoadRun) -> LoadFinding:
    unjudged = _unjudged("lost", run)
    effects = run.effects
    if effects is None or (unjudged is not None and not effects.lost):
        return unjudged or LoadFinding("lost", Outcome.SKIP, _NO_OBSERVER)
    promised = count_messages(run.ledgers, ACKNOWLEDGED)
    if effects.lost:
        ids = sorted(effects.lost)
        message = Text(
            f"{len(ids):,} of {promised:,} messages that were answered 200 took no effect",
            f"{promised:,} 則得到 200 響應的訊息中有 {len(ids):,} 則未被處理",
        )
        return LoadFinding("lost", Outcome.FAIL, message, len(ids), _examples(ids))
    message = Text(f"all of {promised:,} took effect", f"{promised:,} 則全部被處理")
    if effects.late:
        message += Text(
            f", {effects.late:,} of them up to {effects.behind:.1f} s after the end",
            f"，其中 {effects.late:,} 則在結束後 {effects.behind:.1f} 秒內才完成",
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
        message = Text(
            f"{len(ids):,} messages took effect more than once; {repeats:,} repeats were sent",
            f"{len(ids):,} 則訊息被處理多次；共送出 {repeats:,} 次重複",
        )
        return LoadFinding("doubled", Outcome.FAIL, message, len(ids), _examples(ids))
    if not repeats:
        return LoadFinding("doubled", Outcome.SKIP, _none_sent("repeats"))
    message = Text(
        f"none took effect twice; {repeats:,} repeats were sent",
        f"沒有訊息被處理兩次；共送出 {repeats:,} 次重複",
    )
    return LoadFinding("doubled", Outcome.PASS, message)


_NO_OBSERVER = Text(
    "needs --observer-url: answers alone do not show what took effect",
    "需要 --observer-url：響應無法說明是否被處理",
)


def _unjudged(check: str, run: LoadRun) -> LoadFinding | None:
    """The finding of a check when the effects are not known, or not all of them; else None."""
    effects = run.effects
    if effects is None:
        return LoadFinding(check, Outcome.SKIP, _NO_OBSERVER)
    if run.missing_workers:
        message = Text(
            f"{run.missing_workers} worker(s) left without reporting what they had sent",
            f"有 {run.missing_workers} 個 worker 離開前未回報已送出的訊息",
        )
        return LoadFinding(check, Outcome.ERROR, message)
    if not effects.complete:
        counted = effects.queries - effects.unread
        message = Text(
            f"the observer reported only {counted:,} of {effects.messages:,} messages",
            f"觀察端只回報了 {effects.messages:,} 則訊息中的 {counted:,} 則",
        )
        return LoadFinding(check, Outcome.ERROR, message)
    return None


def _none_sent(name: str) -> Text:
    return Text(
        f"there were no {name}: give more users, or more of them in --mix",
        f"沒有 {name}：請增加使用者數，或在 --mix 中提高其比重",
    )


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
