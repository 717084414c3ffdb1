"""The explanations of signatures and bodies; the signatures are computed without the project's code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from conformance.live.explainer import Body, Explainer, Explanation, Signature
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.reporting.languages import in_chinese
from conformance.scenario.dialects import load

SECRET = b"a lighthouse"
NOW = 1769845800
STAMP = b"%d" % NOW
MESSAGE = {
    "key": "wxid_a", "msgId": "1", "timestamp": NOW - 7, "fromUser": "wxid_b", "toUser": "wxid_a",
    "msgType": 1, "content": "燈亮了 <&>", "isSelfMsg": False, "createTime": NOW - 9,
    "isHistory": False,
}  # fmt: skip
BODY = json.dumps(MESSAGE, ensure_ascii=False, separators=(",", ":")).encode()
SORTED = json.dumps(MESSAGE, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def mac(text: bytes, secret: bytes = SECRET) -> bytes:
    return hmac.new(secret, text, hashlib.sha256).hexdigest().encode()


def explain(
    signature: bytes | None, stamp: bytes | None = STAMP, body: bytes = BODY, *,
    dialect: str = "guide", whole: bool = True,
) -> Explanation:  # fmt: skip
    headers = [(b"x-webhook-timestamp", stamp), (b"X-Webhook-Signature", signature)]
    sent = tuple((name, value) for name, value in headers if value is not None)
    explainer = Explainer(Signer(load(dialect), Secret(SECRET)))
    return explainer.explain(sent, body, NOW, whole=whole)


def test_a_right_signature_is_recognised() -> None:
    explanation = explain(mac(STAMP + b":" + BODY))
    assert (explanation.signature, explanation.body) == (Signature.RIGHT, Body.FITS)


OTHER_WAYS = [
    pytest.param(mac(STAMP + BODY), "but without the colon", id="no-colon"),
    pytest.param(mac(STAMP + b"." + BODY), "timestamp, a dot and the body", id="dot"),
    pytest.param(mac(BODY), "the body alone", id="body-alone"),
    pytest.param(mac(BODY + STAMP), "the body first", id="body-first"),
    pytest.param(mac(STAMP + b":" + json.dumps(MESSAGE).encode()), "json.dumps", id="json-dumps"),
    pytest.param(mac(STAMP + b":" + SORTED), "keys sorted", id="sorted"),
    pytest.param(mac(STAMP + b":" + BODY).upper(), "upper case", id="upper-case"),
    pytest.param(b"sha256=" + mac(STAMP + b":" + BODY), "sha256=", id="prefix"),
    pytest.param(mac(b"%d:" % (NOW - 7) + BODY), "timestamp in the body", id="inner-timestamp"),
    pytest.param(
        base64.b64encode(hmac.new(SECRET, STAMP + b":" + BODY, hashlib.sha256).digest()),
        "base64",
        id="base64",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("signature", "text"), OTHER_WAYS)
def test_another_way_of_signing_with_the_secret_is_explained(signature: bytes, text: str) -> None:
    explanation = explain(signature)
    assert explanation.signature is Signature.OTHER
    assert str(explanation.signature_text).startswith("signed with the secret, but ")
    assert text in str(explanation.signature_text)
    assert in_chinese(explanation.signature_text)


def test_an_unexpected_colon_is_explained() -> None:
    explanation = explain(mac(STAMP + b":" + BODY), dialect="timestamp-body")
    assert (
        str(explanation.signature_text)
        == "signed with the secret, but over timestamp, a colon and the body"
    )


def test_the_last_scheme_is_tried_first_and_verified_again() -> None:
    explainer = Explainer(Signer(load("guide"), Secret(SECRET)))
    for other in (BODY, BODY + b" "):
        headers = (
            (b"X-Webhook-Timestamp", STAMP),
            (b"X-Webhook-Signature", mac(STAMP + other)),
        )
        explanation = explainer.explain(headers, other, NOW, whole=True)
        assert explanation.signature is Signature.OTHER
    wrong = ((b"X-Webhook-Timestamp", STAMP), (b"X-Webhook-Signature", b"0" * 64))
    assert explainer.explain(wrong, BODY, NOW, whole=True).signature is Signature.WRONG


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(mac(STAMP + b":" + BODY, b"another secret"), id="another-secret"),
        pytest.param(b"0" * 64, id="zeros"),
        pytest.param(b"\xff\x00", id="no-text"),
        pytest.param(b"x" * 100_000, id="very-long"),
    ],
)
def test_a_signature_that_the_secret_did_not_make_is_wrong(signature: bytes) -> None:
    assert explain(signature).signature is Signature.WRONG


@pytest.mark.parametrize(
    ("stamp", "signature", "text"),
    [
        pytest.param(None, b"x", "there is no X-Webhook-Timestamp header", id="no-timestamp"),
        pytest.param(STAMP, None, "there is no X-Webhook-Signature header", id="no-signature"),
        pytest.param(STAMP, b"", "X-Webhook-Signature is empty", id="empty"),
    ],
)
def test_a_missing_header_is_named(stamp: bytes | None, signature: bytes | None, text: str) -> None:
    explanation = explain(signature, stamp)
    assert (explanation.signature, str(explanation.signature_text)) == (Signature.MISSING, text)


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        pytest.param(b"%d" % (NOW - 3600), "3,600 s behind", id="behind"),
        pytest.param(b"%d" % (NOW + 3600), "3,600 s ahead of", id="ahead"),
        pytest.param(b"soon", "a timestamp that is not a number", id="no-number"),
        pytest.param(b"9" * 5000, "a timestamp that is not a number", id="too-long"),
    ],
)
def test_a_right_signature_over_an_odd_timestamp_is_stale(stamp: bytes, text: str) -> None:
    explanation = explain(mac(stamp + b":" + BODY), stamp)
    assert explanation.signature is Signature.STALE
    assert text in str(explanation.signature_text)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"", "the body is empty", id="empty"),
        pytest.param(b"{", "the body is not JSON", id="no-json"),
        pytest.param(b"\xff", "the body is not UTF-8", id="no-utf8"),
        pytest.param(b"[1]", "the body is not a JSON object", id="array"),
        pytest.param(b"[" * 100_000, "the body is nested too deeply", id="deep"),
    ],
)
def test_an_unreadable_body_has_a_reason(body: bytes, text: str) -> None:
    explanation = explain(mac(STAMP + b":" + body), body=body)
    assert (explanation.signature, explanation.body) == (Signature.RIGHT, Body.UNREADABLE)
    assert str(explanation.body_text) == text


def test_each_wrong_field_of_a_body_is_named() -> None:
    body = json.dumps({**MESSAGE, "msgType": "1", "isSelfMsg": "no"}).encode()
    explanation = explain(mac(STAMP + b":" + body), body=body)
    assert explanation.body is Body.PROBLEMS
    assert [problem.split()[0] for problem in explanation.problems] == ["isSelfMsg", "msgType"]


def test_a_lone_surrogate_in_a_text_is_survived() -> None:
    body = json.dumps({**MESSAGE, "content": "\ud83d"}).encode()
    assert explain(b"0" * 64, body=body).signature is Signature.WRONG


def test_a_cut_body_is_not_judged() -> None:
    assert str(explain(b"0" * 64, whole=False).body_text) == "too large to be examined"
