"""Judges one case of a receiver's scenario from the exchanges of its steps.

Knows nothing of how a step is carried out; all it looks at is exchanges and the target's profile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.receiver.wording import RATE_LIMIT, answered, listed
from conformance.model.exchange import HELD_UP, Exchange, Fault, Role, Transport
from conformance.model.rules import NO_EVIDENCE, Finding, Held, Judgement, Unjudged, gravest, held
from conformance.model.sentence import EMPTY, Sentence
from conformance.scenario.receiver import Expect, Step
from conformance.scenario.records import Case

IMPATIENT = 0.15
"""Seconds that a correct target waits for a sender that stops in the middle of a request, beyond the pauses
that a scenario makes."""
NOT_NOW = (429, 503)
"""Statuses that say nothing about the request itself."""
_UNREACHED = (Fault.REFUSED, Fault.DNS, Fault.TLS)
"""Faults that keep a request from the target: nothing was refused."""


def judge(case: Case, exchanges: Sequence[Exchange], profile: ReceiverProfile) -> list[Judgement]:
    """What the exchanges of a case show of its expectations."""
    elsewhere = [exchange for exchange in exchanges if exchange.request.url != profile.url]
    refused = _refused_control(elsewhere, profile)
    if refused is not None:
        return [refused]  # --also-url accepts no messages, so nothing can be learnt from it
    judgements = judge_steps(case.steps, exchanges, profile)
    if any(isinstance(judgement, Finding) for judgement in judgements):
        return judgements
    return judgements + _controls(case, exchanges, profile)


def judge_steps(
    steps: Sequence[Step], exchanges: Sequence[Exchange], profile: ReceiverProfile
) -> list[Judgement]:
    """The same without the control messages, for callers that see to these themselves."""
    judgements: list[Judgement] = []
    for index, step in enumerate(steps):
        here = [exchange for exchange in exchanges if exchange.step == index]
        probes = [exchange for exchange in here if exchange.role is Role.PROBE]
        if step.resend and not any(probe.status in profile.accepted for probe in probes):
            judgements.append(Unjudged("stayed-busy", _STAYED_BUSY if probes else _NEVER_BUSY))
        for expect in step.expects:
            if expect.status:
                judgement = _statuses(expect, step, here, profile)
                if expect.or_skip and not isinstance(judgement, Held):
                    return [_plain_refused(probes)]
                judgements.append(judgement)
            if expect.within is not None:
                judgements.append(_within(expect, probes))
            if expect.processed is not None:
                judgements += _processed(expect, step, index, exchanges, profile)
    return judgements


def _plain_refused(probes: Sequence[Exchange]) -> Unjudged:
    return (
        Unjudged("plain-refused", _PLAIN_REFUSED + answered(probes[0])) if probes else NO_EVIDENCE
    )


def _controls(
    case: Case, exchanges: Sequence[Exchange], profile: ReceiverProfile
) -> list[Judgement]:
    """A refusal counts only while plain valid messages are accepted, before and after."""
    refused = _refused_control(exchanges, profile)
    if refused is not None:
        return [refused]
    if case.refusing and not any(exchange.role is Role.CONTROL for exchange in exchanges):
        return [Unjudged("no-control", _NO_CONTROL)]
    return []


def _refused_control(exchanges: Sequence[Exchange], profile: ReceiverProfile) -> Unjudged | None:
    refused = next(
        (e for e in exchanges if e.role is Role.CONTROL and e.status not in profile.accepted), None
    )
    if refused is None:
        return None
    reason = (
        Sentence("not judged: a plain valid message sent beside it was not accepted (")
        + answered(refused)
        + Sentence(")")
    )
    return Unjudged("control-refused", reason, error=True, exchanges=(refused.id,))


# Statuses


def _statuses(
    expect: Expect, step: Step, here: Sequence[Exchange], profile: ReceiverProfile
) -> Judgement:
    """What the answers to a step's probes show; `here` are all exchanges of the step."""
    probes = [exchange for exchange in here if exchange.role is Role.PROBE]
    measured = [probe for probe in probes if probe.fault is not Fault.GIVEN_UP]
    wrong = [probe for probe in measured if not _fits(expect.status, probe, profile)]
    if wrong:
        return _unexpected(expect, step, wrong, len(probes), profile)
    if "refused" in expect.status:
        doubtful = _not_refused(measured, here, profile)
        if doubtful is not None:
            return doubtful
    held_up = [probe for probe in probes if probe.detail == HELD_UP]
    if held_up:
        return Unjudged("unmeasured", UNMEASURED, error=True, exchanges=(held_up[0].id,))
    return held(expect.level, measured)


def _not_refused(
    probes: Sequence[Exchange], here: Sequence[Exchange], profile: ReceiverProfile
) -> Unjudged | None:
    """Why requests that were not accepted may not have been refused either."""
    unreached = [probe for probe in probes if probe.fault in _UNREACHED]
    if unreached:
        first = unreached[0]
        return Unjudged("unreached", answered(first), error=True, exchanges=(first.id,))
    busy = [probe for probe in probes if probe.status in NOT_NOW]
    if busy and (busy[0].status, None) != profile.refusal:
        reason = answered(busy[0]) + _NOT_NO
        return Unjudged("busy", reason, error=True, exchanges=(busy[0].id,))
    silent = [
        probe
        for probe in probes
        if probe.fault is Fault.TIMEOUT and not _is_without_effect(probe, here)
    ]
    if silent:
        reason = answered(silent[0]) + _NO_REFUSAL
        return Unjudged(
            "unanswered", reason, error=True, exchanges=tuple(probe.id for probe in silent[:10])
        )
    return None


def _is_without_effect(probe: Exchange, here: Sequence[Exchange]) -> bool:
    """Whether the observer shows the effect of a later good message, and none of the probe's."""
    if any(exchange.role is Role.OBSERVE and count(exchange) is None for exchange in here):
        return False
    effects = _effects(here)
    shown = bool(effects.later) and effects.ended
    return shown and effects.after.get(probe.msg_id) == 0


def _unexpected(
    expect: Expect,
    step: Step,
    wrong: Sequence[Exchange],
    total: int,
    profile: ReceiverProfile,
) -> Finding | Unjudged:
    """The judgement on `wrong` answers out of `total`: the first of them is described."""
    burst = step.send is not None and (step.send.at_once or step.send.copies > 1)
    firm = [
        each
        for each in wrong
        if each.fault not in (Fault.REFUSED, Fault.DNS) and (burst or each.status != 429)
    ]
    wrong = firm or wrong
    first = wrong[0]
    if first.fault in (Fault.REFUSED, Fault.DNS):
        return Unjudged("unreached", answered(first), error=True, exchanges=(first.id,))
    if first.status == 429 and not burst:
        return Unjudged("rate-limit", RATE_LIMIT, error=True, exchanges=(first.id,))
    message = answered(first) + _expected(expect.status, step, first)
    if total > 1:
        message = Sentence("{count} of {total} requests: ", count=len(wrong), total=total) + message
    ids = tuple(probe.id for probe in wrong[:10])
    code = "unexpected-answer" if first.status is not None else "unanswered"
    return Finding(expect.level, code, message, ids, _slack(wrong, profile))


def _slack(wrong: Sequence[Exchange], profile: ReceiverProfile) -> float | None:
    """The seconds for which the suite must have been held up to have caused all `wrong` answers itself:
    it read an answer late that came in time, or sent a request late that was then refused. None when no
    delay of the suite explains them."""
    delays = []
    for exchange in wrong:
        slow = exchange.request.transport in (Transport.SLOW, Transport.EXPECT)
        if exchange.fault is Fault.TIMEOUT:
            delays.append(exchange.seconds - profile.deadline)
        elif slow or exchange.fault is Fault.CLOSED:
            delays.append(IMPATIENT)
        else:
            return None
    return max(delays)


def _fits(words: Iterable[str | int], exchange: Exchange, profile: ReceiverProfile) -> bool:
    return any(_fits_word(word, exchange, profile) for word in words)


def _fits_word(word: str | int, exchange: Exchange, profile: ReceiverProfile) -> bool:
    status = exchange.status
    match word:
        case "accepted":
            return status in profile.accepted
        case "refused":
            # A closed connection accepts nothing; signature.refusal-status reports it. A 2xx counts
            # as soon as it is read, whatever happens to the rest of the answer.
            status = exchange.answer.status if exchange.answer is not None else None
            return status is None or not 200 <= status < 300
        case "4xx":
            return status is not None and 400 <= status < 500
        case "no-5xx":
            return status is not None and status < 500
        case _:
            return status == word


def _expected(words: tuple[str | int, ...], step: Step, exchange: Exchange) -> Sentence:
    status = exchange.status or 0
    # It is the body that cannot be processed, where the timestamp is as it should be.
    of_body = words == ("4xx",) and step.send is not None and step.send.timestamp is None
    if of_body and 200 <= status < 300:
        return Sentence(
            "; expected 4xx: a success acknowledges what cannot be processed, and it is lost"
        )
    if of_body and status >= 500:
        return Sentence("; expected 4xx: a 5xx makes the sender repeat what can never succeed")
    return Sentence("; expected {expected}", expected=listed(words))


def _within(expect: Expect, probes: Sequence[Exchange]) -> Judgement:
    limit = expect.within or 0.0
    measured = [probe for probe in probes if probe.fault is not Fault.GIVEN_UP]
    late = [probe for probe in measured if probe.fault is Fault.TIMEOUT or probe.seconds > limit]
    if not late:
        return held(expect.level, [probe for probe in measured if probe.status is not None])
    slowest = max(late, key=lambda probe: probe.seconds)
    slack = slowest.seconds - limit
    some = Sentence("{count} of {total} answers", count=len(late), total=len(probes))
    message = Sentence(
        "{answers} took longer than {limit:g} s (up to {seconds:.2f} s)",
        answers=some if len(probes) > 1 else Sentence("the answer"),
        limit=limit,
        seconds=slowest.seconds,
    )
    return Finding(expect.level, "late", message, tuple(probe.id for probe in late[:10]), slack)


# Effects


def _processed(
    expect: Expect, step: Step, index: int, exchanges: Sequence[Exchange], profile: ReceiverProfile
) -> list[Judgement]:
    """Whether the step's messages had the expected effects, by the observer's counts or else by the
    answers. Nothing where there is neither: the case's other expectations stand without it."""
    if profile.observed:
        return [_counted(expect, step, index, exchanges, profile)]
    if profile.inferred is None:
        return [] if expect.status else [Unjudged("needs-observer", UNOBSERVED)]
    if expect.processed == 0:
        return []  # the answer to a refused message cannot show whether it had an effect
    probes = [e for e in exchanges if e.role is Role.PROBE and e.step <= index]
    ids = {probe.msg_id for probe in probes if probe.step == index}
    judgements = [
        _by_answers(expect, [probe for probe in probes if probe.msg_id == msg_id], profile)
        for msg_id in sorted(ids - {None}, key=str)
    ]
    return [gravest(judgements)]


def _by_answers(
    expect: Expect, attempts: Sequence[Exchange], profile: ReceiverProfile
) -> Judgement:
    """Judges by the answers to one message; `attempts` are its exchanges up to the step."""
    inferred = profile.inferred
    assert inferred is not None  # noqa: S101 - `_processed` checks it
    accepted = [e for e in attempts if e.answer is not None and _is_conclusive(e, profile)]
    kinds = [inferred.is_first(e.answer) for e in accepted if e.answer is not None]
    # A body that was cut must have no effect; any other unanswered request may have had one.
    unseen = any(e.status is None and e.request.transport not in _CUT for e in attempts)
    ids = tuple(attempt.id for attempt in attempts)
    if not accepted:
        return Unjudged("not-accepted", _NOT_ACCEPTED, exchanges=ids)
    if None in kinds:
        return Unjudged("answer-fits-neither", _NEITHER, exchanges=ids)
    firsts = kinds.count(True)
    if firsts > 1:
        return Finding(expect.level, "too-many-effects", _times(firsts) + _BY_ANSWERS, ids)
    if firsts == 1 and unseen:
        # The unanswered attempt may have had an effect, or may have been rolled back.
        return Unjudged("rolled-back", _ROLLED_BACK, exchanges=ids)
    if firsts == 0 and not unseen:
        return Finding(expect.level, "lost", _TAKEN_FOR_REPEAT + _BY_ANSWERS, ids)
    return held(expect.level, accepted)


def _is_conclusive(exchange: Exchange, profile: ReceiverProfile) -> bool:
    """Whether the inferred observer can classify the answer. A repeat may be answered by another status
    than 200; any other refusal is neither first nor repeat, whatever its body looks like."""
    return exchange.status in profile.accepted or (
        exchange.answer is not None
        and profile.inferred is not None
        and profile.inferred.by_status
        and profile.inferred.is_first(exchange.answer) is False
    )


@dataclass(frozen=True, slots=True)
class _Effects:
    """What the observer counted for one step: msgId → effects, before and after the step's messages.

    `later` are the ids of observed control messages, sent after the step's own. `ended` is True when
    the effects of the step's messages are known to have ended: effects may come in order and long after
    the answers, so a later message's effect shows it.
    """

    before: Mapping[str | None, int]
    after: Mapping[str | None, int]
    later: Sequence[str | None]
    ended: bool

    @property
    def own(self) -> list[str | None]:
        """The ids of the step's own messages."""
        return [msg_id for msg_id in self.after if msg_id not in self.later]


@dataclass(frozen=True, slots=True)
class _Miscount:
    """A message with another number of effects than expected."""

    msg_id: str | None
    effects: int
    expected: int


def _counted(
    expect: Expect, step: Step, index: int, exchanges: Sequence[Exchange], profile: ReceiverProfile
) -> Judgement:
    """Judges by the effects that the observer counted for the step's messages."""
    here = [exchange for exchange in exchanges if exchange.step == index]
    silent = [e for e in here if e.role is Role.OBSERVE and count(e) is None]
    if silent:
        return Unjudged("observer-silent", _OBSERVER_SILENT, error=True, exchanges=(silent[0].id,))
    effects = _effects(here)
    acknowledged = _acknowledged(exchanges, index, profile)
    acknowledged_before = _acknowledged(exchanges, index - 1, profile)
    # Any effect of this step shows that the observer sees effects at all.
    observable = any(effects.after.values()) and effects.ended
    unchanged = expect.processed == "unchanged"
    wrong, belated = [], False
    for msg_id in effects.own:
        number = effects.after[msg_id]
        expected = effects.before[msg_id] if unchanged else int(expect.processed or 0)
        if unchanged and number and not expected and msg_id in acknowledged_before:
            expected = 1  # the belated effect of the message that was accepted earlier
            belated = belated or number == 1
        # A resend only asks whether a refused message takes effect, not how often.
        more = number > expected and not step.resend
        if more or (number < expected and observable and msg_id in acknowledged):
            wrong.append(_Miscount(msg_id, number, expected))
    if wrong:
        return _miscounted(expect, step, wrong, len(effects.own), exchanges)
    if belated:
        return Unjudged("belated", _BELATED, error=True)
    if effects.later and not effects.ended:  # `_controls` reports a later message that was refused
        return Unjudged("no-later-effect", _NO_LATER_EFFECT, error=True)
    own = any(effects.after[msg_id] for msg_id in effects.own)
    if not observable or not (own or unchanged or expect.processed == 0):
        return Unjudged("no-effect-seen", _NO_EFFECT_SEEN)
    return held(expect.level, [exchange for exchange in here if exchange.role is Role.OBSERVE])


def _effects(here: Sequence[Exchange]) -> _Effects:
    """The effects in one step's exchanges, where every observation has a count."""
    observations = [exchange for exchange in here if exchange.role is Role.OBSERVE]
    before = {each.msg_id: count(each) or 0 for each in reversed(observations)}
    after = {each.msg_id: count(each) or 0 for each in observations}
    controls = [exchange.msg_id for exchange in here if exchange.role is Role.CONTROL]
    later = [msg_id for msg_id in controls if msg_id in after]
    ended = not controls or any(after[msg_id] for msg_id in later)
    return _Effects(before, after, later, ended)


def _acknowledged(
    exchanges: Sequence[Exchange], index: int, profile: ReceiverProfile
) -> set[str | None]:
    """The ids of the messages that were accepted up to step `index`."""
    probes = [e for e in exchanges if e.role is Role.PROBE and e.step <= index]
    return {probe.msg_id for probe in probes if probe.status in profile.accepted}


def _miscounted(
    expect: Expect,
    step: Step,
    wrong: Sequence[_Miscount],
    messages: int,
    exchanges: Sequence[Exchange],
) -> Finding:
    """The finding for `wrong` out of `messages`: the gravest of them is described."""
    worst = max(wrong, key=lambda miscount: miscount.effects)
    lost = worst.effects < worst.expected
    wrong = [each for each in wrong if (each.effects < each.expected) is lost]
    several = Sentence("{count} of {total} messages: ", count=len(wrong), total=messages)
    probes = [e.id for e in exchanges if e.msg_id == worst.msg_id and e.role is Role.PROBE]
    forgotten = step.observe is not None and worst.effects < worst.expected
    description = _FORGOTTEN if forgotten else _times(worst.effects, worst.expected)
    message = (several if messages > 1 else EMPTY) + description
    code = "lost" if lost else "too-many-effects"
    return Finding(expect.level, code, message, tuple(probes[:10]))


def count(exchange: Exchange) -> int | None:
    """N of an observer's `{"count": N}`; None for any other answer."""
    if exchange.status != 200 or exchange.answer is None:
        return None
    try:
        number = json.loads(exchange.answer.body)["count"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_count = isinstance(number, int) and not isinstance(number, bool) and number >= 0
    return number if is_count else None


def _times(effects: int, expected: int = 1) -> Sentence:
    """How often a message took effect, compared with how often it should have."""
    if effects == 0:
        return Sentence("answered 200, but had no effect within 5 s")
    if expected == 0:
        return Sentence("took effect ({actual}×), though it must not be processed", actual=effects)
    return Sentence(
        "took effect {actual} times instead of {expected}", actual=effects, expected=expected
    )


_CUT = (Transport.CUT, Transport.OVERLONG)
_FORGOTTEN = Sentence(
    "answered 200 earlier, and the observer shows no effect now (lost, or counted in memory alone)"
)
_BY_ANSWERS = Sentence(" (judged by the answers)")
_NEITHER = Sentence("an answer fits neither a first message nor a repeat: pass --observer-url")
_ROLLED_BACK = Sentence(
    "the resent message was answered as a first one; the answers cannot show whether the "
    "abandoned attempt took effect: pass --observer-url"
)
_TAKEN_FOR_REPEAT = Sentence(
    "answered as a repeat, though it had never been accepted: the message is lost"
)
UNMEASURED = Sentence("not judged: Hookproof itself was held up when the answer came")
UNOBSERVED = Sentence("needs --observer-url, or answers that tell a repeat from a first message")
_NO_CONTROL = Sentence(
    "not judged: no plain valid message was sent beside it, so nothing shows that it was "
    "refused for what it is"
)
_NO_REFUSAL = Sentence(": that is no refusal; --observer-url would show whether it had an effect")
_NOT_ACCEPTED = Sentence("not judged: no attempt for this message was accepted")
_NO_EFFECT_SEEN = Sentence("not judged: the observer showed no effect of any message of this step")
_PLAIN_REFUSED = Sentence("not judged: the same message in its plain form is not accepted: ")
_NOT_NO = Sentence(', which means "not now", not "no": the target answers refusals differently')
_NEVER_BUSY = Sentence(
    "every valid message was accepted at once: there was no 429, 5xx or time-out"
)
_STAYED_BUSY = Sentence("the messages that were refused temporarily were refused again when resent")
_OBSERVER_SILENT = Sentence('the observer did not answer {{"count": N}}')
_NO_LATER_EFFECT = Sentence(
    "not judged: a plain valid message sent afterwards was accepted, but had no effect within 5 s"
)
_BELATED = Sentence(
    "not judged: an earlier message with the same msgId was accepted and had no effect "
    "by then; the effect seen now may be its own"
)
