"""Events passed to Emit: which are accepted, which are refused, and the bodies they become."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.errors import InputError
from conformance.protocol.validation import message_problems
from conformance.sender.event import FIELDS, plainly_fits, read
from tests.sender.parts import event

STAMP = 1625123456


def body(data: object) -> bytes:
    (message,) = read(data)
    return message.body.stamped(STAMP)


def test_a_body_is_compact_json_in_the_guides_order_with_its_timestamp() -> None:
    fields = dict(reversed(event(content="燈 <a>&/").items()))
    assert body(fields).decode() == (
        '{"key":"wxid_lighthouse","msgId":"1","timestamp":1625123456,"fromUser":"wxid_keeper",'
        '"toUser":"wxid_lighthouse","msgType":1,"content":"燈 <a>&/","isSelfMsg":false,'
        '"createTime":1769845799,"isHistory":false}'
    )


def test_fields_that_the_guide_does_not_list_come_last_and_unchanged() -> None:
    extra = {"sequence": 2**70, "nested": {"10": [None, 1.5, {}], "2": "x"}}
    sent = json.loads(body(event() | extra))
    assert {name: sent[name] for name in extra} == extra
    assert tuple(sent)[:10] == FIELDS


@pytest.mark.parametrize("name", ["timestamp", "TimeStamp"])
def test_a_timestamp_in_the_event_is_replaced(name: str) -> None:
    assert body(event() | {name: 5}) == body(event())


def test_what_looks_like_a_timestamp_in_a_text_is_left_alone() -> None:
    looks = ',"timestamp":0,'
    sent = json.loads(body(event(looks, key=looks, content=looks, nested={"timestamp": 0})))
    assert [sent[name] for name in ("key", "msgId", "content")] == [looks] * 3
    assert (sent["timestamp"], sent["nested"]) == (STAMP, {"timestamp": 0})


def test_names_are_matched_whatever_their_case() -> None:
    assert body({name.upper(): value for name, value in event().items()}) == body(event())


def test_of_two_names_that_differ_in_case_the_guides_own_wins() -> None:
    sent = json.loads(body(event(Content="another field")))
    assert (sent["content"], sent["Content"]) == ("燈亮了", "another field")


def test_a_lone_surrogate_is_sent_as_an_escape() -> None:
    sent = body(event(content="a\ud83db"))
    assert sent.isascii() or sent.decode()
    assert json.loads(sent)["content"] == "a\ud83db"


def test_an_array_gives_its_events_in_order() -> None:
    assert [each.msg_id for each in read([event("1"), event("2")])] == ["1", "2"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(5, "the body must be a message event", id="number"),
        pytest.param([event(), "x"], r"\[1\] must be a message event", id="text-in-array"),
        pytest.param(event(msgId=""), "msgId must not be empty", id="empty-id"),
        pytest.param(event(msgId=7), "msgId must be a string", id="number-id"),
        pytest.param(event(msgId="\ud83d"), "msgId must be Unicode text", id="surrogate-id"),
        pytest.param(event(msgType="1"), "msgType must be an integer", id="text-type"),
        pytest.param(event(content={}), "content must be a string", id="object-in-a-text"),
        pytest.param(event(msgType=49), "content must be an object", id="text-in-a-link"),
        pytest.param(event(isSelfMsg=0), "isSelfMsg must be a boolean", id="number-for-a-boolean"),
        pytest.param(event(createTime=2**63), "createTime must be at most", id="too-late"),
        pytest.param({"msgId": "1"}, "createTime is missing", id="fields-missing"),
        pytest.param([event(), event(key=None)], r"\[1\]\.key must be a string", id="in-an-array"),
        pytest.param(event(x=float("inf")), "the body holds a number that is too", id="infinity"),
    ],
)
def test_an_event_that_does_not_fit_is_refused_by_field(data: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        list(read(data))


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=2),
    st.just({}),
    st.just([]),
)


@given(
    st.sampled_from([1, 3, 49, 10002, 9999]),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3),
    st.sets(st.sampled_from(FIELDS), max_size=1),
)
def test_whatever_plainly_fits_also_fits_the_schema(
    msg_type: int, changed: dict[str, Any], left_out: set[str]
) -> None:
    fields = {n: v for n, v in (event(msgType=msg_type) | changed).items() if n not in left_out}
    if plainly_fits(fields):
        assert message_problems(fields | {"timestamp": STAMP}) == []


@pytest.mark.parametrize("msg_type", [1, 3, 34, 43, 47, 10000, 10002, 37, 9999])
def test_a_plain_message_plainly_fits(msg_type: int) -> None:
    assert plainly_fits(event(msgType=msg_type))


LISTED = {name.lower() for name in FIELDS}
EXTRA = st.dictionaries(
    st.text(min_size=1).filter(lambda name: name.lower() not in LISTED),
    VALUES.filter(lambda value: not isinstance(value, float) or isfinite(value)),
)


@given(st.text(), EXTRA)
def test_a_message_is_sent_unchanged(content: str, extra: dict[str, Any]) -> None:
    fields = extra | event(content=content)
    assert json.loads(body(fields)) == fields | {"timestamp": STAMP}
