"""Captured deliveries: the forms of a line, and the report of a line that is not one."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.model.errors import InputError
from conformance.model.exchange import Fault, Masked, Role
from conformance.protocol.fast_validation import fits
from conformance.protocol.validation import problems, validator
from conformance.trace import StoredTrace
from conformance.trace.capture import is_capture, read

LINE = {
    "time": 1_700_000_000.5,
    "url": "https://example.org/hook",
    "headers": {"X-Webhook-Timestamp": "1700000000", "X-Webhook-Signature": "ab"},
    "body": '{"msgId":"7","content":"文"}',
    "status": 200,
    "seconds": 0.25,
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "capture.jsonl"


def captured(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return list(read(path))


def test_a_line_is_a_delivery(path):
    (delivery,) = captured(path, LINE)
    assert (delivery.id, delivery.role, delivery.msg_id) == (1, Role.ATTEMPT, "7")
    assert delivery.request.body == '{"msgId":"7","content":"文"}'.encode()
    assert delivery.header(b"x-webhook-signature") == b"ab"
    assert (delivery.clock, delivery.status, delivery.seconds) == (1_700_000_000.5, 200, 0.25)


def test_a_line_needs_only_headers_and_a_body(path):
    (delivery,) = captured(path, {"headers": {}, "body": ""})
    assert (delivery.request.method, delivery.msg_id, delivery.answer, delivery.clock) == (
        "POST", None, None, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "read_as"),
    [
        pytest.param({"A": "1", "B": "2"}, ((b"A", b"1"), (b"B", b"2")), id="an object"),
        pytest.param({"A": ["1", "2"]}, ((b"A", b"1"), (b"A", b"2")), id="lists of values"),
        pytest.param([["A", "1"], ["A", "2"]], ((b"A", b"1"), (b"A", b"2")), id="pairs"),
    ],
)
def test_headers_may_be_written_in_three_ways(path, headers, read_as):
    (delivery,) = captured(path, {**LINE, "headers": headers})
    assert delivery.request.headers == read_as


@pytest.mark.parametrize(
    "time", [1_700_000_000, "2023-11-14T22:13:20Z", "2023-11-14T22:13:20", "2023-11-15T06:13:20+08:00"]
)  # fmt: skip
def test_a_time_may_be_written_in_three_ways(path, time):
    (delivery,) = captured(path, {**LINE, "time": time})
    assert delivery.clock == 1_700_000_000.0


def test_a_body_may_be_base64(path):
    line = {name: value for name, value in LINE.items() if name != "body"}
    (delivery,) = captured(path, {**line, "body_base64": base64.b64encode(b"\xff\x00").decode()})
    assert delivery.request.body == b"\xff\x00"


def test_other_fields_and_empty_lines_are_skipped(path):
    path.write_text("\n" + json.dumps({**LINE, "level": "info"}) + "\n\n")
    assert len(list(read(path))) == 1


def test_a_delivery_without_an_answer_has_its_fault(path):
    (delivery,) = captured(path, {**LINE, "status": None, "fault": "timeout"})
    assert (delivery.answer, delivery.fault) == (None, Fault.TIMEOUT)


def test_a_masked_body_is_marked(path):
    (delivery,) = captured(path, {**LINE, "masked": True})
    assert delivery.masked == {Masked.CONTENT}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("{", "not a line of JSON", id="no JSON"),
        pytest.param("[]", "must be an object", id="no object"),
        pytest.param('{"body": ""}', "no `headers`, so it is not a capture", id="no headers"),
        pytest.param('{"headers": {}}', "body|forms", id="no body"),
        pytest.param('{"headers": {}, "body": {"msgId": "1"}}',
                     "body must be a string, not an object", id="a parsed body"),
        pytest.param('{"headers": {"A": 1}, "body": ""}', "headers", id="a number as a header"),
        pytest.param('{"headers": {}, "body_base64": "?"}', "Base64", id="no Base64"),
        pytest.param('{"headers": {}, "body": "", "status": 20}', "status", id="no status"),
        pytest.param('{"headers": {}, "body": "", "time": "noon"}', "noon", id="no time"),
        pytest.param('{"headers": {}, "body": "", "time": 1e300}', "out of|range", id="no date"),
        pytest.param('{"headers": {}, "body": "", "time": NaN}', "not a JSON number", id="no number"),
        pytest.param('{"headers": {}, "body": "", "seconds": 1e999}', "seconds", id="no end"),
        pytest.param('{"headers": {}, "body": "", "fault": "bored"}', "fault", id="no fault"),
        pytest.param('{"headers": {}, "body": "\\ud83d"}', "surrogates", id="no bytes"),
    ],
)  # fmt: skip
def test_a_line_that_is_not_a_delivery_is_reported_with_its_place(path, line, message):
    path.write_text(json.dumps(LINE) + "\n" + line + "\n")
    with pytest.raises(InputError, match=message) as raised:
        list(read(path))
    assert str(raised.value).startswith(f"{path}:2: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        (b'{"headers"', True),
        (b"\n  {", True),
        (b"", False),
        (b"[", False),
        (b"SQLite format 3\0", False),
    ],
)
def test_a_capture_is_recognised_by_its_beginning(path, content, is_one):
    path.write_bytes(content)
    assert is_capture(path) is is_one


def test_a_capture_opens_like_a_trace(path):
    captured(path, LINE, {**LINE, "time": LINE["time"] + 2, "status": 500})
    with StoredTrace.open_any(path) as stored:
        assert len(stored) == 2
        assert stored.run is None
        assert [row[0] for row in stored.rows(columns=["attempt"])] == [1, 2]


def test_the_example_of_the_schema_is_a_capture(path):
    for example in validator("capture").schema["examples"]:
        assert problems("capture", example) == []
        assert len(captured(path, example)) == 1


values = st.none() | st.booleans() | st.integers(-1, 999) | st.text(max_size=4) | st.just("10/=")
headers = st.sampled_from([{}, [], [["A", "1"]], [["A"]], ["AB"], {"A": ["1"]}, {"A": [1]}, "", 1])
OTHERS = (
    "method", "url", "status", "body_base64", "fault", "peer", "answer_body", "seconds", "masked",
)  # fmt: skip
lines = st.fixed_dictionaries(
    {"headers": headers, "body": st.text(max_size=4) | values},
    optional={"answer_headers": headers, "time": st.floats() | values}
    | dict.fromkeys(OTHERS, values),
)


@given(line=lines)
@settings(deadline=None)
def test_whatever_the_reader_accepts_fits_the_schema(line, tmp_path_factory):
    path = tmp_path_factory.mktemp("capture") / "capture.jsonl"
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    try:
        list(read(path))
    except InputError:
        return
    assert problems("capture", line) == []


@given(line=lines)
@settings(deadline=None)
def test_both_validators_agree_on_a_line(line):
    assert fits("capture", line) == (problems("capture", line) == [])


def test_a_line_without_a_time_gets_that_of_the_line_before(path):
    first, second = captured(path, LINE, {"headers": {}, "body": "{}"})
    assert second.started == first.started > 0
    assert second.clock is None


def test_a_redacted_capture_keeps_its_signature_headers(path):
    captured(path, {**LINE, "headers": {**LINE["headers"], "Cookie": "s"}})
    with StoredTrace.open_any(path) as stored, stored.redacted() as left:
        (each,) = left
    assert dict(each.request.headers) == {
        b"X-Webhook-Timestamp": b"1700000000",
        b"X-Webhook-Signature": b"ab",
        b"Cookie": b"x",
    }
