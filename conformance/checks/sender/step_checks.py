"""Named checks of one step: what the format's plain words cannot say."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from conformance.checks.sender.api import configurations, found, succeeded
from conformance.checks.sender.attempt_count import as_answered
from conformance.checks.sender.profile import SenderProfile, retry_after
from conformance.checks.sender.signing import fits, signature_of
from conformance.checks.sender.step import Fields, StepSeen, fields_of, whole
from conformance.checks.sender.test_reports import test_failed
from conformance.checks.sender.waits import (
    BLUR,
    FEWEST,
    figures,
    kind_of,
    mean_waits,
    slack_of,
    slack_of_growth,
    waits,
)
from conformance.model.exchange import Exchange, Masked
from conformance.model.rules import Finding, Held, Judgement, Level, Unjudged
from conformance.model.text import NO_TEXT, Text
from conformance.options.secrets import is_telling
from conformance.protocol.dialect import Secret
from conformance.protocol.encodings import in_json

Check = Callable[[StepSeen, SenderProfile, Level], list[Judgement]]

PROMPT = 2.0
"""Seconds within which an idle sender makes its first attempt."""
BESIDE_CROWD = 2.0
"""Times as long as all messages take to be sent once, which the longest wait must be beyond."""
A_ROUND, SAME_AS_ROUND = 0.5, (0.8, 1.15)
"""Seconds from which sending all messages once counts as a round, and as how many rounds a wait may last
that is nothing but the next one."""
LONGEST_SHOWN = 60


def faithful(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """The message arrives as it was given, but for the timestamp, which is the sender's to set."""
    came = step.came()
    given = {str(each.msg_id): fields_of(each) for each in step.given}
    events = {msg_id: given[msg_id] for msg_id in step.ids}
    wrong = [
        (changed, attempts[0].id)
        for msg_id, event in events.items()
        if (attempts := came[msg_id]) and (changed := _unfaithful(event, fields_of(attempts[0])))
    ]
    if not wrong:
        return []
    said, first = wrong[0]
    if len(events) > 1:
        of = f"{len(events)} 條訊息中有 {len(wrong)} 條："
        said = Text(f"{len(wrong)} of {len(events)} messages: ", of) + said
    return [Finding(level, said, (first,))]


def _unfaithful(given: Fields, came: Fields) -> Text:
    """What has changed on the way; empty when nothing has."""
    for name, value in given.items():
        arrived = came.get(name)
        # What is missing, or of another type, does not fit the schema, and is told there; but 7.0
        # fits an integer, and many receivers cannot read it as one.
        pointed = isinstance(value, int) and isinstance(arrived, float)
        if pointed or (type(arrived) is type(value) and not _same(value, arrived)):
            return _changed(name, value, came)
    return NO_TEXT


def same_message(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """Every attempt carries the message of the first, and a signature that fits."""
    for msg_id, attempts in step.came().items():
        if msg_id not in step.ids:
            continue
        first = _without_timestamp(attempts[0])
        for number, each in enumerate(attempts[1:], 2):
            if not whole(each):
                continue  # sender.wire.whole-body speaks of it
            fields = _without_timestamp(each)
            names = dict.fromkeys([*first, *fields])
            differing = [n for n in names if not _same(first.get(n), fields.get(n))]
            if differing:
                said = Text(f"attempt {number}: ", f"第 {number} 次嘗試：")
                changed = _changed(differing[0], first.get(differing[0]), fields)
                return [Finding(level, said + changed, (each.id, attempts[0].id))]
        found = _stale(attempts, profile, level)
        if found:
            return found
    return []


def _stale(attempts: Sequence[Exchange], profile: SenderProfile, level: Level) -> list[Judgement]:
    """A later attempt whose signature does not fit, where that of the first does."""
    if profile.scheme is None or not fits(profile.scheme, attempts[0], profile.asked.dialect):
        return []  # one cause, one finding: sender.wire.signature speaks of it
    for number, each in enumerate(attempts[1:], 2):
        signed = signature_of(each, profile.asked.dialect) is not None and whole(each)
        if signed and not fits(profile.scheme, each, profile.asked.dialect):
            said = Text(
                f"attempt {number}: the signature does not fit its timestamp and body",
                f"第 {number} 次嘗試：簽名與時間戳及請求體不符",
            )
            return [Finding(level, said, (each.id, attempts[0].id))]
    return []


def own_secret(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """What comes to each endpoint is signed with the secret of its own configuration."""
    return [
        *_signed_with(profile.asked.secret, _own(step), profile, level, _OTHERS_SECRET),
        *_signed_with(profile.other_secret, _own(step, other=True), profile, level, _OTHERS_SECRET),
    ][:1]


def new_secret(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """What comes after an Update of the Secret is signed with the new one."""
    return _signed_with(profile.other_secret, _own(step), profile, level, _OLD_SECRET)


def _own(step: StepSeen, *, other: bool = False) -> list[Exchange]:
    """What came for the messages of the step."""
    came = step.came(other=other)
    return [each for msg_id in step.ids for each in came[msg_id]]


def _signed_with(
    secret: Secret,
    came: Sequence[Exchange],
    profile: SenderProfile,
    level: Level,
    otherwise: Text,
) -> list[Judgement]:
    """Whether attempts are signed with `secret`; `otherwise` is said of the run's other secret."""
    if profile.scheme is None:
        return [Unjudged(_UNKNOWN_SCHEME)]
    known = (profile.asked.secret, profile.other_secret)
    for each in came:
        if fits(profile.scheme, each, profile.asked.dialect, secret):
            continue
        either = any(fits(profile.scheme, each, profile.asked.dialect, one) for one in known)
        return [Finding(level, otherwise if either else _NEITHER_SECRET, (each.id,))]
    return []


def distinct_ids(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """Two Tests never share a msgId."""
    tests = [StepSeen(step.sender_case, n, step.exchanges) for n in range(step.index + 1)]
    firsts = [each for seen in tests if (each := _first(seen)) is not None]
    if len(firsts) < 2:
        return [Unjudged(_ONE_TEST)]
    ids = [fields_of(each).get("msgId") for each in firsts]
    if None in ids:
        return [Unjudged(_NO_ID)]
    if ids[0] != ids[1]:
        return []
    said = Text(f"both tests carry the msgId {ids[0]!r}", f"兩次測試的 msgId 都是 {ids[0]!r}")
    return [Finding(level, said, tuple(each.id for each in firsts))]


def _first(step: StepSeen) -> Exchange | None:
    came = [attempts[0] for attempts in step.came().values()]
    return min(came, key=lambda each: each.started, default=None)


def exponential_waits(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """The mean waits grow exponentially, whatever the jitter."""
    came = [attempts for msg_id, attempts in step.came().items() if msg_id in step.ids]
    means, scatter = mean_waits(came)
    if len(means) < FEWEST:
        return [Unjudged(_TOO_FEW_WAITS)]
    starts = [attempts[0].started for attempts in came]
    spread = max(starts) - min(starts)
    # Whatever is due may have to wait until all messages have had their turn.
    kind = kind_of(means, scatter, max(BLUR, spread))
    if kind is None:
        # Where one round of all messages takes as long as the waits, it may be that which has grown.
        crowded = spread - max(means) / BESIDE_CROWD
        if crowded >= 0:
            return [Unjudged(_LOST_IN_CROWD, slack=crowded)]
        return [Held(level, slack_of_growth(means))]
    # A sender with a limited rate comes back to a message once in a round, whatever its backoff.
    if spread > A_ROUND and SAME_AS_ROUND[0] < median(means) / spread < SAME_AS_ROUND[1]:
        return [Unjudged(_LOST_IN_CROWD, slack=spread - A_ROUND)]
    told = figures(means)
    said = Text(f"waits were {told} s: ", f"間隔為 {told} 秒：") + kind
    return [Finding(level, said, tuple(each.id for each in came[0]), slack_of(means))]


def waited(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """A Retry-After is waited for."""
    for attempts in step.came().values():
        for each, wait in zip(attempts, waits(attempts), strict=False):
            asked = retry_after(each)
            if wait < asked - 0.1:
                said = Text(
                    f"sent again after {wait:.1f} s, where Retry-After asked for {asked:g} s",
                    f"{wait:.1f} 秒後便重發，而 Retry-After 要求 {asked:g} 秒",
                )
                return [Finding(level, said, (each.id,), asked - wait)]
    return []


def prompt(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """The first attempt for each message begins soon after the sender has taken it."""
    given = {str(each.msg_id): each.ended for each in step.given}
    came = step.came()
    late = {i: came[i][0].started - at for i, at in given.items() if came[i]}
    msg_id = max(late, key=lambda each: late[each], default=None)
    if msg_id is None:
        return []
    if late[msg_id] <= PROMPT:
        # The sender cannot have taken a message before it was sent: only that is sure.
        latest = max(
            came[str(e.msg_id)][0].started - e.started for e in step.given if came[str(e.msg_id)]
        )
        return [Held(level, PROMPT - late[msg_id])] if latest > PROMPT else []
    said = Text(
        f"the first attempt came {late[msg_id]:.1f} s after the message was accepted",
        f"訊息被接受後 {late[msg_id]:.1f} 秒才有首次嘗試",
    )
    return [Finding(level, said, (came[msg_id][0].id,), late[msg_id] - PROMPT)]


def delivered_after_restart(
    step: StepSeen, profile: SenderProfile, level: Level
) -> list[Judgement]:
    """Whatever was accepted is answered 200 in the end, though the sender was killed."""
    came, given = step.came(), _all_given(step)
    lost = [i for i in given if not any(each.status == 200 for each in came[i])]
    if not lost:
        return []
    said = Text(
        f"{len(lost)} of {len(given)} accepted messages did not come after the restart",
        f"{len(given)} 條已接受的訊息中有 {len(lost)} 條在重啟後沒有送達",
    )
    return [Finding(level, said, tuple(given[i].id for i in lost[:10]))]


def not_sent_again(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """What was answered 200 before the restart is not sent again."""
    came = step.came()
    again = [a for a in came.values() if len(a) > 1 and any(e.status == 200 for e in a[:-1])]
    if not again:
        return []
    said = Text(
        f"{len(again)} messages came again after they had been answered 200",
        f"{len(again)} 條訊息在響應 200 之後再次送來",
    )
    return [Finding(level, said, tuple(each.id for each in again[0]))]


def _all_given(step: StepSeen) -> dict[str, Exchange]:
    every = [StepSeen(step.sender_case, n, step.exchanges) for n in range(step.index + 1)]
    return {str(each.msg_id): each for seen in every for each in seen.given}


def listed(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """List shows the configuration as it was created."""
    return _shown(step, level, {})


def updated(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """List shows what Update changed, and no second configuration for its URL."""
    call, configured = step.call, step.configured
    if call is not None and configured is not None:
        url = (fields_of(configured) | _update(step)).get("URL")
        if sum(each["url"] == url for each in configurations(call)) > 1:
            return [Finding(level, _ADDED, (call.id,))]
    return _shown(step, level, _update(step))


def kept(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """List shows what Update changed, and the rest as it was."""
    return _shown(step, level, _update(step))


def _update(step: StepSeen) -> Fields:
    calls = [a.call for a in step.sender_case.actions[: step.index] if a.call is not None]
    changes: Fields = {}
    for call in calls:
        changes |= call.fields
    return changes


def _shown(step: StepSeen, level: Level, changes: Fields) -> list[Judgement]:
    """Whether the step's List shows the case's configuration with `changes`."""
    call = step.call
    if call is None:
        return []
    created = fields_of(step.configured) if step.configured is not None else {}
    wanted = created | changes
    entry = found(call, wanted.get("URL", ""))
    if entry is None:
        return [Finding(level, _NOT_LISTED, (call.id,))]
    for name in ("Timeout", "RetryCount", "Enabled", "MessageTypes", "IncludeSelfMessage"):
        if wanted.get(name) is None:
            continue
        if name.lower() not in entry:
            said = Text(f"List does not show {name}", f"列表沒有顯示 {name}")
            return [Finding(level, said, (call.id,))]
        shown = entry[name.lower()]
        if not _as_listed(shown, wanted[name]):
            said = Text(
                f"List shows {name} {_short(shown)}, not {_short(wanted[name])}",
                f"列表顯示 {name} 為 {_short(shown)}，而不是 {_short(wanted[name])}",
            )
            return [Finding(level, said, (call.id,))]
    return []


def unchanged(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """List holds nothing of what was refused."""
    call = step.call
    if call is None or not succeeded(call):
        return []
    url = fields_of(step.configured).get("URL", "") if step.configured is not None else ""
    if not any(each["url"] == url for each in configurations(call)):
        return []
    said = Text("the invalid configuration is listed", "無效的配置出現在列表中")
    return [Finding(level, said, (call.id,))]


def secret_hidden(step: StepSeen, profile: SenderProfile, level: Level) -> list[Judgement]:
    """The secret does not stand in the answer."""
    call, secret = step.call, bytes(profile.asked.secret)
    if call is None or call.answer is None:
        return []
    text = secret.decode("utf-8", "replace")
    # What is short stands in many a word; but not as the whole of a Secret.
    shown = is_telling(secret) and any(each in call.answer.body for each in in_json(secret))
    shown = shown or Masked.SECRET in call.masked
    if not shown and all(each.get("secret") != text for each in configurations(call)):
        return []
    return [
        Finding(level, Text("List shows the whole Secret", "列表顯示了完整的 Secret"), (call.id,))
    ]


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return type(one) is type(other) and json.dumps(one, sort_keys=True) == json.dumps(
        other, sort_keys=True
    )


def _without_timestamp(attempt: Exchange) -> Fields:
    return {n: value for n, value in fields_of(attempt).items() if n.lower() != "timestamp"}


def _changed(name: str, given: object, came: Fields) -> Text:
    if name not in came:
        return Text(f"{name} is missing", f"缺少 {name}")
    was, now = _differing(_written(given), _written(came[name]))
    return Text(
        f"{name} was {was}, and arrived as {now}",
        f"{name} 原為 {was}，送達時變成 {now}",
    )


def _written(value: object) -> str:
    """`value` as JSON in which nothing is invisible."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    return "".join(each if _is_seen(each) else json.dumps(each)[1:-1] for each in text)


def _is_seen(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] not in "CZM"


def _differing(was: str, now: str) -> tuple[str, str]:
    """Both texts from a little before the place where they begin to differ, as far as there is room."""
    longest = max(len(was), len(now))
    pairs = enumerate(zip(was, now, strict=False))
    same = next((n for n, (one, other) in pairs if one != other), min(len(was), len(now)))
    begin = max(0, same - LONGEST_SHOWN // 2) if longest > LONGEST_SHOWN else 0
    shown = [("…" if begin else "") + text[begin : begin + LONGEST_SHOWN] for text in (was, now)]
    cut = [len(text) > begin + LONGEST_SHOWN for text in (was, now)]
    first, second = (
        f"{text}… ({len(whole)})" if more else text
        for text, more, whole in zip(shown, cut, (was, now), strict=True)
    )
    return first, second


def _short(value: object) -> str:
    text = _written(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text)})"


def _as_listed(shown: object, wanted: object) -> bool:
    """Whether a setting is shown as it is wanted: message types in any order, as numbers or texts,
    and in one text too."""
    if not isinstance(wanted, list):
        return shown == wanted
    if isinstance(shown, str):
        shown = shown.split(",")
    return isinstance(shown, list) and _texts(shown) == _texts(wanted)


def _texts(values: list[Any]) -> list[str]:
    return sorted(str(each).strip() for each in values)


NAMED: dict[str, Check] = {
    "faithful": faithful,
    "same-message": same_message,
    "own-secret": own_secret,
    "new-secret": new_secret,
    "distinct-ids": distinct_ids,
    "exponential-waits": exponential_waits,
    "retry-after": waited,
    "prompt": prompt,
    "delivered-after-restart": delivered_after_restart,
    "not-sent-again": not_sent_again,
    "as-answered": as_answered,
    "listed": listed,
    "updated": updated,
    "kept": kept,
    "unchanged": unchanged,
    "test-failed": test_failed,
    "secret-hidden": secret_hidden,
}

NEED_SECRET = frozenset({"same-message", "own-secret", "new-secret", "secret-hidden"})
"""Checks that see nothing without the secret."""
NEED_BODIES = frozenset(NAMED) - {
    "distinct-ids", "exponential-waits", "retry-after", "prompt", "delivered-after-restart", "not-sent-again",
    "as-answered",
}  # fmt: skip
"""Checks that look into bodies, and see nothing in one that is masked."""

_UNKNOWN_SCHEME = Text(
    "not judged: the way of signing is not known (see sender.wire.signature)",
    "未判定：簽名方式未知（見 sender.wire.signature）",
)
_OTHERS_SECRET = Text(
    "signed with the Secret of another configuration, not with its own",
    "以另一個配置的 Secret 簽名，而不是自己的",
)
_OLD_SECRET = Text(
    "still signed with the Secret from before the Update", "仍以更新之前的 Secret 簽名"
)
_NEITHER_SECRET = Text("the signature fits no Secret", "簽名與任何 Secret 都不符")
_NO_ID = Text(
    "not judged: a test message has no msgId that can be read (see sender.wire.schema)",
    "未判定：測試訊息沒有可讀取的 msgId（見 sender.wire.schema）",
)
_ONE_TEST = Text("only one test message arrived", "只收到一條測試訊息")
_TOO_FEW_WAITS = Text(
    "too few attempts to see how the waits grow", "嘗試次數太少，看不出間隔如何增長"
)
_ADDED = Text(
    "List shows two configurations with the URL: Update has added one",
    "列表中有兩個配置使用這個 URL：更新時新增了一個",
)
_LOST_IN_CROWD = Text(
    "the waits are no longer than the sending of all messages takes: needs a longer first wait",
    "間隔不比送出全部訊息所需的時間長：需要較長的首次間隔",
)
_NOT_LISTED = Text("List does not show the configuration", "列表沒有顯示這個配置")
