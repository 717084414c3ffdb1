"""What the live page says of a signature and a body; signatures are made without the project's code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from conformance.live.explainer import Body, Explainer, Looked, Signature
from conformance.protocol.dialect import Secret
from conformance.protocol.tampering import Signer
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


def look(
    signature: bytes | None, stamp: bytes | None = STAMP, body: bytes = BODY, *,
    dialect: str = "guide", whole: bool = True,
) -> Looked:  # fmt: skip
    headers = [(b"x-webhook-timestamp", stamp), (b"X-Webhook-Signature", signature)]
    given = tuple((name, value) for name, value in headers if value is not None)
    explainer = Explainer(Signer(load(dialect), Secret(SECRET)))
    return explainer.look(given, body, NOW, whole=whole)


def test_a_right_signature_is_said_to_be_right() -> None:
    found = look(mac(STAMP + b":" + BODY))
    assert (found.signature, found.body) == (Signature.RIGHT, Body.FITS)


OTHERWISE = [
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


@pytest.mark.parametrize(("signature", "said"), OTHERWISE)
def test_a_signature_made_otherwise_with_the_secret_is_explained(
    signature: bytes, said: str
) -> None:
    found = look(signature)
    assert found.signature is Signature.OTHER
    assert found.signed.en.startswith("signed with the secret, but ")
    assert said in found.signed.en
    assert found.signed.zh


def test_the_colon_is_explained_to_whoever_expects_none() -> None:
    found = look(mac(STAMP + b":" + BODY), dialect="timestamp-body")
    assert found.signed.en == "signed with the secret, but over timestamp, a colon and the body"


def test_what_fitted_last_is_tried_first_and_proves_itself_again() -> None:
    explainer = Explainer(Signer(load("guide"), Secret(SECRET)))
    for other in (BODY, BODY + b" "):
        headers = (
            (b"X-Webhook-Timestamp", STAMP),
            (b"X-Webhook-Signature", mac(STAMP + other)),
        )
        found = explainer.look(headers, other, NOW, whole=True)
        assert found.signature is Signature.OTHER
    wrong = ((b"X-Webhook-Timestamp", STAMP), (b"X-Webhook-Signature", b"0" * 64))
    assert explainer.look(wrong, BODY, NOW, whole=True).signature is Signature.WRONG


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
    assert look(signature).signature is Signature.WRONG


@pytest.mark.parametrize(
    ("stamp", "signature", "said"),
    [
        pytest.param(None, b"x", "there is no X-Webhook-Timestamp header", id="no-timestamp"),
        pytest.param(STAMP, None, "there is no X-Webhook-Signature header", id="no-signature"),
        pytest.param(STAMP, b"", "X-Webhook-Signature is empty", id="empty"),
    ],
)
def test_a_header_that_is_missing_is_named(
    stamp: bytes | None, signature: bytes | None, said: str
) -> None:
    found = look(signature, stamp)
    assert (found.signature, found.signed.en) == (Signature.MISSING, said)


@pytest.mark.parametrize(
    ("stamp", "said"),
    [
        pytest.param(b"%d" % (NOW - 3600), "3,600 s behind", id="behind"),
        pytest.param(b"%d" % (NOW + 3600), "3,600 s ahead of", id="ahead"),
        pytest.param(b"soon", "a timestamp that is no number", id="no-number"),
        pytest.param(b"9" * 5000, "a timestamp that is no number", id="too-long"),
    ],
)
def test_a_right_signature_over_an_odd_timestamp_is_told_apart(stamp: bytes, said: str) -> None:
    found = look(mac(stamp + b":" + BODY), stamp)
    assert found.signature is Signature.STALE
    assert said in found.signed.en


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"", "the body is empty", id="empty"),
        pytest.param(b"{", "the body is not JSON", id="no-json"),
        pytest.param(b"\xff", "the body is not UTF-8", id="no-utf8"),
        pytest.param(b"[1]", "the body is not a JSON object", id="array"),
        pytest.param(b"[" * 100_000, "the body is nested too deeply", id="deep"),
    ],
)
def test_a_body_that_cannot_be_read_says_why(body: bytes, said: str) -> None:
    found = look(mac(STAMP + b":" + body), body=body)
    assert (found.signature, found.body) == (Signature.RIGHT, Body.UNREADABLE)
    assert found.said.en == said


def test_a_body_that_does_not_fit_names_each_field() -> None:
    body = json.dumps({**MESSAGE, "msgType": "1", "isSelfMsg": "no"}).encode()
    found = look(mac(STAMP + b":" + body), body=body)
    assert found.body is Body.PROBLEMS
    assert [each.split()[0] for each in found.problems] == ["isSelfMsg", "msgType"]


def test_a_lone_surrogate_in_a_text_is_no_fault_of_the_explainer() -> None:
    body = json.dumps({**MESSAGE, "content": "\ud83d"}).encode()
    assert look(b"0" * 64, body=body).signature is Signature.WRONG


def test_what_is_not_kept_whole_is_not_judged() -> None:
    assert look(b"0" * 64, whole=False).said.en == "too large to be looked through"
