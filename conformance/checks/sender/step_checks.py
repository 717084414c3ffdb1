"""Checks of the deliveries of one step of a sender's case: what `attempts` and `arrives` cannot express."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from statistics import median
from typing import Any

from conformance.checks.check import Check, Need, Scope
from conformance.checks.sender.attempt_count import as_answered
from conformance.checks.sender.excerpt import differing, visible_json
from conformance.checks.sender.pass_evidence import (
    describe_attempts,
    describe_delay,
    describe_waits,
)
from conformance.checks.sender.profile import SenderProfile, retry_after
from conformance.checks.sender.signing import fits, signature_of
from conformance.checks.sender.step import Fields, StepExchanges, fields_of, has_whole_body, some_of
from conformance.checks.sender.waiting import all_delivered, at_least, enough_attempts
from conformance.checks.sender.waits import (
    BLUR,
    FEWEST,
    are_too_short,
    figures,
    kind_of,
    mean_waits,
    slack_of,
    slack_of_growth,
    waits,
)
from conformance.model.exchange import Exchange
from conformance.model.rules import NO_EVIDENCE, Finding, Judgement, Level, Unjudged, gravest, held
from conformance.model.sentence import EMPTY, Sentence
from conformance.protocol.dialect import Secret

PROMPT = 2.0
"""Seconds within which an idle sender must make its first attempt."""
BESIDE_CROWD = 2.0
"""The longest wait must be longer than this many times the time for sending every message once."""
A_ROUND, SAME_AS_ROUND = 0.5, (0.8, 1.15)
"""The seconds from which sending every message once counts as a round, and the shares of a round that a wait
may last when it is only the wait for the next round."""


def faithful(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """The message arrives as it was emitted, except for the timestamp, which the sender sets."""
    by_message = step.attempts()
    emitted = {str(event.msg_id): fields_of(event) for event in step.events}
    events = {msg_id: emitted[msg_id] for msg_id in step.ids}
    firsts = {msg_id: by_message[msg_id][0] for msg_id in events if by_message[msg_id]}
    wrong = [
        (change, first.id)
        for msg_id, first in firsts.items()
        if (change := _first_change(events[msg_id], fields_of(first)))
    ]
    if not wrong:
        readable = [first for first in firsts.values() if fields_of(first)]
        return [held(level, readable, Unjudged("unreadable", _UNREADABLE))]
    text, first = wrong[0]
    text = some_of(len(wrong), len(events)) + text
    return [Finding(level, "message-changed", text, (first,))]


def _first_change(emitted: Fields, delivered: Fields) -> Sentence:
    """The first field that was changed on the way; empty when none was."""
    for name, value in emitted.items():
        arrived = delivered.get(name)
        # A missing value, or one of another type, does not fit the schema, and is reported there; but
        # 7.0 fits an integer, and many receivers cannot read it as one.
        is_float = isinstance(value, int) and isinstance(arrived, float)
        if is_float or (type(arrived) is type(value) and not _same(value, arrived)):
            return _changed(name, value, delivered)
    return EMPTY


def same_message(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """Every attempt carries the message of the first attempt, and a right signature."""
    compared: list[Exchange] = []
    for msg_id, attempts in step.attempts().items():
        if msg_id not in step.ids:
            continue
        # sender.wire.whole-body reports the others.
        whole = [(n, each) for n, each in enumerate(attempts, 1) if has_whole_body(each)]
        if not whole or not fields_of(whole[0][1]):
            continue
        first = _without_timestamp(whole[0][1])
        for number, each in whole[1:]:
            compared.append(each)
            fields = _without_timestamp(each)
            names = dict.fromkeys([*first, *fields])
            changed = [n for n in names if not _same(first.get(n), fields.get(n))]
            if changed:
                place = Sentence("attempt {number}: ", number=number)
                change = _changed(changed[0], first.get(changed[0]), fields)
                return [
                    Finding(level, "message-changed", place + change, (each.id, whole[0][1].id))
                ]
        stale = _stale(attempts, profile, level)
        if stale is not None:
            return [stale]
    return [held(level, compared)]


def _stale(attempts: Sequence[Exchange], profile: SenderProfile, level: Level) -> Finding | None:
    """A later attempt whose signature is wrong, though that of the first is right."""
    if profile.scheme is None or not fits(profile.scheme, attempts[0], profile.requested.dialect):
        return None  # one cause, one finding: sender.wire.signature reports it
    for number, each in enumerate(attempts[1:], 2):
        signed = signature_of(each, profile.requested.dialect) is not None and has_whole_body(each)
        if signed and not fits(profile.scheme, each, profile.requested.dialect):
            text = Sentence(
                "attempt {number}: the signature does not match its timestamp and body",
                number=number,
            )
            return Finding(level, "signature-stale", text, (each.id, attempts[0].id))
    return None


def own_secret(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """Deliveries to each endpoint are signed with the secret of its own configuration."""
    own, other = profile.requested.secret, profile.other_secret
    judgements = [
        _signed_with(own, _own(step), profile, level, _OTHERS_SECRET),
        _signed_with(other, _own(step, other=True), profile, level, _OTHERS_SECRET),
    ]
    worst = gravest(judgements)
    return [worst] if isinstance(worst, Finding) else judgements


def new_secret(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """Deliveries after an Update of the Secret are signed with the new one."""
    return [_signed_with(profile.other_secret, _own(step), profile, level, _OLD_SECRET)]


def url_whole(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """Requests go to the URL that was configured, as RFC 3986, 6.2.2 compares it, without its fragment."""
    configured = fields_of(step.config_call).get("URL") if step.config_call is not None else None
    attempts = _own(step)
    if not isinstance(configured, str):
        return [NO_EVIDENCE]
    for each in attempts:
        expected, actual = (
            _path_and_query(configured.partition("#")[0]),
            _path_and_query(each.request.url),
        )
        if expected != actual:
            was, now = differing(visible_json(expected), visible_json(actual))
            text = Sentence("sent to {actual}, not to {expected}", actual=now, expected=was)
            return [Finding(level, "url-changed", text, (each.id,))]
    return [held(level, attempts)]


def _path_and_query(url: str) -> str:
    """What a request for `url` asks for, normalised: a fragment is not sent, but if it was, it shows."""
    path = "/" + url.partition("://")[2].partition("/")[2]
    return _ESCAPED.sub(_unescaped, path)


def _unescaped(escaped: re.Match[str]) -> str:
    character = chr(int(escaped[1], 16))
    return character if _UNRESERVED.fullmatch(character) else escaped[0].upper()


_ESCAPED = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile("[A-Za-z0-9._~-]")  # RFC 3986, 2.3


def _own(step: StepExchanges, *, other: bool = False) -> list[Exchange]:
    """All attempts for the step's messages."""
    by_message = step.attempts(other=other)
    return [attempt for msg_id in step.ids for attempt in by_message[msg_id]]


def _signed_with(
    secret: Secret,
    attempts: Sequence[Exchange],
    profile: SenderProfile,
    level: Level,
    otherwise: Sentence,
) -> Judgement:
    """Whether `attempts` are signed with `secret`; `otherwise` describes the run's other one."""
    if profile.scheme is None:
        return Unjudged("unknown-scheme", _UNKNOWN_SCHEME)
    secrets = (profile.requested.secret, profile.other_secret)
    for each in attempts:
        if fits(profile.scheme, each, profile.requested.dialect, secret):
            continue
        either = any(fits(profile.scheme, each, profile.requested.dialect, one) for one in secrets)
        return Finding(level, "wrong-secret", otherwise if either else _NEITHER_SECRET, (each.id,))
    return held(level, attempts)


def distinct_ids(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """No two calls of Test send the same msgId."""
    firsts = [attempt for test in step.up_to_here if (attempt := _first(test)) is not None]
    if len(firsts) < 2:
        return [Unjudged("one-test", _ONE_TEST)]
    ids = [fields_of(attempt).get("msgId") for attempt in firsts]
    if None in ids:
        return [Unjudged("no-message-id", _NO_ID)]
    if ids[0] != ids[1]:
        return [held(level, firsts)]
    text = Sentence("both tests carry the msgId {msg_id!r}", msg_id=str(ids[0]))
    return [Finding(level, "same-message-id", text, tuple(attempt.id for attempt in firsts))]


def _first(step: StepExchanges) -> Exchange | None:
    firsts = [attempts[0] for attempts in step.attempts().values()]
    return min(firsts, key=lambda attempt: attempt.started, default=None)


def exponential_waits(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """The mean waits grow exponentially, whatever the jitter."""
    messages = [attempts for msg_id, attempts in step.attempts().items() if msg_id in step.ids]
    means, scatter = mean_waits(messages)
    if len(means) < FEWEST:
        return [Unjudged("too-few-waits", _TOO_FEW_WAITS)]
    starts = [attempts[0].started for attempts in messages]
    spread = max(starts) - min(starts)
    # An attempt that is due may have to wait for the turn of its message.
    kind = kind_of(means, scatter, max(BLUR, spread))
    if kind is None and are_too_short(means):
        text = Sentence(
            "waits were {waits} s, too short to tell backoff from a busy machine: needs a longer first wait",
            waits=figures(means),
        )
        return [Unjudged("waits-too-short", text, slack=max(means) / 4)]
    if kind is None:
        # Where a round takes as long as the waits, it may be the rounds that have grown.
        crowded = spread - max(means) / BESIDE_CROWD
        if crowded >= 0:
            return [Unjudged("lost-in-crowd", _LOST_IN_CROWD, slack=crowded)]
        seen = [attempt for attempts in messages for attempt in attempts]
        return [held(level, seen, slack=slack_of_growth(means))]
    # A sender with a limited rate returns to a message once in a round, whatever its backoff.
    if spread > A_ROUND and SAME_AS_ROUND[0] < median(means) / spread < SAME_AS_ROUND[1]:
        return [Unjudged("lost-in-crowd", _LOST_IN_CROWD, slack=spread - A_ROUND)]
    text = Sentence("waits were {waits} s: ", waits=figures(means)) + kind.text
    return [
        Finding(level, kind.code, text, tuple(each.id for each in messages[0]), slack_of(means))
    ]


def retry_after_respected(
    step: StepExchanges, profile: SenderProfile, level: Level
) -> list[Judgement]:
    """The sender waits as long as Retry-After asks."""
    asking: list[Exchange] = []
    for attempts in step.attempts().values():
        for each, wait in zip(attempts, waits(attempts), strict=False):
            delay = retry_after(each)
            asking += [each] if delay else []
            if wait < delay - 0.1:
                text = Sentence(
                    "sent again after {wait:.1f} s, though Retry-After asked for {delay:g} s",
                    wait=wait,
                    delay=delay,
                )
                return [Finding(level, "sent-too-soon", text, (each.id,), delay - wait)]
    return [held(level, asking, Unjudged("no-retry-after", _NO_RETRY_AFTER))]


def prompt(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """The first attempt for each message begins soon after the sender has accepted it."""
    by_message = step.attempts()
    events = {str(event.msg_id): event for event in step.events if by_message[str(event.msg_id)]}
    firsts = {msg_id: by_message[msg_id][0] for msg_id in events}
    delays = {msg_id: first.started - events[msg_id].ended for msg_id, first in firsts.items()}
    msg_id = max(delays, key=lambda key: delays[key], default=None)
    if msg_id is None:
        return [NO_EVIDENCE]
    if delays[msg_id] <= PROMPT:
        # The sender cannot have accepted a message before it was sent: only that is certain.
        latest = max(first.started - events[key].started for key, first in firsts.items())
        slack = PROMPT - delays[msg_id] if latest > PROMPT else None
        return [held(level, firsts.values(), slack=slack)]
    text = Sentence(
        "the first attempt came {delay:.1f} s after the message was accepted",
        delay=delays[msg_id],
    )
    return [
        Finding(level, "first-attempt-late", text, (firsts[msg_id].id,), delays[msg_id] - PROMPT)
    ]


def delivered_after_restart(
    step: StepExchanges, profile: SenderProfile, level: Level
) -> list[Judgement]:
    """Every accepted message is answered 200 in the end, though the sender was killed."""
    by_message, events = step.attempts(), _all_events(step)
    lost = [i for i in events if not any(attempt.status == 200 for attempt in by_message[i])]
    if not lost:
        return [held(level, [attempt for i in events for attempt in by_message[i]])]
    text = Sentence(
        "{count} of {total} accepted messages did not arrive after the restart",
        count=len(lost),
        total=len(events),
    )
    return [Finding(level, "not-delivered", text, tuple(events[i].id for i in lost[:10]))]


def not_sent_again(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """Messages answered 200 before the restart are not sent again."""
    repeated = [
        attempts
        for attempts in step.attempts().values()
        if any(attempt.status == 200 for attempt in attempts[:-1])
    ]
    if not repeated:
        firsts = [attempts[0] for attempts in step.attempts().values()]
        return [held(level, [first for first in firsts if first.status == 200])]
    text = Sentence(
        "{count} messages were sent again after they had been answered 200", count=len(repeated)
    )
    return [Finding(level, "sent-again", text, tuple(attempt.id for attempt in repeated[0]))]


def _all_events(step: StepExchanges) -> dict[str, Exchange]:
    """msgId → its event, for all messages up to the step."""
    return {str(event.msg_id): event for each in step.up_to_here for event in each.events}


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON, where true is not 1."""
    return type(one) is type(other) and json.dumps(one, sort_keys=True) == json.dumps(
        other, sort_keys=True
    )


def _without_timestamp(attempt: Exchange) -> Fields:
    return {n: value for n, value in fields_of(attempt).items() if n.lower() != "timestamp"}


def _changed(name: str, original: object, delivered: Fields) -> Sentence:
    if name not in delivered:
        return Sentence("{name} is missing", name=name)
    was, now = differing(visible_json(original), visible_json(delivered[name]))
    return Sentence(
        "{name} was {expected}, and arrived as {actual}", name=name, expected=was, actual=now
    )


_UNKNOWN_SCHEME = Sentence("not judged: the signing scheme is unknown")
_OTHERS_SECRET = Sentence("signed with the Secret of another configuration, not with its own")
_OLD_SECRET = Sentence("still signed with the Secret from before the Update")
_NEITHER_SECRET = Sentence("the signature matches no Secret")
_NO_ID = Sentence("not judged: a test message has no readable msgId")
_ONE_TEST = Sentence("only one test message arrived")
_UNREADABLE = Sentence("not judged: no first attempt has a body that can be read")
_NO_RETRY_AFTER = Sentence("no answer with Retry-After was given")
_TOO_FEW_WAITS = Sentence("too few attempts to see how the waits grow")
_LOST_IN_CROWD = Sentence(
    "the waits are no longer than it takes to send all messages: needs a longer first wait"
)

_BODIES = frozenset({Need.BODIES})
CHECKS = (
    Check("faithful", Scope.STEP, faithful, _BODIES, at_least(1)),
    Check("same-message", Scope.STEP, same_message, _BODIES | {Need.SECRET}, at_least(2)),
    Check("own-secret", Scope.STEP, own_secret, _BODIES | {Need.SECRET}, at_least(1)),
    Check("new-secret", Scope.STEP, new_secret, _BODIES | {Need.SECRET}, at_least(1)),
    Check("url-whole", Scope.STEP, url_whole, settled_when=at_least(1)),
    Check("distinct-ids", Scope.STEP, distinct_ids),
    Check(
        "exponential-waits",
        Scope.STEP,
        exponential_waits,
        settled_when=at_least(FEWEST + 1),
        describe_pass=describe_waits,
    ),
    Check("retry-after", Scope.STEP, retry_after_respected, settled_when=at_least(2)),
    Check("prompt", Scope.STEP, prompt, settled_when=at_least(1), describe_pass=describe_delay),
    Check(
        "delivered-after-restart",
        Scope.STEP,
        delivered_after_restart,
        settled_when=all_delivered,
    ),
    Check("not-sent-again", Scope.STEP, not_sent_again),
    Check(
        "as-answered",
        Scope.STEP,
        as_answered,
        settled_when=enough_attempts,
        describe_pass=lambda step, profile: describe_attempts(step, profile, step.retry_count),
    ),
)
