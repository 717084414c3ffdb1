"""The quick word on a message is the word of the authority."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.protocol import fast_validation
from conformance.protocol.fast_validation import message_fits
from conformance.protocol.validation import message_problems

FIELDS = ("key", "msgId", "timestamp", "fromUser", "toUser", "msgType", "content", "isSelfMsg")
GOOD = {
    "key": "wxid_a", "msgId": "1", "timestamp": 1, "fromUser": "b", "toUser": "c", "msgType": 1,
    "content": "x", "isSelfMsg": False, "createTime": 1, "isHistory": False,
}  # fmt: skip
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
)
ODD = [
    pytest.param([], id="array"),
    pytest.param({**GOOD, "content": "\ud83d"}, id="lone-surrogate"),
    pytest.param({**GOOD, "timestamp": 1 << 70}, id="integer-beyond-64-bits"),
    pytest.param({**GOOD, "extra": 1 << 70}, id="such-an-integer-in-an-unlisted-field"),
    pytest.param({**GOOD, "timestamp": 1.0}, id="float-that-is-whole"),
    pytest.param({**GOOD, "msgType": True}, id="true-for-one"),
]


@given(st.sampled_from(FIELDS), VALUES | st.dictionaries(st.text(max_size=3), VALUES, max_size=2))
def test_both_agree_on_any_value_in_any_field(field: str, value: object) -> None:
    message = {**GOOD, field: value}
    assert message_fits(message) == (message_problems(message) == [])


@pytest.mark.parametrize("message", ODD)
def test_both_agree_on_what_is_odd(message: object) -> None:
    assert message_fits(message) == (message_problems(message) == [])


def test_without_the_quick_validator_the_authority_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_validation, "jsonschema_rs", None)
    assert message_fits(GOOD)
    assert not message_fits({})
