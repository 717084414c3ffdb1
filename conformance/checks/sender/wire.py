"""Checks of a sender over all attempts of a run, message by message: how deliveries look on the wire."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from conformance.checks.check import Check, Judge, Need, Scope
from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.signing import (
    fits,
    scheme_of,
    signature_of,
    stamp_of,
    stamp_time,
)
from conformance.checks.sender.step import fields_of, has_whole_body, is_call
from conformance.model.exchange import Exchange, Fault, Request, Role
from conformance.model.rules import Finding, Held, Judgement, Level, Unjudged
from conformance.model.sentence import EMPTY, Sentence
from conformance.protocol import http1
from conformance.protocol.delivery import deadline
from conformance.protocol.dialect import Dialect
from conformance.protocol.fast_validation import message_fits
from conformance.protocol.schemes import Scheme
from conformance.protocol.validation import message_problems

FRESH = 60.0
"""The seconds by which a timestamp header may differ from the clock."""
LONGEST_SHOWN = 80
GIVEN_UP = 1.0
"""Seconds after which a sender that disconnects in mid-body has given up."""
FROZEN = 3.0
"""Seconds after which a retry with the first attempt's timestamp was not given a new one."""
NOTHING = Unjudged("no-delivery", Sentence("no delivery arrived"), error=True)
UNSIGNED = Unjudged("unsigned", Sentence("not judged: no delivery was signed"))


def deliveries(over: Sequence[Exchange]) -> list[Exchange]:
    """The deliveries to endpoints with the run's own secret, without probes."""
    attempts = [exchange for exchange in over if exchange.role is Role.ATTEMPT]
    return [each for each in attempts if not _is_probe(each.request)]


def _is_probe(request: Request) -> bool:
    """Whether a sender only looks whether the endpoint is there, as some do when it is configured."""
    if request.method == "GET" and not request.body:
        return not any(b"signature" in name.lower() for name, _ in request.headers)
    return request.method in ("HEAD", "OPTIONS")


def _for_each(
    code: str,
    problem: Callable[[Exchange, SenderProfile], Sentence | None],
    shows: Callable[[Exchange, SenderProfile], object] = lambda each, profile: True,
) -> Judge:
    """A judge of each delivery that `shows` what it is about. `problem` describes what is wrong with one,
    or returns None; the finding's code is `code`."""

    def check(over: Sequence[Exchange], profile: SenderProfile, level: Level) -> list[Judgement]:
        attempts = deliveries(over)
        relevant = [each for each in attempts if shows(each, profile)]
        if attempts and not relevant:
            return [UNSIGNED]
        return _judgements(level, code, relevant, lambda each: problem(each, profile))

    return check


def _judgements(
    level: Level,
    code: str,
    attempts: Sequence[Exchange],
    problem: Callable[[Exchange], Sentence | None],
) -> list[Judgement]:
    """A finding on the attempts with a `problem`, and what the others show."""
    texts = [(each.id, problem(each)) for each in attempts]
    wrong = [(number, text) for number, text in texts if text is not None]
    right = tuple(number for number, text in texts if text is None)
    judgements: list[Judgement] = [Held(level, right)] if right else []
    if wrong:
        judgements.append(Finding(level, code, wrong[0][1], tuple(number for number, _ in wrong)))
    return judgements


def _of_deliveries(count: int, total: int) -> Sentence:
    return Sentence("{count} of {total} deliveries: ", count=count, total=total)


def well_formed(over: Sequence[Exchange], profile: SenderProfile, level: Level) -> list[Judgement]:
    """Every request is well-formed HTTP, whatever a parser makes of it."""
    requests = [each for each in over if each.role in _RECEIVED]
    return _judgements(level, "http-malformed", requests, _form_problem)


def _form_problem(each: Exchange) -> Sentence | None:
    return next(iter(http1.problems(each.raw)), None) if each.raw is not None else None


def _method(each: Exchange, profile: SenderProfile) -> Sentence | None:
    method = each.request.method
    return None if method == "POST" else Sentence("sent by {method}, not POST", method=method)


def _content_type(each: Exchange, profile: SenderProfile) -> Sentence | None:
    value = each.header(b"content-type") or b""
    if value.partition(b";")[0].strip().lower() == b"application/json":
        return None
    return Sentence("Content-Type is {actual!r}", actual=_excerpt(value))


def _timestamp(each: Exchange, profile: SenderProfile) -> Sentence | None:
    dialect = profile.requested.dialect
    if stamp_time(each, dialect) is not None:
        return None
    stamp = stamp_of(each, dialect) or b""
    what = _excerpt(stamp)
    if dialect.timestamp_unit == "milliseconds":
        return Sentence("the timestamp is {actual!r}, not Unix milliseconds", actual=what)
    if re.fullmatch(rb"\d{13}", stamp):
        return Sentence("the timestamp is in milliseconds ({actual})", actual=what)
    return Sentence("the timestamp is {actual!r}, not whole Unix seconds", actual=what)


def _signature_form(each: Exchange, profile: SenderProfile) -> Sentence | None:
    dialect = profile.requested.dialect
    signature = signature_of(each, dialect) or b""
    pattern, form = _FORMS[dialect.encoding]
    if re.fullmatch(pattern, signature):
        return None
    what = _excerpt(signature)
    return Sentence("the signature is {actual!r}, not {expected}", actual=what, expected=form)


_FORMS = {
    "hex": (rb"[0-9a-f]{64}", Sentence("64 lower-case hex digits")),
    "base64": (rb"[A-Za-z0-9+/]{43}=", Sentence("32 bytes in Base64")),
}


def _has_stamp(each: Exchange, profile: SenderProfile) -> bool:
    return stamp_of(each, profile.requested.dialect) is not None


def _has_signature(each: Exchange, profile: SenderProfile) -> bool:
    return signature_of(each, profile.requested.dialect) is not None


def _excerpt(value: bytes) -> str:
    text = value.decode("latin-1")
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _always_signed(each: Exchange, profile: SenderProfile) -> Sentence | None:
    dialect = profile.requested.dialect
    values = (
        (dialect.timestamp_header, stamp_of(each, dialect)),
        (dialect.signature_header, signature_of(each, dialect)),
    )
    missing = ", ".join(name for name, value in values if not value)
    return Sentence("without {names}", names=missing) if missing else None


def whole_body(over: Sequence[Exchange], profile: SenderProfile, level: Level) -> list[Judgement]:
    """No signed body is sent empty or incomplete."""
    attempts = deliveries(over)
    signed = [each for each in attempts if _has_signature(each, profile) and not _is_given_up(each)]
    if attempts and not signed:
        return [UNSIGNED]

    def problem(each: Exchange) -> Sentence | None:
        return None if has_whole_body(each) else _describe_loss(each, attempts, profile)

    return _judgements(level, "body-incomplete", signed, problem)


def _is_given_up(each: Exchange) -> bool:
    """Whether the sender disconnected in mid-body after a while, as at a deadline, rather than sending an
    incomplete body."""
    return each.fault is Fault.CLOSED and each.ended - each.started > GIVEN_UP


def _describe_loss(
    each: Exchange, attempts: Sequence[Exchange], profile: SenderProfile
) -> Sentence:
    """How many bytes were sent, and how many were signed if another attempt shows it."""
    sent = len(each.request.body)
    same_message = [e for e in attempts if e.msg_id == each.msg_id and e.msg_id is not None]
    for other in filter(has_whole_body, same_message):
        request = replace(other.request, headers=each.request.headers)
        if profile.scheme and fits(
            profile.scheme, replace(other, request=request), profile.requested.dialect
        ):
            signed = len(other.request.body)
            return Sentence("signed {signed} bytes, sent {sent}", signed=signed, sent=sent)
    if sent:
        return Sentence("signed, and sent with {sent} bytes of body, cut off", sent=sent)
    return Sentence("signed, and sent with {sent} bytes of body, none", sent=sent)


def signature(over: Sequence[Exchange], profile: SenderProfile, level: Level) -> list[Judgement]:
    """The signature is an HMAC over exactly the bytes sent. A finding names another scheme that fits."""
    requested, attempts = profile.requested, deliveries(over)
    signed = [
        each
        for each in attempts
        if has_whole_body(each)
        and stamp_of(each, requested.dialect)
        and signature_of(each, requested.dialect)
    ]
    if attempts and not signed:
        spoken = profile.scheme.description if profile.scheme is not None else EMPTY
        if not spoken:
            return [UNSIGNED]
        ids = tuple(each.id for each in attempts)  # the headers are those of another dialect
        return [Finding(level, "other-scheme", _FITS + spoken + _NOT_ASKED, ids)]
    wrong = [each for each in signed if not _is_signed(each, profile, over)]
    scheme = scheme_of(wrong[0], requested) if wrong else None
    code = "signature-mismatch" if scheme is None else "other-scheme"
    text = _NO_SCHEME if scheme is None else _FITS + scheme.description + _NOT_ASKED
    texts = dict.fromkeys((each.id for each in wrong), text)
    return _judgements(level, code, signed, lambda each: texts.get(each.id))


def _is_signed(each: Exchange, profile: SenderProfile, over: Sequence[Exchange]) -> bool:
    """Whether a delivery is signed as requested, with its secret. A case that sets more than one Secret
    reports a wrong one itself."""
    plain, dialect = Scheme(profile.requested, None, EMPTY), profile.requested.dialect
    if fits(plain, each, dialect):
        return True
    calls = [e for e in over if e.role is Role.API and e.name == each.name]
    secrets = sum("Secret" in fields_of(call) for call in calls)
    return secrets > 1 and fits(plain, each, dialect, profile.other_secret)


def schema(over: Sequence[Exchange], profile: SenderProfile, level: Level) -> list[Judgement]:
    """The body is UTF-8 JSON that fits the message schema."""
    attempts = deliveries(over)
    whole = [each for each in attempts if has_whole_body(each)]
    if attempts and not whole:
        return [Unjudged("no-body", _NO_BODY)]
    return _judgements(level, "schema-violated", whole, _schema_problem)


def _schema_problem(each: Exchange) -> Sentence | None:
    try:
        fields = json.loads(each.request.body.decode())
    except (ValueError, RecursionError):
        return Sentence("the body is not UTF-8 JSON")
    wrong = [] if message_fits(fields) else message_problems(fields)
    return wrong[0].sentence() if wrong else None


def timestamp_fresh(
    over: Sequence[Exchange], profile: SenderProfile, level: Level
) -> list[Judgement]:
    """The timestamp is within a minute of the clock: on a first attempt (the rule's level), and on a retry
    (SHOULD)."""
    attempts = deliveries(over)
    ages = [(each, age) for each in attempts if (age := _age(each, profile)) is not None]
    if attempts and not ages:
        return [_NO_AGE]
    firsts = {each.id for each in {_message(each): each for each in reversed(attempts)}.values()}
    stale = {
        each.id: _describe_age(age, _FIRST if each.id in firsts else _RETRY)
        for each, age in ages
        if abs(age) > FRESH
    }
    code, texts = "timestamp-stale", stale
    if not stale:
        code, texts = "timestamp-frozen", dict(_frozen(attempts, profile))
    at_first = [each for each, _ in ages if each.id in firsts]
    later = [each for each, _ in ages if each.id not in firsts]
    return [
        *_judgements(level, code, at_first, lambda each: texts.get(each.id)),
        *_judgements(Level.SHOULD, code, later, lambda each: texts.get(each.id)),
    ]


def _message(each: Exchange) -> tuple[str, str | None]:
    """The key of a message at one endpoint: another endpoint has first attempts of its own."""
    return each.request.url, each.msg_id


def _frozen(attempts: Sequence[Exchange], profile: SenderProfile) -> Iterator[tuple[int, Sentence]]:
    """The ids of retries with the first attempt's timestamp, though the attempt before them ended well after
    it: after a long outage their timestamps will be too old. When they arrive does not count, since a
    delivery may be held up after it was stamped."""
    dialect = profile.requested.dialect
    of_message: dict[tuple[str, str | None], list[Exchange]] = defaultdict(list)
    for each in attempts:
        before = of_message[_message(each)]
        before.append(each)
        if len(before) == 1 or each.msg_id is None:
            continue
        passed = min(before[-2].ended, each.started) - before[0].started
        if passed < FROZEN or stamp_of(each, dialect) != stamp_of(before[0], dialect):
            continue
        later = each.started - before[0].started
        text = Sentence(
            "the timestamp of a retry {seconds:.0f} s later is still that of the first attempt",
            seconds=later,
        )
        yield each.id, text


def _age(each: Exchange, profile: SenderProfile) -> float | None:
    stamp = stamp_time(each, profile.requested.dialect)
    return None if stamp is None or each.clock is None else each.clock - stamp


def _describe_age(age: float, attempt: Sentence) -> Sentence:
    """`attempt` is _FIRST or _RETRY; a negative `age` is one in the future."""
    if age > 0:
        return Sentence(
            "the timestamp is {seconds:.0f} s old on {attempt}", seconds=age, attempt=attempt
        )
    return Sentence(
        "the timestamp is {seconds:.0f} s ahead on {attempt}", seconds=-age, attempt=attempt
    )


_FIRST, _RETRY = Sentence("the first attempt"), Sentence("a retry")


def timestamp_agrees(
    over: Sequence[Exchange], profile: SenderProfile, level: Level
) -> list[Judgement]:
    """On a first attempt, the timestamps of body and header agree within a second; and the message of a
    Test was created no later."""
    attempts = deliveries(over)
    problems: dict[int, Sentence] = {}
    calls = {each.name for each in over if each.role is Role.API and is_call(each, "Test")}
    emitted = any(each.role is Role.EMIT for each in over)
    compared: list[Exchange] = []
    for each in {_message(each): each for each in reversed(attempts)}.values():
        stamp, fields = stamp_time(each, profile.requested.dialect), fields_of(each)
        body, created = fields.get("timestamp"), fields.get("createTime")
        if not isinstance(body, int) or stamp is None:
            continue
        agree = _agree(body, stamp, profile.requested.dialect)
        if not agree and _UnseenAttempts(over).may_precede(each, body, stamp):
            continue
        compared.append(each)
        if not agree:
            what = _excerpt(str(body).encode())
            text = Sentence("body {body}, header {header:.0f}", body=what, header=stamp)
            problems[each.id] = text
        elif each.name in calls and not emitted and isinstance(created, int) and created > body:
            problems[each.id] = _LATER
    if attempts and not compared:
        return [Unjudged("no-timestamps", _NO_TIMES)]
    return _judgements(level, "timestamps-disagree", compared, lambda each: problems.get(each.id))


class _UnseenAttempts:
    """First attempts that the mock never saw: a busy sender whose deadline is over may give an attempt up
    before it has sent a byte, and then the first attempt that is seen is a retry."""

    def __init__(self, over: Sequence[Exchange]) -> None:
        self._emitted = {e.msg_id: e.started for e in over if e.role is Role.EMIT}
        calls = [fields_of(e) for e in over if e.role is Role.API and is_call(e, "Config")]
        # The offset from the monotonic clock to the wall clock, by the attempt that was read most promptly.
        self._wall = min((e.clock - e.started for e in over if e.clock is not None), default=None)
        self._timeouts = {fields.get("URL"): fields.get("Timeout") for fields in calls}

    def may_precede(self, each: Exchange, body: int, stamp: float) -> bool:
        """Whether the body's timestamp may be that of an attempt before `each`: made after the message was
        emitted, and given up before `each` was made."""
        emitted = self._emitted.get(each.msg_id)
        timeout = self._timeouts.get(each.request.url.partition("?")[0])
        if emitted is None or not isinstance(timeout, int) or self._wall is None:
            return False
        return self._wall + emitted - 1 <= body <= stamp - deadline(timeout)


def _agree(body: int, stamp: float, dialect: Dialect) -> bool:
    """Whether both times agree within a second. Where headers are in milliseconds, the body's time may be
    too."""
    units = (1, 1000) if dialect.timestamp_unit == "milliseconds" else (1,)
    return any(abs(body // unit - int(stamp)) <= 1 for unit in units)


def link_content(over: Sequence[Exchange], profile: SenderProfile, level: Level) -> list[Judgement]:
    """Messages of type 49 carry a title, a description and a URL, under any common name."""
    links = [each for each in deliveries(over) if fields_of(each).get("msgType") == 49]
    return _judgements(level, "link-incomplete", links, _link_problem)


def _link_problem(each: Exchange) -> Sentence | None:
    missing = _missing_parts(fields_of(each).get("content"))
    return Sentence("type 49 without {missing}", missing=missing) if missing else None


def _missing_parts(content: object) -> str:
    if not isinstance(content, dict):
        return ""  # sender.wire.schema reports it
    keys = {str(key).lower() for key in content}
    parts = {
        "title": ("title",),
        "description": ("des", "desc", "description", "digest", "summary"),
        "url": ("url", "link", "href", "linkurl", "pageurl", "weburl"),
    }
    return ", ".join(part for part, names in parts.items() if not keys & set(names))


_RECEIVED = (Role.ATTEMPT, Role.ELSEWHERE, Role.MALFORMED)
_NO_SCHEME = Sentence("the signature fits no known scheme")
_FITS = Sentence("the signature fits ")
_NOT_ASKED = Sentence(", not the requested scheme")
_NO_AGE = Unjudged(
    "no-timestamp", Sentence("not judged: no delivery carries a timestamp in the right format")
)
_LATER = Sentence("createTime is later than timestamp")
_NO_TIMES = Sentence(
    "not judged: no first attempt carries a timestamp in both its header and its body"
)
_NO_BODY = Sentence("not judged: no delivery had a whole body")

_NO_LINK = Unjudged("no-link", Sentence("no link message arrived"))


def _check(name: str, judge: Judge, *needs: Need, unseen: Unjudged = NOTHING) -> Check:
    return Check(
        f"wire-{name}",
        Scope.MESSAGE,
        judge,
        frozenset(needs),
        counted=_of_deliveries,
        unseen=unseen,
    )


CHECKS = (
    _check("http", well_formed, Need.BODIES),
    _check("method", _for_each("wrong-method", _method)),
    _check("content-type", _for_each("wrong-content-type", _content_type)),
    _check("timestamp-header", _for_each("timestamp-format", _timestamp, _has_stamp)),
    _check("signature-header", _for_each("signature-format", _signature_form, _has_signature)),
    _check("always-signed", _for_each("header-missing", _always_signed)),
    _check("whole-body", whole_body),
    _check("signature", signature, Need.BODIES, Need.SECRET),
    _check("schema", schema, Need.BODIES),
    _check("timestamp-fresh", timestamp_fresh),
    _check("timestamp-agrees", timestamp_agrees, Need.BODIES),
    _check("link-content", link_content, unseen=_NO_LINK),
)
