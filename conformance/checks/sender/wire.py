"""Named checks over every attempt of the run: how deliveries look on the wire."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.signing import (
    fits,
    signature_of,
    spoken,
    stamp_of,
    stamped_at,
)
from conformance.checks.sender.step import called, fields_of, whole
from conformance.model.exchange import Exchange, Fault, Role
from conformance.model.rules import Finding, Judgement, Level, Unjudged
from conformance.model.text import NO_TEXT, Text
from conformance.protocol.delivery import deadline
from conformance.protocol.dialect import Dialect
from conformance.protocol.signing import Scheme
from conformance.protocol.validation import message_problems

Check = Callable[[Sequence[Exchange], SenderProfile, Level], list[Judgement]]

FRESH = 60.0
"""Seconds by which a timestamp header may differ from the clock."""
LONGEST_SHOWN = 80
OF_TWO = ("sender.filter.fan-out", "sender.filter.update-applies", "sender.retry.isolation")
"""Rules in whose scenarios there are two secrets, and which say themselves when it is the wrong one."""
GIVEN_UP = 1.0
"""Seconds after which a sender that leaves in mid-body has given up."""
FROZEN = 3.0
"""Seconds after which a retry that bears the first attempt's timestamp was not stamped anew."""
UNSEEN = ("sender.retry.on-connection-fault", "refused")
"""The case of which nobody has seen the first attempts."""
NOTHING = Unjudged(Text("no delivery arrived", "沒有收到任何投遞"), error=True)


def deliveries(over: Sequence[Exchange]) -> list[Exchange]:
    """What came to the endpoints that share the run's secret, but for probes without a body."""
    came = [each for each in over if each.role is Role.ATTEMPT]
    return [each for each in came if each.request.method not in ("HEAD", "OPTIONS")]


def _over(
    wrong: Callable[[Exchange, SenderProfile], Text | None],
) -> Check:
    """A check that tells the first of the attempts of which `wrong` has something to say."""

    def check(over: Sequence[Exchange], profile: SenderProfile, level: Level) -> list[Judgement]:
        came = deliveries(over)
        if not came:
            return [NOTHING]
        told = [(each, said) for each in came if (said := wrong(each, profile)) is not None]
        return [_finding(level, told, len(came))] if told else []

    return check


def _finding(level: Level, told: Sequence[tuple[Exchange, Text]], of: int) -> Finding:
    count = Text(f"{len(told)} of {of} deliveries: ", f"{of} 次投遞中有 {len(told)} 次：")
    return Finding(level, count + told[0][1], tuple(each.id for each, _ in told[:10]))


def _method(each: Exchange, profile: SenderProfile) -> Text | None:
    method = each.request.method
    return (
        None
        if method == "POST"
        else Text(f"sent by {method}, not POST", f"以 {method} 發送，而非 POST")
    )


def _content_type(each: Exchange, profile: SenderProfile) -> Text | None:
    given = each.header(b"content-type") or b""
    if given.partition(b";")[0].strip().lower() == b"application/json":
        return None
    kind = _shown(given)
    return Text(f"Content-Type is {kind!r}", f"Content-Type 為 {kind!r}")


def _timestamp(each: Exchange, profile: SenderProfile) -> Text | None:
    dialect = profile.asked.dialect
    stamp = stamp_of(each, dialect)
    if stamp is None or stamped_at(each, dialect) is not None:
        return None  # a missing one is for always-signed
    what = _shown(stamp)
    if dialect.timestamp_unit == "milliseconds":
        return Text(
            f"the timestamp is {what!r}, not Unix milliseconds",
            f"時間戳為 {what!r}，不是 Unix 毫秒數",
        )
    if re.fullmatch(rb"\d{13}", stamp):
        return Text(f"the timestamp is in milliseconds ({what})", f"時間戳以毫秒為單位（{what}）")
    return Text(
        f"the timestamp is {what!r}, not whole Unix seconds", f"時間戳為 {what!r}，不是 Unix 整數秒"
    )


def _signature_form(each: Exchange, profile: SenderProfile) -> Text | None:
    dialect = profile.asked.dialect
    signature = signature_of(each, dialect)
    pattern, en, zh = _FORMS[dialect.encoding]
    if signature is None or re.fullmatch(pattern, signature):
        return None
    what = _shown(signature)
    return Text(f"the signature is {what!r}, not {en}", f"簽名為 {what!r}，不是 {zh}")


_FORMS = {
    "hex": (rb"[0-9a-f]{64}", "64 lower-case hex digits", "64 位小寫十六進位"),
    "base64": (rb"[A-Za-z0-9+/]{43}=", "32 bytes in Base64", "32 位元組的 Base64"),
}


def _shown(value: bytes) -> str:
    text = value.decode("latin-1")
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _always_signed(each: Exchange, profile: SenderProfile) -> Text | None:
    missing = [
        name
        for name, value in (
            (profile.asked.dialect.timestamp_header, stamp_of(each, profile.asked.dialect)),
            (profile.asked.dialect.signature_header, signature_of(each, profile.asked.dialect)),
        )
        if not value
    ]
    if not missing:
        return None
    names = ", ".join(missing)
    return Text(f"without {names}", f"缺少 {names}")


def whole_body(over: Sequence[Exchange], profile: SenderProfile, level: Level) -> list[Judgement]:
    """No signed body is sent empty or cut."""
    came = deliveries(over)
    told = [
        (each, _sent_less(each, came, profile))
        for each in came
        if signature_of(each, profile.asked.dialect) is not None
        and not whole(each)
        and not _given_up(each)
    ]
    return [_finding(level, told, len(came))] if told else [] if came else [NOTHING]


def _given_up(each: Exchange) -> bool:
    """Whether the sender left in mid-body after a while, as at a deadline: that is no body that it
    sent cut."""
    return each.fault is Fault.CLOSED and each.ended - each.started > GIVEN_UP


def _sent_less(each: Exchange, came: Sequence[Exchange], profile: SenderProfile) -> Text:
    """How much was sent, and how much was signed where another attempt shows it."""
    sent = len(each.request.body)
    alike = [e for e in came if e.msg_id == each.msg_id and e.msg_id is not None and whole(e)]
    for other in alike:
        request = replace(other.request, headers=each.request.headers)
        if profile.scheme and fits(
            profile.scheme, replace(other, request=request), profile.asked.dialect
        ):
            signed = len(other.request.body)
            return Text(
                f"signed {signed} bytes, sent {sent}", f"簽名 {signed} 位元組，只送出 {sent}"
            )
    return Text(
        f"signed, and sent with {sent} bytes of body, " + ("cut off" if sent else "none"),
        f"已簽名，但只送出 {sent} 位元組的請求體",
    )


def signature(over: Sequence[Exchange], profile: SenderProfile, level: Level) -> list[Judgement]:
    """HMAC over exactly the bytes sent; when another way of signing fits, it is named."""
    asked = profile.asked
    came = [
        each
        for each in deliveries(over)
        if whole(each) and stamp_of(each, asked.dialect) and signature_of(each, asked.dialect)
    ]
    plain = Scheme(asked, None, NO_TEXT)
    wrong = [
        each
        for each in came
        if not fits(plain, each, asked.dialect)
        and not (each.rule in OF_TWO and fits(plain, each, asked.dialect, profile.other_secret))
    ]
    if wrong:
        said = _spoken(wrong[0], profile)
        return [_finding(level, [(each, said) for each in wrong], len(came))]
    other = profile.scheme is not None and profile.scheme.said
    if not came and other and profile.scheme is not None:  # under headers of another dialect
        return [Finding(level, _FITS + profile.scheme.said + _NOT_ASKED)]
    return [] if came else [Unjudged(_UNSIGNED)] if deliveries(over) else [NOTHING]


def _spoken(each: Exchange, profile: SenderProfile) -> Text:
    scheme = spoken(each, profile.asked)
    if scheme is None:
        return Text("the signature fits nothing that is known", "簽名與任何已知方式都不吻合")
    return _FITS + scheme.said + _NOT_ASKED


def schema(over: Sequence[Exchange], profile: SenderProfile, level: Level) -> list[Judgement]:
    """The body is UTF-8 JSON that fits the message schema."""
    came = deliveries(over)
    told = [(each, said) for each in came if (said := _misfit(each)) is not None]
    return [_finding(level, told, len(came))] if told else [] if came else [NOTHING]


def _misfit(each: Exchange) -> Text | None:
    if not whole(each):
        return None
    try:
        fields = json.loads(each.request.body.decode())
    except (ValueError, RecursionError):
        return Text("the body is not UTF-8 JSON", "請求體不是 UTF-8 JSON")
    wrong = message_problems(fields)
    return Text(str(wrong[0]), str(wrong[0])) if wrong else None


def timestamp_fresh(
    over: Sequence[Exchange], profile: SenderProfile, level: Level
) -> list[Judgement]:
    """Within a minute of the clock on the first attempt (MUST), and on a retry too (SHOULD)."""
    came = deliveries(over)
    firsts = {_message(each): each for each in reversed(came)}
    stale = [(e, age) for e in came if (age := _age(e, profile)) is not None and abs(age) > FRESH]
    found: list[Judgement] = []
    for first, of_level in ((True, level), (False, Level.SHOULD)):
        told = [
            (each, _told_age(age, first=first))
            for each, age in stale
            if (firsts[_message(each)].id == each.id) is first
        ]
        if told:
            found.append(_finding(of_level, told, len(came)))
    frozen = list(_frozen(came, profile))
    if frozen and not found:
        found.append(_finding(Level.SHOULD, frozen, len(came)))
    return found if came else [NOTHING]


def _message(each: Exchange) -> tuple[str, str | None]:
    """A message at an endpoint: another endpoint gets a copy with first attempts of its own."""
    return each.request.url, each.msg_id


def _frozen(came: Sequence[Exchange], profile: SenderProfile) -> Iterator[tuple[Exchange, Text]]:
    """Retries that bear the first attempt's timestamp, though the attempt before them has ended well
    after it: those that follow will be as old as an outage is long. When they arrive says nothing:
    what is stamped in time may be held up on its way."""
    dialect = profile.asked.dialect
    of_message: dict[tuple[str, str | None], list[Exchange]] = defaultdict(list)
    for each in came:
        before = of_message[_message(each)]
        before.append(each)
        if len(before) == 1 or each.msg_id is None:
            continue
        passed = min(before[-2].ended, each.started) - before[0].started
        if passed < FROZEN or stamp_of(each, dialect) != stamp_of(before[0], dialect):
            continue
        later = each.started - before[0].started
        said = Text(
            f"the timestamp of a retry {later:.0f} s later is still that of the first attempt",
            f"{later:.0f} 秒後的重試仍使用首次嘗試的時間戳",
        )
        yield each, said


def _age(each: Exchange, profile: SenderProfile) -> float | None:
    stamped = stamped_at(each, profile.asked.dialect)
    return None if stamped is None or each.clock is None else each.clock - stamped


def _told_age(age: float, *, first: bool) -> Text:
    en, zh = ("old", "前的") if age > 0 else ("ahead", "後的")
    return Text(
        f"the timestamp is {abs(age):.0f} s {en} on {'the first attempt' if first else 'a retry'}",
        f"{'首次嘗試' if first else '重試'}的時間戳是 {abs(age):.0f} 秒{zh}",
    )


def timestamp_agrees(
    over: Sequence[Exchange], profile: SenderProfile, level: Level
) -> list[Judgement]:
    """The body's timestamp is the header's of the first attempt, within a second; and in a Test the
    message was created no later."""
    came = deliveries(over)
    if not came:
        return [NOTHING]
    told: list[tuple[Exchange, Text]] = []
    unseen = _Unseen(over)
    for each in {_message(each): each for each in reversed(came)}.values():
        stamped, fields = stamped_at(each, profile.asked.dialect), fields_of(each)
        body, created = fields.get("timestamp"), fields.get("createTime")
        if not isinstance(body, int) or stamped is None or (each.rule, each.case) == UNSEEN:
            continue
        if unseen.may_precede(each, body, stamped):
            continue
        if not _agree(body, stamped, profile.asked.dialect):
            what = _shown(str(body).encode())
            said = Text(
                f"body {what}, header {stamped:.0f}", f"請求體 {what}，請求頭 {stamped:.0f}"
            )
            told.append((each, said))
        elif each.rule == "sender.config.test" and isinstance(created, int) and created > body:
            told.append((each, _LATER))
    return [_finding(level, told, len(came))] if told else []


class _Unseen:
    """First attempts that nobody has seen: a busy sender may give one up before it has sent a byte, once
    its deadline is over, and then the first that is seen is a retry."""

    def __init__(self, over: Sequence[Exchange]) -> None:
        self._given = {e.msg_id: e.started for e in over if e.role is Role.EMIT}
        configured = [e for e in over if e.role is Role.API and called(e, "Config")]
        asked = [fields_of(each) for each in configured]
        # From the monotonic clock to that on the wall, as the attempt shows it that was read most promptly.
        self._wall = min((e.clock - e.started for e in over if e.clock is not None), default=None)
        self._timeouts = {each.get("URL"): each.get("Timeout") for each in asked}

    def may_precede(self, each: Exchange, body: int, stamped: float) -> bool:
        """Whether the body's timestamp may be that of an attempt before `each`, made since the message
        was given and over since."""
        given = self._given.get(each.msg_id)
        timeout = self._timeouts.get(each.request.url.partition("?")[0])
        if given is None or not isinstance(timeout, int) or self._wall is None:
            return False
        return self._wall + given - 1 <= body <= stamped - deadline(timeout)


def _agree(body: int, stamped: float, dialect: Dialect) -> bool:
    """Within a second; where headers are in milliseconds the body's time may be so, too."""
    units = (1, 1000) if dialect.timestamp_unit == "milliseconds" else (1,)
    return any(abs(body // unit - int(stamped)) <= 1 for unit in units)


def link_content(over: Sequence[Exchange], profile: SenderProfile, level: Level) -> list[Judgement]:
    """Type 49 carries a title, a description and a URL, by whatever names."""
    links = [each for each in deliveries(over) if fields_of(each).get("msgType") == 49]
    if not links:
        return [Unjudged(Text("no link message arrived", "沒有收到鏈接訊息"))]
    told = [
        (each, Text(f"type 49 without {lacking}", f"類型 49 缺少 {lacking}"))
        for each in links
        if (lacking := _lacking(fields_of(each).get("content")))
    ]
    return [_finding(level, told, len(links))] if told else []


def _lacking(content: object) -> str:
    if not isinstance(content, dict):
        return ""  # sender.wire.schema speaks of it
    names = {str(key).lower() for key in content}
    wanted = {
        "title": ("title",),
        "description": ("des", "desc", "description", "digest", "summary"),
        "url": ("url", "link", "href", "linkurl", "pageurl", "weburl"),
    }
    return ", ".join(what for what, spelled in wanted.items() if not names & set(spelled))


_FITS = Text("the signature fits ", "簽名吻合的是：")
_NOT_ASKED = Text(", not what was asked for", "，而不是所要求的方式")
_LATER = Text("createTime is later than timestamp", "createTime 晚於 timestamp")
_UNSIGNED = Text(
    "not judged: no delivery was signed (see sender.wire.always-signed)",
    "未判定：沒有任何投遞帶有簽名（見 sender.wire.always-signed）",
)

WIRE_CHECKS: dict[str, Check] = {
    "wire-method": _over(_method),
    "wire-content-type": _over(_content_type),
    "wire-timestamp-header": _over(_timestamp),
    "wire-signature-header": _over(_signature_form),
    "wire-always-signed": _over(_always_signed),
    "wire-whole-body": whole_body,
    "wire-signature": signature,
    "wire-schema": schema,
    "wire-timestamp-fresh": timestamp_fresh,
    "wire-timestamp-agrees": timestamp_agrees,
    "wire-link-content": link_content,
}

NEED_SECRET = frozenset({"wire-signature"})
"""Checks that see nothing without the secret."""
NEED_BODIES = frozenset({"wire-signature", "wire-schema", "told-apart"})
"""Checks that look into bodies, and see nothing in one that is masked."""
