"""Named checks over every attempt of the run: how deliveries look on the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence

from conformance import dialect as dialects
from conformance.checks.case import Judgement
from conformance.checks.sender.facts import SenderFacts
from conformance.damage import Signer
from conformance.dialect import verify
from conformance.exchange import Exchange, Fault, Role
from conformance.forms import FORMS
from conformance.rules import Finding, Level, Unjudged
from conformance.schema import message_problems
from conformance.schemes import others
from conformance.text import Text

Check = Callable[[Sequence[Exchange], SenderFacts, Level], list[Judgement]]

FRESH = 60.0
"""Seconds by which a timestamp header may differ from the clock."""
NOTHING = Unjudged(Text("no delivery arrived", "沒有收到任何投遞"), error=True)


def attempts(over: Sequence[Exchange]) -> list[Exchange]:
    """The deliveries: what came to an endpoint, but for probes without a body of their own."""
    came = [each for each in over if each.role is Role.ATTEMPT]
    return [each for each in came if each.request.method not in ("HEAD", "OPTIONS")]


def signer_of(each: Exchange, facts: SenderFacts) -> Signer:
    """The signer of the endpoint that an attempt came to."""
    return facts.signers.get(each.request.url, facts.asked)


def _over(
    wrong: Callable[[Exchange, SenderFacts], Text | None],
) -> Check:
    """A check that tells the first of the attempts of which `wrong` has something to say."""

    def check(over: Sequence[Exchange], facts: SenderFacts, level: Level) -> list[Judgement]:
        came = attempts(over)
        if not came:
            return [NOTHING]
        told = [(each, said) for each in came if (said := wrong(each, facts)) is not None]
        return [_finding(level, told, len(came))] if told else []

    return check


def _finding(level: Level, told: Sequence[tuple[Exchange, Text]], of: int) -> Finding:
    count = Text(f"{len(told)} of {of} deliveries: ", f"{of} 次投遞中有 {len(told)} 次：")
    return Finding(level, count + told[0][1], tuple(each.id for each, _ in told[:10]))


def _method(each: Exchange, facts: SenderFacts) -> Text | None:
    method = each.request.method
    return None if method == "POST" else Text(f"sent by {method}, not POST", f"以 {method} 發送，而非 POST")


def _content_type(each: Exchange, facts: SenderFacts) -> Text | None:
    kind = (each.header(b"content-type") or b"").decode("latin-1")
    if kind.partition(";")[0].strip().lower() == "application/json":
        return None
    return Text(f"Content-Type is {kind!r}", f"Content-Type 為 {kind!r}")


def _timestamp(each: Exchange, facts: SenderFacts) -> Text | None:
    stamp = _stamp(each, facts)
    if stamp is None or re.fullmatch(rb"\d{10}", stamp):
        return None  # a missing one is for always-signed
    what = stamp.decode("latin-1")
    if re.fullmatch(rb"\d{13}", stamp):
        return Text(f"the timestamp is in milliseconds ({what})", f"時間戳以毫秒為單位（{what}）")
    return Text(f"the timestamp is {what!r}, not whole Unix seconds", f"時間戳為 {what!r}，不是 Unix 整數秒")


def _signature_form(each: Exchange, facts: SenderFacts) -> Text | None:
    signature = _signature(each, facts)
    if signature is None or re.fullmatch(rb"[0-9a-f]{64}", signature):
        return None
    what = signature.decode("latin-1")[:80]
    return Text(f"the signature is {what!r}, not 64 lower-case hex digits", f"簽名為 {what!r}，不是 64 位小寫十六進位")


def _always_signed(each: Exchange, facts: SenderFacts) -> Text | None:
    missing = [
        name
        for name, value in (
            (facts.asked.dialect.timestamp_header, _stamp(each, facts)),
            (facts.asked.dialect.signature_header, _signature(each, facts)),
        )
        if not value
    ]
    if not missing:
        return None
    names = ", ".join(missing)
    return Text(f"without {names}", f"缺少 {names}")


def _whole_body(each: Exchange, facts: SenderFacts) -> Text | None:
    if _signature(each, facts) is None or _is_whole(each):
        return None
    size = len(each.request.body)
    return Text(
        f"signed, and sent with {size} bytes of body, cut or empty", f"已簽名，但請求體只有 {size} 位元組，被截斷或為空"
    )


def _is_whole(each: Exchange) -> bool:
    cut = each.fault is Fault.CLOSED and "mid-body" in each.detail
    return bool(each.request.body) and not cut


def signature(over: Sequence[Exchange], facts: SenderFacts, level: Level) -> list[Judgement]:
    """HMAC over exactly the bytes sent; when another way of signing fits, it is named."""
    came = [each for each in attempts(over) if _stamp(each, facts) and _signature(each, facts)]
    if not came:
        return [Unjudged(Text("no delivery was signed", "沒有任何投遞帶有簽名"), error=True)]
    wrong = [each for each in came if not signed_well(each, facts)]
    if not wrong:
        return []
    fitting = next(_fitting(wrong[0], facts), None)
    said = (
        Text("the signature fits ", "簽名吻合的是：") + fitting + _NOT_GUIDE
        if fitting is not None
        else Text("the signature fits nothing that is known", "簽名與任何已知方式都不吻合")
    )
    return [_finding(level, [(each, said) for each in wrong], len(came))]


def signed_well(each: Exchange, facts: SenderFacts) -> bool:
    """Whether an attempt's signature is right for its timestamp header and its bytes."""
    signer = signer_of(each, facts)
    stamp, given = _stamp(each, facts) or b"", _signature(each, facts) or b""
    return verify(signer.dialect, signer.secret, stamp, each.request.body, given)


def _fitting(each: Exchange, facts: SenderFacts) -> Iterator[Text]:
    signer = signer_of(each, facts)
    stamp, given = _stamp(each, facts) or b"", _signature(each, facts) or b""
    try:
        fields = json.loads(each.request.body)
    except (ValueError, RecursionError):
        fields = None
    for scheme in others(signer, [dialects.load(name) for name in dialects.names()]):
        body = each.request.body
        if scheme.rewritten is not None:
            if fields is None:
                continue
            body = FORMS[scheme.rewritten](fields)
        if verify(scheme.signer.dialect, scheme.signer.secret, stamp, body, given):
            yield scheme.said


def schema(over: Sequence[Exchange], facts: SenderFacts, level: Level) -> list[Judgement]:
    """The body is UTF-8 JSON that fits the message schema."""
    came = attempts(over)
    told = [(each, said) for each in came if (said := _misfit(each)) is not None]
    return [_finding(level, told, len(came))] if told else [] if came else [NOTHING]


def _misfit(each: Exchange) -> Text | None:
    try:
        fields = json.loads(each.request.body.decode())
    except (ValueError, RecursionError):
        return Text("the body is not UTF-8 JSON", "請求體不是 UTF-8 JSON")
    wrong = message_problems(fields)
    return Text(str(wrong[0]), str(wrong[0])) if wrong else None


def timestamp_fresh(over: Sequence[Exchange], facts: SenderFacts, level: Level) -> list[Judgement]:
    """Within a minute of the clock on the first attempt (MUST), and on a retry too (SHOULD)."""
    came = attempts(over)
    firsts = {each.msg_id: each.id for each in reversed(came)}
    stale = [(e, age) for e in came if (age := _age(e, facts)) is not None and abs(age) > FRESH]
    found: list[Judgement] = []
    for first, of_level in ((True, level), (False, Level.SHOULD)):
        told = [
            (
                each,
                Text(
                    f"the timestamp is {age:.0f} s old on {'the first attempt' if first else 'a retry'}",
                    f"{'首次嘗試' if first else '重試'}的時間戳是 {age:.0f} 秒前的",
                ),
            )
            for each, age in stale
            if (firsts[each.msg_id] == each.id) is first
        ]
        if told:
            found.append(_finding(of_level, told, len(came)))
    return found if came else [NOTHING]


def _age(each: Exchange, facts: SenderFacts) -> float | None:
    stamp = _stamp(each, facts)
    if stamp is None or not re.fullmatch(rb"\d{10}", stamp) or each.clock is None:
        return None
    return each.clock - int(stamp)


def timestamp_agrees(over: Sequence[Exchange], facts: SenderFacts, level: Level) -> list[Judgement]:
    """The body's timestamp is the header's of the first attempt, within a second; and in a Test the
    message was created no later."""
    came = attempts(over)
    if not came:
        return [NOTHING]
    told: list[tuple[Exchange, Text]] = []
    for each in {each.msg_id: each for each in reversed(came)}.values():
        stamp, fields = _stamp(each, facts), _fields(each)
        body = fields.get("timestamp")
        if not isinstance(body, int) or stamp is None or not re.fullmatch(rb"\d{10}", stamp):
            continue
        created = fields.get("createTime")
        if abs(int(stamp) - body) > 1:
            told.append((each, Text(f"body {body}, header {int(stamp)}", f"請求體 {body}，請求頭 {int(stamp)}")))
        elif each.rule == "sender.config.test" and isinstance(created, int) and created > body:
            told.append((each, Text("createTime is later than timestamp", "createTime 晚於 timestamp")))
    return [_finding(level, told, len(came))] if told else []


def link_content(over: Sequence[Exchange], facts: SenderFacts, level: Level) -> list[Judgement]:
    """Type 49 carries a title, a description and a URL, by whatever names."""
    links = [each for each in attempts(over) if _fields(each).get("msgType") == 49]
    if not links:
        return [Unjudged(Text("no link message arrived", "沒有收到鏈接訊息"))]
    told = [
        (each, Text(f"type 49 without {lacking}", f"類型 49 缺少 {lacking}"))
        for each in links
        if (lacking := _lacking(_fields(each).get("content")))
    ]
    return [_finding(level, told, len(links))] if told else []


def _lacking(content: object) -> str:
    if not isinstance(content, dict):
        return "an object"
    names = {str(key).lower() for key in content}
    wanted = {"title": ("title",), "description": ("des", "desc", "description", "digest"), "url": ("url", "link")}
    return ", ".join(what for what, spelled in wanted.items() if not names & set(spelled))


def _fields(each: Exchange) -> dict[str, object]:
    try:
        fields = json.loads(each.request.body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _stamp(each: Exchange, facts: SenderFacts) -> bytes | None:
    return each.header(facts.asked.dialect.timestamp_header.encode())


def _signature(each: Exchange, facts: SenderFacts) -> bytes | None:
    return each.header(facts.asked.dialect.signature_header.encode())


_NOT_GUIDE = Text(", not the scheme that was asked for", "，而不是所要求的方式")

WIRE_CHECKS: dict[str, Check] = {
    "wire-method": _over(_method),
    "wire-content-type": _over(_content_type),
    "wire-timestamp-header": _over(_timestamp),
    "wire-signature-header": _over(_signature_form),
    "wire-always-signed": _over(_always_signed),
    "wire-whole-body": _over(_whole_body),
    "wire-signature": signature,
    "wire-schema": schema,
    "wire-timestamp-fresh": timestamp_fresh,
    "wire-timestamp-agrees": timestamp_agrees,
    "wire-link-content": link_content,
}
