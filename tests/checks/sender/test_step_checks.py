"""Named checks of one step: each finds its fault, and leaves a sender that is right alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from conformance.checks.check import Scope
from conformance.checks.registry import CHECKS, names
from conformance.engine.stalls import is_stalled
from conformance.model.exchange import Role
from conformance.model.rules import Finding, Held, Level, Unjudged
from conformance.protocol.message import marked
from tests.engine.hand_made import (
    EMIT,
    OTHER,
    PROFILE,
    SECRET,
    attempt,
    attempts,
    broken,
    called,
    given,
    message,
    step,
    told,
)


def check(name, seen, profile=PROFILE):
    return broken(CHECKS["sender"][name].judge(seen, profile, Level.MUST))


def finding(name, seen, profile=PROFILE):
    """What the check's one finding says."""
    (found,) = check(name, seen, profile)
    assert isinstance(found, Finding)
    assert found.level is Level.MUST
    assert found.exchanges
    return told([found])[0]


def unjudged(name, seen, profile=PROFILE):
    (found,) = check(name, seen, profile)
    assert isinstance(found, Unjudged)
    return told([found])[0]


def held(name, seen, profile=PROFILE):
    """The slack of what holds."""
    (found,) = CHECKS["sender"][name].judge(seen, profile, Level.MUST)
    assert isinstance(found, Held)
    assert found.level is Level.MUST
    return found.slack


URL = "http://mock/h/1"


@pytest.mark.parametrize(
    ("configured", "sent", "right"),
    [
        ("/a%2fb?x=1&x=%7e", "/a%2Fb?x=1&x=~", True),
        ("?a=1#part", "?a=1", True),
        ("?a=1#part", "?a=1#part", False),
        ("?a=1", "", False),
        ("", "/", False),
        ("/a%2Fb", "/a/b", False),
        ("?x=1&x=2", "?x=2", False),
    ],
)
def test_the_path_and_the_query_arrive_as_configured(configured, sent, right):
    delivery = attempt()
    delivery = replace(delivery, request=replace(delivery.request, url=URL + sent))
    seen = step(called("Config", fields={"URL": URL + configured}), given(), delivery)
    assert [each.code for each in check("url-whole", seen)] == ([] if right else ["url-changed"])


def test_without_the_call_that_configured_it_no_url_is_judged():
    (unjudged,) = check("url-whole", step(given(), attempt()))
    assert isinstance(unjudged, Unjudged)


ODD = '👩‍👩‍👧‍👦 <b>&amp;</b> "q" \\ \x01\x7f 測試'


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(message(content=ODD), id="odd text"),
        pytest.param(message("link"), id="link"),
        pytest.param(message("group", msgId="9223372036854775807"), id="long id"),
    ],
)
def test_a_message_that_arrives_unchanged_is_faithful(event):
    again = json.dumps({**event, "timestamp": 5, "added": 1}, sort_keys=True).encode()
    assert check("faithful", step(given(event), attempt(event, body=again))) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"content": "cut"}, 'content was "Hookproof 測試訊息", and arrived as "cut"', id="text"),
        pytest.param({"isSelfMsg": True}, "isSelfMsg was false, and arrived as true", id="a flag"),
        pytest.param({"createTime": 5.0}, "and arrived as 5.0", id="an integer with a point"),
        pytest.param({"content": "\ud83d"}, r'arrived as "\ud83d"', id="half a character"),
        pytest.param({"content": "長" * 500}, "… (502)", id="endless"),
    ],
)  # fmt: skip
def test_a_field_that_was_changed_on_the_way_is_a_finding(change, said):
    came = attempt(message(), body=json.dumps(message() | change).encode())
    assert said in finding("faithful", step(given(), came))


@pytest.mark.parametrize(
    "came",
    [
        pytest.param({n: v for n, v in message().items() if n != "isHistory"}, id="missing"),
        pytest.param(message(msgType="1"), id="of another type"),
        pytest.param(message(fromUser=None), id="null"),
    ],
)
def test_a_field_that_does_not_fit_the_schema_is_for_the_rule_about_that(came):
    assert check("faithful", step(given(), attempt(came))) == []


def test_a_rounded_id_is_a_finding_about_the_emitted_message():
    event = message(msgId="1234567890123456789")
    came = attempt(message(msgId="1234567890123456800"), msg_id="1234567890123456789")
    assert finding("faithful", step(given(event), came)) == (
        'msgId was "1234567890123456789", and arrived as "1234567890123456800"'
    )


def test_an_attempt_of_another_step_is_not_compared():
    assert (
        check("faithful", step(given(), attempt(), attempt(message(msgId="5", content="x")))) == []
    )


def test_attempts_may_differ_in_their_timestamps_alone():
    later = attempt(message(timestamp=message()["timestamp"] + 5), at=5)
    assert check("same-message", step(given(), attempt(), later)) == []


@pytest.mark.parametrize(
    ("later", "said"),
    [
        pytest.param(
            message(msgId="2"), 'attempt 2: msgId was "1", and arrived as "2"', id="a new id"
        ),
        pytest.param(message(content="x"), "attempt 2: content was", id="another content"),
        pytest.param({"msgId": "1"}, "attempt 2: key is missing", id="less"),
    ],
)
def test_a_later_attempt_with_another_message_is_a_finding(later, said):
    assert said in finding(
        "same-message", step(given(), attempt(), attempt(later, at=5, msg_id="1"))
    )


def test_a_signature_that_was_kept_while_the_time_went_on_is_a_finding():
    first = attempt()
    stale = attempt(at=5, signature=first.request.headers[-1][1])
    assert finding("same-message", step(given(), first, stale)) == (
        "attempt 2: the signature does not match its timestamp and body"
    )


@pytest.mark.parametrize("later", [b"", b'{"msgId": "1", "cont'], ids=["empty", "cut"])
def test_a_later_attempt_that_is_not_whole_is_for_the_rule_about_that(later):
    assert unjudged("same-message", step(given(), attempt(), attempt(body=later, at=5)))


def test_a_body_that_cannot_be_read_shows_no_message():
    packed = [attempt(body=b"\x1f\x8b\x08gzip", msg_id="1", at=at) for at in (0, 5)]
    assert "can be read" in unjudged("faithful", step(given(), packed[0]))
    assert unjudged("same-message", step(given(), *packed))


def test_signatures_that_never_fit_are_for_the_rule_about_them():
    wrong = [attempt(at=at, signature=b"0" * 64) for at in (0, 5)]
    assert check("same-message", step(given(), *wrong)) == []


def to_both(secret, other):
    copy = attempt(secret=other, role=Role.ELSEWHERE)
    return step(given(), attempt(secret=secret), copy, also={})


def test_copies_that_are_signed_with_the_secrets_of_their_configurations_are_right():
    assert check("own-secret", to_both(SECRET, OTHER)) == []


@pytest.mark.parametrize(
    ("secret", "other", "said"),
    [
        pytest.param(SECRET, SECRET, "the Secret of another configuration", id="the first one's"),
        pytest.param(OTHER, OTHER, "the Secret of another configuration", id="the last one's"),
        pytest.param(SECRET, b"whatever", "matches no Secret", id="nobody's"),
    ],
)
def test_a_copy_that_is_signed_with_another_secret_is_a_finding(secret, other, said):
    assert said in finding("own-secret", to_both(secret, other))


RENEWED = [
    {"call": {"Update": {"Secret": "{other-secret}"}}},
    {"emit": {}, "expect": {"arrives": True}},
]


def renewed(secret):
    came = attempt(secret=secret, at=2)
    return step(called("Update"), given(at=1, step=1), came, steps=RENEWED, index=1)


def test_after_an_update_of_the_secret_the_new_one_signs():
    assert check("new-secret", renewed(OTHER)) == []


def test_a_secret_that_is_used_after_its_update_is_a_finding():
    assert "from before the Update" in finding("new-secret", renewed(SECRET))


def test_in_an_unknown_scheme_no_secret_is_judged():
    profile = replace(PROFILE, scheme=None)
    assert "scheme is unknown" in unjudged("new-secret", renewed(SECRET), profile)


TESTS = [{"call": "Test"}, {"call": "Test"}]


def of_tests(*ids, meanwhile=()):
    calls = [called("Test", at=n * 10, step=n) for n in range(2)]
    came = [attempt(message(msgId=each), at=n * 10 + 1) for n, each in enumerate(ids)]
    return step(*calls, *meanwhile, *came, steps=TESTS, index=1)


def test_two_tests_with_ids_of_their_own_are_right():
    assert check("distinct-ids", of_tests("1", "2")) == []


def test_two_tests_with_one_id_are_a_finding():
    assert finding("distinct-ids", of_tests("test", "test")) == "both tests carry the msgId 'test'"


def test_a_message_of_another_case_is_no_test():
    other = attempt(message(msgId="9", content=marked("text", "635187101018335")), at=0.5)
    seen = of_tests("test", "test", meanwhile=[other])
    assert finding("distinct-ids", seen) == "both tests carry the msgId 'test'"


def test_one_test_alone_is_not_judged():
    assert unjudged("distinct-ids", of_tests("1")) == "only one test message arrived"


def retried(*starts, messages=3):
    made = [message(msgId=str(n)) for n in range(messages)]
    came = [each for fields in made for each in attempts(*starts, fields=fields)]
    return step(*(given(fields) for fields in made), *came)


def test_doubling_waits_are_right():
    assert held("exponential-waits", retried(0, 1, 3, 7, 15, 31)) == pytest.approx(8)


def test_waits_that_grow_within_the_time_of_the_crowd_are_not_judged():
    def late(by):
        fields = message(msgId=str(by))
        return given(fields), *attempts(*(at + by for at in (0, 1, 3, 7, 15)), fields=fields)

    assert "needs a longer first wait" in unjudged("exponential-waits", step(*late(0), *late(5)))
    assert held("exponential-waits", step(*late(0), *late(3))) == pytest.approx(2)


GROWN_BY_LOAD = retried(0, 0.025, 0.055, 0.095, 0.16, 0.27)


def test_waits_of_hundredths_of_a_second_show_no_growth():
    (found,) = check("exponential-waits", GROWN_BY_LOAD)
    assert found.code == "waits-too-short"


@pytest.mark.parametrize(
    ("lost", "again"),
    [
        pytest.param(0.0, False, id="no stall"),
        pytest.param(0.06, True, id="the shortest stall that is measured"),
    ],
)
def test_waits_of_hundredths_of_a_second_are_measured_again_after_any_stall(lost, again):
    judgements = CHECKS["sender"]["exponential-waits"].judge(GROWN_BY_LOAD, PROFILE, Level.MUST)
    assert is_stalled(judgements, lost) is again


def test_linear_waits_that_a_stall_may_have_bent_hold_only_as_far_as_there_was_none():
    bent = retried(0, 0.6, 1.6, 3.1, 5.1, 7.2)
    assert held("exponential-waits", bent) == pytest.approx(0.15)


def test_waits_that_are_the_rounds_of_a_sender_with_a_limited_rate_are_not_judged():
    def at_rate(rate):
        rounds = 60 / rate
        made = [message(msgId=str(n)) for n in range(60)]
        came = [
            attempts(*(n / rate + k * rounds for k in range(6)), fields=fields)
            for n, fields in enumerate(made)
        ]
        return step(*map(given, made), *(each for one in came for each in one))

    assert "needs a longer first wait" in unjudged("exponential-waits", at_rate(20))


@pytest.mark.parametrize(
    ("starts", "said"),
    [
        pytest.param(
            (0, 1, 3, 6, 10, 15),
            "waits were 1.0, 2.0, 3.0, 4.0, 5.0 s: linear, not exponential",
            id="linear",
        ),
        pytest.param(
            (0, 0.2, 0.4, 0.6, 0.8, 1),
            "waits were 0.20, 0.20, 0.20, 0.20, 0.20 s: constant",
            id="constant",
        ),
        pytest.param((0, 0, 0, 0, 0, 0), "s: there is no wait at all", id="none"),
        pytest.param(
            (0, 3, 6, 9, 12), "waits were 3.0, 3.0, 3.0, 3.0 s: constant", id="an attempt less"
        ),
    ],
)
def test_other_waits_are_a_finding_with_their_figures(starts, said):
    assert said in finding("exponential-waits", retried(*starts))


def test_too_few_attempts_show_no_growth():
    assert "too few attempts" in unjudged("exponential-waits", retried(0, 1, 3))


def asked_for(seconds, wait):
    refused = attempt(status=503, headers=((b"Retry-After", seconds),))
    return step(given(), refused, attempt(at=wait))


@pytest.mark.parametrize("wait", [2.95, 3, 60])
def test_a_retry_after_that_is_waited_for_is_right(wait):
    assert check("retry-after", asked_for(b"3", wait)) == []


def test_a_retry_after_that_is_ignored_is_a_finding():
    assert finding("retry-after", asked_for(b"3", 1.2)) == (
        "sent again after 1.2 s, though Retry-After asked for 3 s"
    )


@pytest.mark.parametrize("at", [-0.05, 0.1, 2.0])
def test_a_first_attempt_that_comes_soon_is_prompt(at):
    assert check("prompt", step(given(), attempt(at=at), attempt(at=30))) == []


def test_a_first_attempt_is_prompt_only_as_far_as_it_is_known_when_its_message_was_taken():
    taken = replace(given(), started=-3.0)
    assert held("prompt", step(taken, attempt(at=0.5))) == pytest.approx(1.5)


def test_a_finding_names_the_latest_message():
    late = message(msgId="2")
    seen = step(given(), given(late), attempt(at=0.1), attempt(late, at=9.5))
    assert finding("prompt", seen) == "the first attempt came 9.5 s after the message was accepted"


def test_a_message_that_never_arrived_is_not_late():
    assert check("prompt", step(given(), given(message(msgId="2")), attempt(at=0.1))) == []


RESTART = [
    {"emit": {"as": "done"}, "expect": {"attempts": 1}},
    {"emit": {"as": "waiting"}, "answers": [503]},
    {"restart": True},
    {"answers": [200], "expect": {"check": "delivered-after-restart"}},
]
WAITING = message(msgId="2")


def restarted(*came):
    return step(given(), given(WAITING, step=1), *came, steps=RESTART, index=3)


def test_what_is_delivered_once_in_the_end_was_not_lost():
    seen = restarted(attempt(), attempt(WAITING, status=503), attempt(WAITING, at=9))
    assert check("delivered-after-restart", seen) == []
    assert check("not-sent-again", seen) == []


def test_what_did_not_come_after_the_restart_is_lost():
    seen = restarted(attempt(), attempt(WAITING, status=503))
    assert finding("delivered-after-restart", seen) == (
        "1 of 2 accepted messages did not arrive after the restart"
    )


def test_a_repeat_after_a_200_is_a_finding():
    seen = restarted(attempt(), attempt(at=9), attempt(WAITING, at=9))
    assert (
        finding("not-sent-again", seen)
        == "1 messages were sent again after they had been answered 200"
    )


@pytest.mark.parametrize("name", sorted(names("sender", Scope.STEP)))
def test_a_step_that_has_shown_nothing_breaks_no_check(name):
    for words in (
        {},
        {"steps": [{"call": "Test"}]},
        {"steps": [EMIT, {"call": "List"}], "index": 1},
    ):
        told(check(name, step(**words)))
        told(check(name, step(given(), **words)))
