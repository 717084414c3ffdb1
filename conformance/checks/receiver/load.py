"""Checks of a load run. Its figures count every request; its exchanges are a few of them, as evidence.

An exchange of the load names the kind of its request as its case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from conformance.checks.check import Check, Scope
from conformance.checks.receiver.case import count
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.model.exchange import Exchange, Fault, Role
from conformance.model.load import VALID, Kind, LoadFigures, ResponseClass
from conformance.model.rules import Finding, Judgement, Level, Unjudged, held
from conformance.model.sentence import EMPTY, Sentence

EXAMPLES = 10
"""Exchanges that a finding cites at most."""
AUDIT = "audit"
"""The case of what the observer was asked once the load was over."""


@dataclass(frozen=True, slots=True)
class LoadRun:
    """What the checks of this module look at."""

    figures: LoadFigures
    exchanges: Sequence[Exchange]

    def sent(self, *kinds: Kind) -> list[Exchange]:
        """The recorded requests of these kinds."""
        return [e for e in self.exchanges if e.role is Role.LOAD and e.case in kinds]

    def observed(self, most: float = inf) -> list[Exchange]:
        """The observer's answers, once the load was over, that count at least one effect of a message of the
        load, and no more than `most`."""
        audited = [each for each in self.exchanges if each.case == AUDIT]
        return [each for each in audited if 1 <= (count(each) or 0) <= most]

    def of_messages(self, name: str) -> tuple[int, ...]:
        """Ids of exchanges that concern the messages which the figures name as `name`."""
        names = set(self.figures.observer["examples"][name]) if self.figures.observer else set()
        about = [each for each in self.exchanges if each.msg_id in names]
        return _ids(sorted(about, key=lambda each: each.role is Role.OBSERVE, reverse=True))


def answers(run: LoadRun, profile: ReceiverProfile, level: Level) -> list[Judgement]:
    """No larger share of valid requests than is allowed is answered other than 200."""
    figures, sent = run.figures, run.figures.count(VALID)
    if not sent:
        return [_NOTHING_SENT]
    bad = sent - figures.count(VALID, ResponseClass.RIGHT, ResponseClass.LATE)
    allowed = figures.limits["max_fail_ratio"] or 0.0
    valid = run.sent(*VALID)
    if bad / sent <= allowed:
        right = [exchange for exchange in valid if exchange.status == 200]
        return [_missing_worker(figures) or held(level, right)]
    message = Sentence(
        "{bad:,} of {sent:,} valid requests were not answered 200 ({share:.2%}, at most {allowed:.2%} "
        "may): {answers}",
        bad=bad,
        sent=sent,
        share=bad / sent,
        allowed=allowed,
        answers=_commonest(figures),
    )
    return [Finding(level, "not-200", message, _ids([e for e in valid if e.status != 200]))]


def deadline(run: LoadRun, profile: ReceiverProfile, level: Level) -> list[Judgement]:
    """Every answer comes within the deadline."""
    figures, limit = run.figures, run.figures.limits["deadline"] or 0.0
    sent = run.sent(*Kind)
    if figures.late:
        late = [e for e in sent if e.fault is Fault.TIMEOUT or (e.status and e.seconds > limit)]
        message = Sentence(
            "{count:,} of {total:,} requests had no whole answer within {deadline:g} s",
            count=figures.late,
            total=figures.count(Kind),
            deadline=limit,
        )
        return [Finding(level, "late", message, _ids(late))]
    answered = [exchange for exchange in sent if exchange.status]
    return [_missing_worker(figures) or held(level, answered, _NOTHING_ANSWERED)]


def p99(run: LoadRun, profile: ReceiverProfile, level: Level) -> list[Judgement]:
    """99 of 100 answers to valid requests come within --max-p99."""
    figures, limit = run.figures, run.figures.limits["max_p99"]
    actual, own_delay = figures.latency["p99"], figures.generator["lag"]["p99"] or 0.0
    if limit is None:
        return [Unjudged("needs-max-p99", Sentence("needs --max-p99"))]
    answered = [exchange for exchange in run.sent(*VALID) if exchange.status]
    if actual is None:
        return [_NOTHING_ANSWERED]
    if actual <= limit:
        return [_missing_worker(figures) or held(level, answered, _NOTHING_ANSWERED)]
    message = Sentence(
        "the p99 of the answers is {actual:.3g} s; {limit:.3g} s are allowed",
        actual=actual,
        limit=limit,
    )
    if actual - own_delay <= limit:
        message += Sentence(
            ", of which the load generator's own delay is {delay:.3g} s: use more workers",
            delay=own_delay,
        )
        return [Unjudged("generator-slow", message, error=True)]
    slowest = sorted(answered, key=lambda exchange: exchange.seconds, reverse=True)
    return [Finding(level, "slow", message, _ids([e for e in slowest if e.seconds > limit]))]


def forged(run: LoadRun, profile: ReceiverProfile, level: Level) -> list[Judgement]:
    """No forgery is answered 2xx, and none takes effect."""
    figures, observer = run.figures, run.figures.observer
    sent = figures.count([Kind.FORGERY])
    if not sent:
        return [_none_sent("forgeries")]
    accepted = figures.count([Kind.FORGERY], ResponseClass.ACCEPTED)
    effects = observer["forged"] if observer else 0
    forgeries = run.sent(Kind.FORGERY)
    if accepted or effects:
        message = Sentence(
            "{accepted:,} of {sent:,} forgeries were answered 2xx{effects}",
            accepted=accepted,
            sent=sent,
            effects=Sentence(", {count:,} took effect", count=effects) if observer else EMPTY,
        )
        taken = [exchange for exchange in forgeries if 200 <= (exchange.status or 0) < 300]
        return [Finding(level, "forged", message, (*_ids(taken), *run.of_messages("forged")))]
    refused = [exchange for exchange in forgeries if exchange.status]
    return [_missing_worker(figures) or held(level, refused, _NOTHING_ANSWERED)]


def lost(run: LoadRun, profile: ReceiverProfile, level: Level) -> list[Judgement]:
    """What was answered 200 takes effect."""
    figures, observer = run.figures, run.figures.observer
    if observer is None:
        return [_NO_OBSERVER]
    promised = figures.messages["acknowledged"]
    if observer["lost"] and observer["ended"] == "settled":
        message = Sentence(
            "{count:,} of {promised:,} messages that were answered 200 had no effect {waited:.0f} s "
            "after the last one was sent (--effect-timeout {timeout:g}), for instance {examples}",
            count=observer["lost"],
            promised=promised,
            waited=observer["waited"],
            timeout=figures.limits["effect_timeout"] or 0.0,
            examples=", ".join(observer["examples"]["lost"]),
        )
        return [Finding(level, "lost", message, run.of_messages("lost"))]
    return [_incomplete(figures) or held(level, run.observed(), _NONE_ACKNOWLEDGED)]


def doubled(run: LoadRun, profile: ReceiverProfile, level: Level) -> list[Judgement]:
    """No message takes effect twice."""
    figures, observer = run.figures, run.figures.observer
    if observer is None:
        return [_NO_OBSERVER]
    repeats = figures.count((Kind.REPEAT, Kind.RETRY))
    if observer["doubled"]:
        message = Sentence(
            "{count:,} messages took effect more than once, for instance {examples}; {repeats:,} repeats "
            "were sent",
            count=observer["doubled"],
            examples=", ".join(observer["examples"]["doubled"]),
            repeats=repeats,
        )
        return [Finding(level, "doubled", message, run.of_messages("doubled"))]
    if not repeats:
        return [_none_sent("repeats")]
    if not observer["later"]:
        return [_incomplete(figures) or _NO_LATER_EFFECT]
    repeated = {exchange.msg_id for exchange in run.sent(Kind.REPEAT, Kind.RETRY)}
    once = [exchange for exchange in run.observed(most=1) if exchange.msg_id in repeated]
    return [_incomplete(figures) or held(level, once)]


def _missing_worker(figures: LoadFigures) -> Unjudged | None:
    """Why the figures do not show that a rule holds, where a worker has not reported its own."""
    if not figures.missing_workers:
        return None
    message = Sentence(
        "{missing} worker(s) left without reporting what they had sent",
        missing=figures.missing_workers,
    )
    return Unjudged("worker-missing", message, error=True)


def _incomplete(figures: LoadFigures) -> Unjudged | None:
    """Why the observer's counts do not show what became of every message; None when they do."""
    observer = figures.observer or {}
    missing = _missing_worker(figures)
    if missing is not None:
        return missing
    if observer["unread"]:
        message = Sentence(
            "the observer gave no count for {unread:,} of {messages:,} messages",
            unread=observer["unread"],
            messages=observer["messages"],
        )
        return Unjudged("observer-silent", message, error=True)
    if observer["ended"] == "settled":
        return None
    message = Sentence(
        "{missing:,} of {promised:,} effects were still missing {waited:.0f} s after the last message, "
        "and more were appearing: they are late",
        missing=observer["lost"],
        promised=figures.messages["acknowledged"],
        waited=observer["waited"],
    )
    if observer["ended"] == "stopped":
        return Unjudged("stopped", Sentence("stopped before all effects were known"), error=True)
    return Unjudged("effects-late", message)


def _none_sent(name: str) -> Unjudged:
    message = Sentence("there were no {name}: give more users, or more of them in --mix", name=name)
    return Unjudged(f"no-{name}", message)


def _commonest(figures: LoadFigures) -> str:
    """The wrong answers to valid requests, the commonest first."""
    failures = sorted(figures.failures.items(), key=lambda failure: -failure[1])
    named = [f"{number:,} × {failure}" for failure, number in failures[:5]]
    return ", ".join(named) + (" …" if len(failures) > 5 else "")


def _ids(exchanges: Sequence[Exchange]) -> tuple[int, ...]:
    return tuple(exchange.id for exchange in exchanges[:EXAMPLES])


_NOTHING_SENT = Unjudged("nothing-sent", Sentence("no valid request was sent"), error=True)
_NOTHING_ANSWERED = Unjudged("nothing-answered", Sentence("nothing was answered"), error=True)
_NO_OBSERVER = Unjudged(
    "needs-observer-url",
    Sentence("needs --observer-url: answers alone do not show what took effect"),
)
_NONE_ACKNOWLEDGED = Unjudged("none-acknowledged", Sentence("no message was answered 200"))
_NO_LATER_EFFECT = Unjudged(
    "no-later-effect",
    Sentence("a message sent after all others showed no effect: second effects may still come"),
)

CHECKS = (
    Check("load-lost", Scope.LOAD, lost),
    Check("load-doubled", Scope.LOAD, doubled),
    Check("load-forged", Scope.LOAD, forged),
    Check("load-answers", Scope.LOAD, answers),
    Check("load-deadline", Scope.LOAD, deadline),
    Check("load-p99", Scope.LOAD, p99),
)
