"""The receiver's decisions in isolation, without HTTP."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.exchange import Headers
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.receiver import behaviour as steps
from conformance.receiver.behaviour import Arrival, ReceiverBehaviour, Response
from conformance.receiver.inbox import Delivery
from conformance.scenario.dialects import load

NOW = 1769845800
BODY = '{"msgId":"1","content":"Hello 燈"}'.encode()
SECRET = b"a lighthouse"
SIGNER = Signer(load("guide"), Secret(SECRET))


def headers(timestamp: bytes = b"%d" % NOW, body: bytes = BODY) -> Headers:
    mac = hmac.new(SECRET, timestamp + b":" + body, hashlib.sha256)
    return (
        (b"X-Webhook-Timestamp", timestamp),
        (b"X-Webhook-Signature", mac.hexdigest().encode()),
    )


def examine(behaviour: ReceiverBehaviour, now: float = NOW) -> Arrival | Response:
    return behaviour.examine(headers(), BODY, SIGNER, now, lambda: True)


def test_what_arrives_is_the_message_and_its_bytes() -> None:
    arrival = examine(ReceiverBehaviour(), NOW + 0.5)
    assert isinstance(arrival, Arrival)
    assert arrival.message == {"msgId": "1", "content": "Hello 燈"}
    assert arrival.delivery == Delivery("1", BODY, NOW + 0.5, fits=False)


@pytest.mark.parametrize(
    ("seconds", "refusal"),
    [
        pytest.param(-300, None, id="oldest"),
        pytest.param(300, None, id="newest"),
        pytest.param(-301, "the timestamp is 301 s behind the receiver's clock", id="too-old"),
        pytest.param(301, "the timestamp is 301 s ahead of the receiver's clock", id="too-new"),
    ],
)
def test_a_timestamp_may_differ_by_300_seconds_either_way(
    seconds: int, refusal: str | None
) -> None:
    stamped = headers(b"%d" % (NOW + seconds))
    expected = Response(401, refusal) if refusal else None
    assert steps.authenticate(stamped, BODY, SIGNER, NOW) == expected


def test_a_timestamp_is_in_milliseconds_where_the_dialect_says_so() -> None:
    signer = replace(SIGNER, dialect=replace(SIGNER.dialect, timestamp_unit="milliseconds"))
    assert steps.authenticate(headers(b"%d250" % NOW), BODY, signer, NOW) is None


def test_a_header_is_found_whatever_its_case() -> None:
    lower = tuple((name.lower(), value) for name, value in headers())
    assert steps.authenticate(lower, BODY, SIGNER, NOW) is None


@pytest.mark.parametrize(
    ("part", "status"),
    [
        pytest.param({"tolerance": -1.0}, 401, id="tolerance"),
        pytest.param({"signed": bytes.lower}, 401, id="signed"),
        pytest.param({"matches": lambda valid, received: False}, 401, id="matches"),
        pytest.param({"credentials": lambda *_: Response(403)}, 403, id="credentials"),
        pytest.param({"fresh": lambda *_: Response(410)}, 410, id="fresh"),
    ],
)
def test_one_part_of_authentication_can_be_replaced_by_itself(
    part: dict[str, object], status: int
) -> None:
    faulty = replace(ReceiverBehaviour(), authenticate=partial(steps.authenticate, **part))  # type: ignore[arg-type]
    answer = examine(faulty)
    assert isinstance(answer, Response)
    assert answer.status == status


@pytest.mark.parametrize("step", ["authenticate", "read", "msg_id", "process"])
def test_a_step_that_answers_ends_the_examination(step: str) -> None:
    answer = Response(418, step)
    assert examine(replace(ReceiverBehaviour(), **{step: lambda *_: answer})) is answer  # type: ignore[arg-type]


@given(st.binary(max_size=60))
def test_any_header_bytes_are_a_refusal_and_never_an_exception(value: bytes) -> None:
    stamp, right = headers()
    for lines in ((stamp, (right[0], value)), ((stamp[0], value), right)):
        answer = steps.authenticate(lines, BODY, SIGNER, NOW)
        assert isinstance(answer, Response)
        assert answer.status == 401


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_an_object_or_a_refusal_and_never_an_exception(body: bytes) -> None:
    message = steps.read(body)
    assert isinstance(message, dict) or message.status == 400


@given(st.integers(min_value=0, max_value=8 * len(BODY) - 1))
def test_any_flipped_bit_of_the_body_is_refused(bit: int) -> None:
    flipped = bytearray(BODY)
    flipped[bit // 8] ^= 1 << bit % 8
    assert steps.authenticate(headers(), bytes(flipped), SIGNER, NOW) is not None


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (Response(200), b'{"status": "success"}'),
        (Response(200, "duplicate"), b'{"status": "success", "message": "duplicate"}'),
        (Response(401, "no"), b'{"status": "error", "message": "no"}'),
    ],
)
def test_an_answer_is_written_as_the_guides_samples_write_it(answer: Response, body: bytes) -> None:
    assert answer.body == body
