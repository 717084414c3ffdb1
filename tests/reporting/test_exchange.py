"""What is marked in a request and in an answer, and what the marks are said to mean."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from conformance.model.exchange import Answer, Exchange, Headers, Request, Role, Transport
from conformance.protocol.dialect import Secret
from conformance.protocol.tampering import TAMPERINGS, Signer
from conformance.reporting.html.exchange import ShownExchange, Wire
from conformance.scenario.dialects import load

SIGNER = Signer(load("guide"), Secret(b"a secret"))
STAMP, BODY = b"1625123456", b'{"msgId":"1","content":"x9"}'
FINE = Answer(200, ((b"Date", b"now"),), b'{"status":"success"}')


def sent(number: int, damage: str | None = None, *, msg_id: str = "1") -> Exchange:
    """A request of the suite, signed and then damaged."""
    signed = SIGNER.sign(STAMP, BODY)
    if damage is not None:
        signed = TAMPERINGS[damage](signed, SIGNER)
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


def shown(*exchanges: Exchange) -> ShownExchange:
    """The last of `exchanges` as it is shown beside the others."""
    return Wire(exchanges).show(exchanges[-1], 2048)


def marks(markup: str) -> list[str]:
    return re.findall("<mark>(.*?)</mark>", markup)


def gone(markup: str) -> list[str]:
    return re.findall("<del>(.*?)</del>", markup)


def test_a_rightly_signed_request_has_no_marks() -> None:
    made = shown(sent(1))
    assert marks(made.request) == []
    assert made.against == ""


@pytest.mark.parametrize(
    ("damage", "marked"),
    [
        pytest.param("flip-body", ["8"], id="body-changed-after-signing"),
        pytest.param("shift-timestamp", ["7"], id="timestamp-changed-after-signing"),
    ],
)
def test_what_was_changed_after_signing_is_marked_alone(damage: str, marked: list[str]) -> None:
    made = shown(sent(1), sent(2, damage, msg_id="2"))
    assert marks(made.request) == marked
    assert "rightly signed" in made.against


def test_a_wrong_signature_is_marked_whole() -> None:
    made = shown(sent(1), sent(2, "wrong-secret", msg_id="2"))
    (marked,) = marks(made.request)
    assert len(marked) == 64


def test_a_header_that_is_missing_is_told() -> None:
    made = shown(sent(1), sent(2, "missing-signature", msg_id="2"))
    assert [each.split(":")[0] for each in gone(made.request)] == ["X-Webhook-Signature"]


def test_a_repeat_is_said_to_be_the_same() -> None:
    made = shown(sent(1), sent(2))
    assert marks(made.request) == []
    assert "Byte for byte as in #1" in made.against


def test_an_attempt_is_compared_with_the_first_one() -> None:
    first = attempt(1, ((b"X-Webhook-Timestamp", b"1625123456"),))
    again = attempt(2, ((b"X-Webhook-Timestamp", b"1625123466"),), BODY.replace(b"x9", b"y9"))
    made = shown(first, again)
    assert marks(made.request) == ["6", "y"]
    assert "differs from #1" in made.against


def test_a_message_at_another_endpoint_is_not_compared() -> None:
    first = attempt(1, ())
    again = replace(first, id=2, request=replace(first.request, url="http://x/other", body=b"z"))
    assert shown(first, again).against == ""


def test_an_answer_to_a_repeat_is_compared_with_the_first_answer() -> None:
    again = replace(sent(2), answer=replace(FINE, body=b'{"status":"duplicate"}'))
    made = shown(sent(1), again)
    assert marks(made.answer or "") == ["duplicate"]
    assert "differs from #1" in made.answered_against


def test_a_date_says_nothing_by_being_another() -> None:
    again = replace(sent(2), answer=replace(FINE, headers=((b"Date", b"later"),)))
    assert marks(shown(sent(1), again).answer or "") == []


def test_a_difference_past_what_is_shown_is_still_told() -> None:
    first, again = sent(1), sent(2)
    again = replace(again, request=replace(again.request, body=BODY[:-1] + b"!"))
    made = Wire((first, again)).show(again, 5)
    assert marks(made.request) == []
    assert "differs from #1" in made.against


def test_what_differs_is_escaped_and_spelled_out() -> None:
    again = replace(sent(2), request=replace(sent(2).request, body=b"<script>\x00"))
    assert marks(shown(sent(1), again).request) == [r"&lt;script&gt;<i>\x00</i>"]
