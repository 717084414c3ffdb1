"""Checks of a receiver that look at the exchanges of many rules at once.

Each takes the exchanges of the rules that its scenario lists under `over`, or of one message among them, and
the level of its own rule.
"""

from __future__ import annotations

import ipaddress
import statistics
from collections.abc import Iterable, Sequence
from itertools import islice
from urllib.parse import urlsplit

from conformance.checks.check import Check, Need, Scope
from conformance.checks.receiver.case import NOT_NOW, UNMEASURED
from conformance.checks.receiver.crash_suspects import describe_suspects, suspects
from conformance.checks.receiver.leaks import reveals_nothing
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.receiver.root_causes import FORGERIES_ACCEPTED
from conformance.checks.receiver.wording import RATE_LIMIT, answered, places
from conformance.model.exchange import Exchange, Fault, Masked, Role
from conformance.model.rules import NO_EVIDENCE, Finding, Held, Judgement, Level, Unjudged, held
from conformance.model.sentence import Sentence, clauses
from conformance.protocol.schemes import describe_dialect

FAST = 0.5
"""Seconds within which a receiver answers that defers its work until after the answer."""
_UNANSWERED = (Fault.TIMEOUT, Fault.CLOSED, Fault.GARBAGE, Fault.ENDLESS)
ENOUGH = 5
"""The number of answers below which a median says nothing."""


def status_exactly_200(
    over: Iterable[Exchange], profile: ReceiverProfile, level: Level
) -> list[Judgement]:
    """Plain valid messages are answered 200, not another 2xx."""
    plain = [exchange for exchange in over if exchange.role is Role.PLAIN]
    other = [e for e in plain if e.status is not None and e.status != 200 and 200 <= e.status < 300]
    if not other:
        return [
            held(level, [exchange for exchange in plain if exchange.status == 200], _NONE_ACCEPTED)
        ]
    status = other[0].status
    message = Sentence(
        "{count} of {total} plain valid messages were answered {status}: the sender treats "
        "that as a failure and sends again",
        count=len(other),
        total=len(plain),
        status=status or 0,
    )
    return [Finding(level, "other-2xx", message, _ids(other))]


def dialect(over: Iterable[Exchange], profile: ReceiverProfile, level: Level) -> list[Judgement]:
    """The target speaks the dialect that was requested."""
    spoken = profile.scheme.signer.dialect
    rewritten = profile.scheme.rewritten is not None
    if profile.accepts_forgeries:
        return [FORGERIES_ACCEPTED]
    plain = [e for e in over if e.role in (Role.PLAIN, Role.PREFLIGHT)]
    if not profile.scheme.description or (rewritten and spoken.name == profile.requested.name):
        accepted = [exchange for exchange in plain if exchange.status in profile.accepted]
        return [held(level, accepted, _NONE_ACCEPTED)]
    message = (
        Sentence("the target signs ")
        + (describe_dialect(spoken) if rewritten else profile.scheme.description)
        + Sentence(
            " (dialect {spoken}), not {requested}: {summary} Everything else was judged in the "
            "dialect that it speaks.",
            spoken=spoken.name,
            requested=profile.requested.name,
            summary=profile.requested.summary,
        )
    )
    accepted = [e for e in plain if e.role is Role.PREFLIGHT and e.status in profile.accepted]
    refused = [e for e in plain if e.role is Role.PLAIN and e.status not in profile.accepted]
    if not accepted:
        return [_NONE_ACCEPTED]
    return [Finding(level, "other-dialect", message, _ids([*accepted[:1], *refused]))]


def signature_refusal_status(
    over: Iterable[Exchange], profile: ReceiverProfile, level: Level
) -> list[Judgement]:
    """Forged requests are refused by 401; any other 4xx is worth no more than a note."""
    forged = [e for e in over if e.role is Role.PROBE and e.signing and not e.signing.authentic]
    refused = [e for e in forged if (e.fault in _UNANSWERED or (e.status or 200) >= 300)]
    # A "not now" counts as a refusal only where the target answers every forgery with it.
    refused = [e for e in refused if e.status not in NOT_NOW or (e.status, None) == profile.refusal]
    if not refused:
        return [Unjudged("nothing-refused", Sentence("no forged request was refused"))]
    wrong = [e for e in refused if e.status is None or not 400 <= e.status < 500]
    other = [e for e in refused if e not in wrong and e.status != 401]
    judgements: list[Judgement] = []
    if wrong:
        judgements.append(
            Finding(level, "refused-otherwise", _by_status(wrong, "401"), _ids(wrong))
        )
    if other:
        judgements.append(Finding(Level.MAY, "other-4xx", _by_status(other, "401"), _ids(other)))
    return judgements or [held(level, refused)]


def body_refusal_status(
    over: Iterable[Exchange], profile: ReceiverProfile, level: Level
) -> list[Judgement]:
    """Malformed bodies are refused by 400; for bytes that are not UTF-8, 401 is as good."""
    refused = [
        e for e in over if e.role is Role.PROBE and e.status is not None and 400 <= e.status < 500
    ]
    if not refused:
        return [Unjudged("nothing-refused", Sentence("no malformed body was refused by 4xx"))]
    other = [e for e in refused if e.status != 400 and (e.status != 401 or _is_utf8(e))]
    if other:
        return [Finding(level, "other-4xx", _by_status(other, "400"), _ids(other))]
    return [held(level, refused)]


def _is_utf8(exchange: Exchange) -> bool:
    """Whether the request's body is UTF-8. One that is masked may not have been."""
    try:
        exchange.request.body.decode()
    except UnicodeDecodeError:
        return False
    return Masked.CONTENT not in exchange.masked


def body_answered(
    over: Iterable[Exchange], profile: ReceiverProfile, level: Level
) -> list[Judgement]:
    """Every request with a malformed body gets an answer."""
    probes = [exchange for exchange in over if exchange.role is Role.PROBE]
    if not probes:
        return [Unjudged("no-evidence", Sentence("no malformed body was sent"))]
    silent = [probe for probe in probes if probe.fault in _UNANSWERED]
    if silent:
        return [Finding(level, "unanswered", _by_status(silent, None), _ids(silent))]
    return [held(level, [probe for probe in probes if probe.answer is not None])]


def within_deadline(
    over: Iterable[Exchange], profile: ReceiverProfile, level: Level
) -> list[Judgement]:
    """Every answer comes within the deadline."""
    timed = [e for e in over if e.role is not Role.OBSERVE and e.fault is not Fault.GIVEN_UP]
    late = [
        e for e in timed if e.fault is Fault.TIMEOUT or (e.status and e.seconds > profile.deadline)
    ]
    right = tuple(e.id for e in timed if e.status is not None and e.seconds <= profile.deadline)
    judgements: list[Judgement] = [Held(level, right)] if right else []
    if late:
        message = Sentence(
            "no whole answer within {deadline:g} s (ended after {seconds:.1f} s: {where})",
            deadline=profile.deadline,
            seconds=late[0].seconds,
            where=places(late),
        )
        judgements.append(Finding(level, "late", message, tuple(e.id for e in late)))
    return judgements


def _of_requests(count: int, total: int) -> Sentence:
    return Sentence("{count} of {total} requests: ", count=count, total=total)


def fast_ack(over: Iterable[Exchange], profile: ReceiverProfile, level: Level) -> list[Judgement]:
    """The median answer to plain messages, sent one at a time before the suite, is fast."""
    alone = [
        e for e in over if e.role in (Role.PLAIN, Role.PREFLIGHT) and e.status in profile.accepted
    ]
    if len(alone) < ENOUGH:
        return [Unjudged("too-few-answers", Sentence("too few plain messages were answered"))]
    median = statistics.median(exchange.seconds for exchange in alone)
    if median <= FAST:
        return [held(level, alone)]
    message = Sentence(
        "the median answer to a plain message took {milliseconds:.0f} ms, sent one at a time",
        milliseconds=median * 1000,
    )
    return [Finding(level, "slow", message, _ids(alone))]


def alive(over: Iterable[Exchange], profile: ReceiverProfile, level: Level) -> list[Judgement]:
    """A plain valid message is still accepted after the whole run."""
    after = [each for each in over if each.role is Role.PLAIN and each.case == "after"]
    if not after:
        return [Unjudged("run-unfinished", Sentence("the run did not finish"), error=True)]
    if after[-1].status in profile.accepted:
        return [held(level, after[-1:])]
    if after[-1].status == 429:
        return [Unjudged("rate-limit", RATE_LIMIT, error=True, exchanges=_ids(after))]
    if after[-1].fault is Fault.GIVEN_UP:
        return [Unjudged("unmeasured", UNMEASURED, error=True, exchanges=_ids(after))]
    message = Sentence("after the run, a plain valid message: ") + answered(after[-1])
    lost = suspects(over, after[-1].request.url) if after[-1].status is None else []
    return [Finding(level, "dead", message + describe_suspects(lost), _ids([*after[-1:], *lost]))]


def https(over: Iterable[Exchange], profile: ReceiverProfile, level: Level) -> list[Judgement]:
    """An endpoint that is not on loopback uses https, with a certificate that verifies."""
    first = list(islice(over, 10))
    if not first:
        return [NO_EVIDENCE]
    if profile.certificate:
        message = Sentence(
            "the certificate does not verify: {reason} (a private authority is trusted with --ca "
            "FILE)",
            reason=profile.certificate,
        )
        return [Finding(level, "certificate-untrusted", message, _ids(first))]
    if urlsplit(profile.url).scheme == "https":
        return [held(level, (exchange for exchange in over if exchange.answer is not None))]
    peers = {each.peer for each in over if each.role is Role.PLAIN and each.peer}
    if all(_is_loopback(peer) for peer in peers or {urlsplit(profile.url).hostname or ""}):
        return [Unjudged("on-loopback", Sentence("an endpoint on loopback needs no https"))]
    return [Finding(level, "plain-http", Sentence("the endpoint is plain http"), _ids(first))]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False  # a host name that was never resolved
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _by_status(exchanges: Sequence[Exchange], expected: str | None) -> Sentence:
    """Exchanges grouped by answer: "answered 403: a, b; answered 500: c (instead of 401)"."""
    groups: dict[Sentence, list[Exchange]] = {}
    for exchange in exchanges:
        groups.setdefault(answered(exchange), []).append(exchange)
    answers = clauses(
        Sentence("{answer}: {places}", answer=answer, places=places(group))
        for answer, group in groups.items()
    )
    if expected is None:
        return answers
    return answers + Sentence(" (instead of {expected})", expected=expected)


def _ids(exchanges: Sequence[Exchange]) -> tuple[int, ...]:
    return tuple(exchange.id for exchange in exchanges[:10])


_NONE_ACCEPTED = Unjudged("none-accepted", Sentence("no plain valid message was accepted"))

CHECKS = (
    Check("status-exactly-200", Scope.RUN, status_exactly_200),
    Check("dialect", Scope.RUN, dialect),
    Check("signature-refusal-status", Scope.RUN, signature_refusal_status),
    Check("body-refusal-status", Scope.RUN, body_refusal_status),
    Check("body-answered", Scope.RUN, body_answered),
    Check("within-deadline", Scope.MESSAGE, within_deadline, counted=_of_requests),
    Check("fast-ack", Scope.RUN, fast_ack),
    Check("alive", Scope.RUN, alive),
    Check("https", Scope.RUN, https),
    Check("reveals-nothing", Scope.MESSAGE, reveals_nothing, frozenset({Need.SECRET, Need.BODIES})),
)
