"""The marks in a request and an answer, and the notes that explain them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from conformance.model.exchange import Answer, Exchange, Headers, Request, Role, Transport
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.protocol.tampering import TAMPERINGS
from conformance.reporting.html.exchange import ExchangeRenderer, ExchangeView
from conformance.scenario.dialects import load

SIGNER = Signer(load("guide"), Secret(b"a secret"))
STAMP, BODY = b"1625123456", b'{"msgId":"1","content":"x9"}'
FINE = Answer(200, ((b"Date", b"now"),), b'{"status":"success"}')


def sent(number: int, tampering: str | None = None, *, msg_id: str = "1") -> Exchange:
    """A request of the suite, signed and then tampered with."""
    signed = SIGNER.sign(STAMP, BODY)
    if tampering is not None:
        signed = TAMPERINGS[tampering](signed, SIGNER)
    headers: Headers = ((b"Content-Type", b"application/json"),)
    if signed.timestamp is not None:
        headers += ((b"X-Webhook-Timestamp", signed.timestamp),)
    headers += tuple((b"X-Webhook-Signature", each) for each in signed.signatures)
    request = Request("POST", "http://x/hook", headers, signed.body, Transport.POOLED)
    return Exchange(
        number, Role.PROBE, None, None, 0, msg_id, request, signed.signing, FINE, None, "",
        1.0, 1.0, 1.1,
    )  # fmt: skip


def attempt(number: int, headers: Headers, body: bytes = BODY) -> Exchange:
    """A delivery by a sender under test, at the same endpoint and of the same message."""
    made = sent(number)
    request = replace(made.request, headers=headers, body=body)
    return replace(made, role=Role.ATTEMPT, request=request, signing=None)


def view(*exchanges: Exchange) -> ExchangeView:
    """The last of `exchanges`, rendered beside the others."""
    return ExchangeRenderer(exchanges).render(exchanges[-1], 2048)


def marks(markup: str) -> list[str]:
    return re.findall("<mark>(.*?)</mark>", markup)


def removed(markup: str) -> list[str]:
    return re.findall("<del>(.*?)</del>", markup)


def test_a_correctly_signed_request_has_no_marks() -> None:
    last = view(sent(1))
    assert marks(last.request) == []
    assert last.request_note == ""


@pytest.mark.parametrize(
    ("tampering", "differences"),
    [
        pytest.param("flip-body", ["8"], id="body-changed-after-signing"),
        pytest.param("shift-timestamp", ["7"], id="timestamp-changed-after-signing"),
    ],
)
def test_only_what_was_changed_after_signing_is_marked(
    tampering: str, differences: list[str]
) -> None:
    last = view(sent(1), sent(2, tampering, msg_id="2"))
    assert marks(last.request) == differences
    assert "correctly signed" in last.request_note


def test_a_wrong_signature_is_marked_whole() -> None:
    last = view(sent(1), sent(2, "wrong-secret", msg_id="2"))
    (signature,) = marks(last.request)
    assert len(signature) == 64


def test_a_missing_header_is_shown() -> None:
    last = view(sent(1), sent(2, "missing-signature", msg_id="2"))
    assert [each.split(":")[0] for each in removed(last.request)] == ["X-Webhook-Signature"]


def test_an_equal_repeat_has_a_note() -> None:
    last = view(sent(1), sent(2))
    assert marks(last.request) == []
    assert "Byte for byte the same as #1" in last.request_note


def test_an_attempt_is_compared_with_the_first_one() -> None:
    first = attempt(1, ((b"X-Webhook-Timestamp", b"1625123456"),))
    repeat = attempt(2, ((b"X-Webhook-Timestamp", b"1625123466"),), BODY.replace(b"x9", b"y9"))
    last = view(first, repeat)
    assert marks(last.request) == ["6", "y"]
    assert "differences from #1" in last.request_note


def test_a_message_at_another_endpoint_is_not_compared() -> None:
    first = attempt(1, ())
    repeat = replace(first, id=2, request=replace(first.request, url="http://x/other", body=b"z"))
    assert view(first, repeat).request_note == ""


def test_an_answer_to_a_repeat_is_compared_with_the_first_answer() -> None:
    repeat = replace(sent(2), answer=replace(FINE, body=b'{"status":"duplicate"}'))
    last = view(sent(1), repeat)
    assert marks(last.answer or "") == ["duplicate"]
    assert "differences from #1" in last.answer_note


def test_another_date_is_not_marked() -> None:
    repeat = replace(sent(2), answer=replace(FINE, headers=((b"Date", b"later"),)))
    assert marks(view(sent(1), repeat).answer or "") == []


def test_a_difference_beyond_the_cut_is_still_noted() -> None:
    first, repeat = sent(1), sent(2)
    repeat = replace(repeat, request=replace(repeat.request, body=BODY[:-1] + b"!"))
    last = ExchangeRenderer((first, repeat)).render(repeat, 5)
    assert marks(last.request) == []
    assert "differences from #1" in last.request_note


def test_differences_are_escaped() -> None:
    repeat = replace(sent(2), request=replace(sent(2).request, body=b"<script>\x00"))
    assert marks(view(sent(1), repeat).request) == [r"&lt;script&gt;<i>\x00</i>"]
