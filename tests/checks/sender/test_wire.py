"""How deliveries look on the wire: each check finds its fault, and leaves a right delivery alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.checks.check import by_name
from conformance.checks.messages import judge
from conformance.checks.sender import wire
from conformance.model.exchange import Fault, Role
from conformance.model.rules import Finding, Level, Unjudged
from conformance.model.sentence import EMPTY, Sentence
from conformance.protocol.dialect import parse_template, sign
from conformance.protocol.schemes import Scheme
from conformance.protocol.signing import Signer
from conformance.reporting.languages import in_chinese
from tests.engine import hand_made
from tests.engine.hand_made import (
    GUIDE,
    NOW,
    OTHER,
    PROFILE,
    SCHEME,
    SECRET,
    attempt,
    attempts,
    broken,
    called,
    message,
    told,
)

WIRE_CHECKS = by_name(wire.CHECKS)
CHECKS = sorted(WIRE_CHECKS)


def check(name, *came, profile=PROFILE, level=Level.MUST):
    return broken(judge(WIRE_CHECKS[f"wire-{name}"], came, profile, level))


def right(**more):
    """Two deliveries of a link, as every check wants them, and one of a text that is tried again."""
    link = attempt(message("link", msgId="2"), **more)
    return [link, *attempts(0.1, 1.2, 3.3), attempt(message(content="", msgId="3"))]


def findings(came, profile=PROFILE):
    """What each check finds, for those that find anything."""
    found = {n: broken(judge(check, came, profile, Level.MUST)) for n, check in WIRE_CHECKS.items()}
    return {name: each for name, each in found.items() if each}


def test_right_deliveries_are_left_alone():
    assert findings(right()) == {}


def test_without_an_attempt_nothing_is_judged():
    found = findings([])
    assert sorted(found) == CHECKS
    for name, (unjudged,) in found.items():
        assert isinstance(unjudged, Unjudged), name
        assert in_chinese(unjudged.reason), name


def test_only_what_is_about_nothing_seen_is_an_error():
    # A service may have no links at all; that nothing arrives at all has a cause.
    no_errors = [n for n in CHECKS if not judge(WIRE_CHECKS[n], [], PROFILE, Level.MUST)[0].error]
    assert no_errors == ["wire-link-content"]


def test_a_probe_without_a_body_is_no_delivery():
    probes = [attempt(body=b"", method=method, without=()) for method in ("HEAD", "OPTIONS")]
    look = attempt(body=b"", method="GET", without=["X-Webhook-Signature"])
    assert findings([*right(), *probes, look]) == {}


@pytest.mark.parametrize("role", [Role.ATTEMPT, Role.ELSEWHERE, Role.MALFORMED])
def test_a_malformed_request_is_found_at_every_endpoint(role):
    raw = b"POST /h/1 HTTP/1.1\nHost: mock\nContent-Length: 0\n\n"
    (finding,) = check("http", *right(), attempt(role=role, raw=raw))
    assert (finding.code, str(finding.message)) == (
        "http-malformed",
        "1 of 6 deliveries: a line of the head ends with LF, without CR",
    )


def test_an_attempt_at_the_other_endpoint_is_for_its_own_rule():
    elsewhere = attempt(secret=OTHER, body=b"<xml/>", method="PUT", role=Role.ELSEWHERE)
    assert findings([*right(), elsewhere]) == {}


FAULTS = [
    pytest.param("method", attempt(method="PUT"), "sent by PUT, not POST", id="PUT"),
    pytest.param("method", attempt(method="GET", body=b""), "sent by GET, not POST", id="GET"),
    pytest.param("content-type", attempt(kind="text/plain"), "Content-Type is 'text/plain'", id="text/plain"),
    pytest.param("content-type", attempt(without=["Content-Type"]), "Content-Type is ''", id="no type"),
    pytest.param("content-type", attempt(kind="application/jsonp"), "'application/jsonp'", id="another type"),
    pytest.param(
        "timestamp-header", attempt(stamp=b"%d000" % NOW), f"in milliseconds ({NOW}000)", id="milliseconds"
    ),
    pytest.param("timestamp-header", attempt(stamp=b"%d.5" % NOW), f"is '{NOW}.5', not", id="a fraction"),
    pytest.param("timestamp-header", attempt(stamp=b"2026-01-31T07:50:00Z"), "not whole Unix", id="a date"),
    pytest.param("timestamp-header", attempt(stamp=b"\xd9\xa1"), "not whole Unix", id="other digits"),
    pytest.param("signature-header", attempt(signature=b"sha256=" + b"a" * 64), "'sha256=a", id="prefix"),
    pytest.param("signature-header", attempt(signature=b"A" * 64), "not 64 lower-case hex", id="upper case"),
    pytest.param("signature-header", attempt(signature=b"a" * 63), "not 64 lower-case", id="a digit lost"),
    pytest.param("signature-header", attempt(signature=b"x" * 5000), "not 64 lower-case hex", id="endless"),
    pytest.param(
        "always-signed", attempt(without=["X-Webhook-Signature"]), "X-Webhook-Signature", id="unsigned"
    ),
    pytest.param(
        "always-signed", attempt(without=["X-Webhook-Timestamp"]), "without X-Webhook-Timestamp", id="no time"
    ),
    pytest.param(
        "always-signed", attempt(signature=b""), "without X-Webhook-Signature", id="an empty signature"
    ),
    pytest.param("signature", attempt(secret=OTHER), "fits no known scheme", id="another secret"),
    pytest.param(
        "signature",
        attempt(signature=sign(replace(GUIDE, parts=parse_template("{timestamp}{body}")), SECRET,
                               b"%d" % NOW, json.dumps(message(), ensure_ascii=False).encode())),
        "fits timestamp and body without a separator, not the requested scheme",
        id="no colon",
    ),
    pytest.param("schema", attempt(message(msgType="1")), "msgType must be an integer", id="type as text"),
    pytest.param("schema", attempt(message("link", content="<xml/>")), "content", id="link as text"),
    pytest.param("schema", attempt(body=b'{"msgId": "1"}'), "is missing", id="fields left out"),
    pytest.param("schema", attempt(body=b"[1]"), "must be an object", id="an array"),
    pytest.param("schema", attempt(body=b"msgId=1"), "the body is not UTF-8 JSON", id="a form"),
    pytest.param("schema", attempt(body=b'{"msgId": "\xff"}'), "not UTF-8 JSON", id="no UTF-8"),
    pytest.param("schema", attempt(body=json.dumps(message()).encode("utf-16")), "UTF-8 JSON", id="UTF-16"),
    pytest.param("whole-body", attempt(body=b""), "sent with 0 bytes of body, none", id="empty"),
    pytest.param("whole-body", attempt(body=b'{"msgId": "1", "con'), "19 bytes of body, cut off", id="cut"),
    pytest.param(
        "whole-body",
        attempt(fault=Fault.CLOSED, detail="the sender left in mid-body"),
        "cut off",
        id="left in mid-body",
    ),
    pytest.param("timestamp-fresh", attempt(stamp=b"%d" % (NOW - 300)), "300 s old on the first", id="old"),
    pytest.param("timestamp-fresh", attempt(stamp=b"%d" % (NOW + 8 * 3600)), "28800 s ahead", id="ahead"),
    pytest.param(
        "timestamp-agrees", attempt(message(timestamp=NOW - 90)), f"body {NOW - 90}, header {NOW}", id="old"
    ),
    pytest.param(
        "timestamp-agrees", attempt(message(timestamp=NOW * 1000)), f"body {NOW}000", id="milliseconds"
    ),
    pytest.param("link-content", attempt(message("link", content={"title": "T"})), "without desc", id="few"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wrong", "said"), FAULTS)
def test_a_fault_is_found_among_right_deliveries(name, wrong, said):
    came = [*right(), replace(wrong, msg_id="9")]
    (found,) = check(name, *came)
    assert isinstance(found, Finding)
    assert found.level is Level.MUST
    assert found.exchanges[0] == wrong.id
    (text,) = told([found])
    assert said in text
    assert len(text) < 300


@pytest.mark.parametrize(
    "name", ["method", "content-type", "signature", "schema", "timestamp-header", "whole-body"]
)
def test_a_fault_of_every_delivery_is_counted_and_ten_are_shown(name):
    wrong = {
        "method": {"method": "PUT"},
        "content-type": {"kind": "text/plain"},
        "signature": {"secret": OTHER},
        "schema": {"body": b"msgId=1"},
        "timestamp-header": {"stamp": b"now"},
        "whole-body": {"body": b""},
    }[name]
    (found,) = check(name, *(attempt(**wrong) for _ in range(12)))
    assert told([found])[0].startswith("12 of 12 deliveries: ")
    assert len(found.exchanges) == 10


@pytest.mark.parametrize(
    "kind",
    ["application/json; charset=utf-8", "Application/JSON", "application/json ;charset=UTF-8"],
)
def test_a_content_type_may_have_parameters_and_any_case(kind):
    assert check("content-type", attempt(kind=kind)) == []


@pytest.mark.parametrize(
    ("name", "came"),
    [
        pytest.param("timestamp-header", attempt(without=["X-Webhook-Timestamp"]), id="time"),
        pytest.param("signature-header", attempt(without=["X-Webhook-Signature"]), id="signature"),
        pytest.param("schema", attempt(body=b""), id="no body"),
        pytest.param("schema", attempt(body=b'{"msgId": '), id="half a body"),
        pytest.param("signature", attempt(body=b"", secret=OTHER), id="signature of no body"),
        pytest.param("timestamp-fresh", attempt(stamp=b"soon"), id="a time that is none"),
        pytest.param(
            "timestamp-agrees", attempt(stamp=b"soon"), id="an odd time beside a right one"
        ),
        pytest.param(
            "whole-body", attempt(body=b"", without=["X-Webhook-Signature"]), id="unsigned"
        ),
    ],
)
def test_a_fault_that_another_check_covers_is_no_finding(name, came):
    assert check(name, *right(), came) == []


def test_a_cut_body_is_compared_with_what_another_attempt_signed():
    whole = attempt()
    cut = replace(whole, id=999, request=replace(whole.request, body=b""))
    (found,) = check("whole-body", whole, cut)
    assert told([found])[0].endswith(f"signed {len(whole.request.body)} bytes, sent 0")
    assert found.exchanges == (999,)


def test_a_stale_retry_is_a_should_and_a_stale_first_attempt_a_must():
    frozen = [attempt(at=at, stamp=b"%d" % NOW) for at in (0, 30, 70, 150)]
    (found,) = check("timestamp-fresh", *frozen)
    assert found.level is Level.SHOULD
    assert "70 s old on a retry" in told([found])[0]
    assert found.exchanges == (frozen[2].id, frozen[3].id)


def test_a_timestamp_that_is_kept_though_time_passes_is_a_finding_before_it_is_stale():
    first = attempt(ended=5.0, status=500)
    (found,) = check("timestamp-fresh", first, attempt(at=6, stamp=b"%d" % NOW))
    assert found.level is Level.SHOULD
    assert "a retry 6 s later is still that of the first attempt" in told([found])[0]


def test_a_retry_that_was_stamped_at_once_and_held_up_on_its_way_is_fresh():
    first = attempt(ended=0.1, status=500)
    assert check("timestamp-fresh", first, attempt(at=9, stamp=b"%d" % NOW)) == []


def test_the_message_of_a_test_was_created_no_later_than_it_was_sent():
    tested = called("Test", rule="sender.config.test")
    late = attempt(message(createTime=NOW + 5), rule="sender.config.test")
    (found,) = check("timestamp-agrees", tested, late)
    assert (found.code, found.exchanges) == ("timestamps-disagree", (late.id,))
    event = hand_made.given(rule="sender.config.test")
    assert check("timestamp-agrees", tested, event, late) == []


def test_the_case_of_two_secrets_may_sign_with_either():
    other = attempt(secret=PROFILE.other_secret, rule="sender.filter.fan-out")
    calls = [
        called("Config", fields={"Secret": secret}, rule="sender.filter.fan-out")
        for secret in ("one", "two")
    ]
    assert check("signature", *calls, other) == []
    (found,) = check("signature", calls[0], other)
    assert isinstance(found, Finding)


@pytest.mark.parametrize(
    ("timeout", "body", "right"),
    [
        pytest.param(1, NOW, True, id="after one that was given up unseen"),
        pytest.param(10, NOW - 2, True, id="given up after the guide's 5 s"),
        pytest.param(5, NOW, False, id="too soon after"),
        pytest.param(1, NOW - 60, False, id="from before the message was given"),
        pytest.param(None, NOW, False, id="no Timeout known"),
    ],
)
def test_a_first_attempt_that_nobody_saw_may_have_stamped_the_body(timeout, body, right):
    configured = called("Config", fields={"URL": "http://mock/h/1", "Timeout": timeout})
    late = attempt(message(timestamp=body), at=3)
    (found,) = check("timestamp-agrees", configured, hand_made.given(at=-2), late)
    assert isinstance(found, Unjudged) is right


def test_the_body_may_keep_its_timestamp_over_retries():
    assert check("timestamp-agrees", attempt(), attempt(at=300)) == []


def test_a_timestamp_that_is_no_number_is_for_the_schema():
    assert check("timestamp-agrees", *right(), attempt(message(timestamp="now"))) == []
    assert check("timestamp-agrees", *right(), attempt(message(timestamp=True))) == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"title": "T", "des": "D", "url": "U"}, id="as in appmsg"),
        pytest.param({"Title": "T", "Description": "D", "URL": "U"}, id="capital"),
        pytest.param({"title": "T", "desc": "D", "link": "U", "more": 1}, id="other words"),
        pytest.param({"title": "T", "digest": "D", "linkUrl": "U"}, id="camel case"),
    ],
)
def test_a_link_may_name_its_parts_as_it_likes(content):
    assert check("link-content", attempt(message("link", content=content))) == []


def test_a_link_that_is_no_object_is_a_finding_of_the_schema_alone():
    xml = attempt(message("link", content="<xml/>"))
    assert check("link-content", xml) == []
    (found,) = check("schema", xml)
    assert "content" in str(found.message)


def test_a_sender_of_no_links_is_not_judged_by_them():
    (found,) = check("link-content", attempt())
    assert found == Unjudged("no-link", Sentence("no link message arrived"))


def test_where_nothing_is_signed_the_signature_cannot_be_judged():
    (found,) = check("signature", attempt(without=["X-Webhook-Signature"]))
    assert (type(found), found.code) == (Unjudged, "unsigned")


def test_a_signature_under_headers_of_another_dialect_is_named():
    dialect = replace(GUIDE, name="other", signature_header="X-Other")
    scheme = Scheme(Signer(dialect, SECRET), None, Sentence("another header"))
    came = attempt(without=["X-Webhook-Signature"])
    (found,) = check("signature", came, profile=replace(PROFILE, scheme=scheme))
    assert told([found]) == [
        "1 of 1 deliveries: the signature fits another header, not the requested scheme"
    ]


MILLISECONDS = replace(GUIDE, timestamp_unit="milliseconds", encoding="base64")


def test_another_dialect_is_judged_by_its_own_unit_and_encoding():
    signer = Signer(MILLISECONDS, SECRET)
    profile = replace(PROFILE, requested=signer, scheme=Scheme(signer, None, EMPTY))
    stamp = b"%d321" % NOW
    body = json.dumps(message("link")).encode()
    came = attempt(
        message("link"), body=body, stamp=stamp, signature=sign(MILLISECONDS, SECRET, stamp, body)
    )
    assert findings([came], profile) == {}


def test_another_dialect_too_is_broken_by_what_is_not_in_it():
    profile = replace(PROFILE, requested=Signer(MILLISECONDS, SECRET))
    for name in ("timestamp-header", "signature-header"):
        (found,) = check(name, attempt(), profile=profile)
        assert told([found])
    stale = attempt(stamp=b"%d000" % (NOW - 100))
    assert "100 s old" in told(check("timestamp-fresh", stale, profile=profile))[0]


@pytest.mark.parametrize("depth", [100, 400, 700, 900, 990, 5000])
def test_no_depth_of_nesting_breaks_a_check(depth):
    body = b'{"msgType": 49, "content": ' + b"[" * depth + b"]" * depth + b"}"
    for name in CHECKS:
        judge(
            WIRE_CHECKS[name], [attempt(body=body), attempt(body=body, at=1)], PROFILE, Level.MUST
        )


VALUES = st.sampled_from(
    [None, True, -1, 10**400, 1.5, float("nan"), "", "\ud83d", [], [[]], {}, {"a": 1}]
)
FIELDS = st.dictionaries(st.sampled_from([*message(), "x"]), VALUES, max_size=4)
BYTES = st.binary(max_size=80)


@given(FIELDS, BYTES, BYTES, BYTES)
def test_no_bytes_break_a_check(fields, body, stamp, signature):
    given = message() | fields
    signed = {"stamp": stamp, "signature": signature}
    link = json.dumps(given | {"msgType": 49}).encode()
    came = [
        attempt(body=json.dumps(given).encode(), **signed),
        attempt(body=link, msg_id="2"),
        attempt(body=body, msg_id=None, **signed),
    ]
    for name in CHECKS:
        told(broken(judge(WIRE_CHECKS[name], came, PROFILE, Level.MUST)))


def test_a_sender_that_speaks_another_dialect_breaks_the_rule():
    """A sender that speaks another dialect breaks the rule, though all else is judged in its own."""
    spoken = Scheme(
        Signer(replace(GUIDE, parts=parse_template("{timestamp}{body}")), SECRET),
        None,
        SCHEME.description,
    )
    came = attempt(
        signature=sign(spoken.signer.dialect, SECRET, b"%d" % NOW, attempt().request.body)
    )
    assert check("signature", came, profile=replace(PROFILE, scheme=spoken))
