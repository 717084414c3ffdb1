"""What stays of a trace that is shown to others: sizes and structure, and nothing that was said."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.exchange import Answer, Masked, Request, Signing
from conformance.model.result import Result
from conformance.model.rules import Level, Outcome, Rule
from conformance.model.text import NO_TEXT, Text
from conformance.protocol.message import build
from conformance.trace import Trace
from conformance.trace.redact import KEPT_FIELDS, body, redacted, redacted_result, url
from tests.trace.parts import exchange, exchanges

SIGNED_BY = frozenset({b"x-webhook-signature"})
PERSONAL = ("Hookproof", "wxid_hookproof", "測試")


def test_a_message_keeps_its_size_its_structure_and_its_id():
    sent = build("text", "7019125948144648390", 1_700_000_000).fields()
    given = json.dumps(sent, ensure_ascii=False).encode()
    found = json.loads(body(given))
    assert len(body(given)) == len(given)
    assert list(found) == list(sent)
    kept = {name: sent[name] for name in ("msgId", "msgType", "timestamp", "isSelfMsg")}
    assert {name: found[name] for name in kept} == kept
    assert not any(word in json.dumps(found, ensure_ascii=False) for word in PERSONAL)


def test_what_stands_in_an_object_is_taken_out_at_any_depth():
    given = b'{"content": {"title": "a b", "phone": 13800138000, "msgId": "secret", "n": [-1.5e3]}}'
    found = b'{"content": {"title": "xxx", "phone": 11111111111, "msgId": "xxxxxx", "n": [-1.1e1]}}'
    assert body(given) == found


def test_what_is_no_json_is_taken_out_whole():
    assert body(b"name=Ann&text=\xe4\xb8\xad <b>!") == b"xxxx=xxx&xxxx=xxx <x>!"


def test_an_observer_s_count_stays_readable():
    assert body(b'{"count": 3}') == b'{"count": 3}'


@given(given=st.binary(max_size=80))
def test_a_body_keeps_its_size(given):
    assert len(body(given)) == len(given)


words = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
)


def leaves(value, place=()):
    match value:
        case dict():
            for name, inner in value.items():
                yield from leaves(inner, (*place, name))
        case list():
            for inner in value:
                yield from leaves(inner, (*place, None))
        case _:
            yield place, value


@given(value=values, ascii_only=st.booleans())
def test_json_stays_json_of_the_same_shape_and_says_nothing(value, ascii_only):
    given = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    taken = body(given)
    assert len(taken) == len(given)
    found = json.loads(taken)
    kept = {name.decode() for name in KEPT_FIELDS}
    for (place, was), (at, left) in zip(leaves(value), leaves(found), strict=True):
        assert at == place
        if isinstance(was, str) and not (len(place) == 1 and place[0] in kept):
            assert set(left) <= {"x"}


def test_headers_are_taken_out_but_for_those_that_are_harmless():
    request = Request(
        "POST",
        "http://a/b?token=t0ken&msgId=7",
        ((b"Content-Type", b"text/x"), (b"Cookie", b"id=1"), (b"X-Webhook-Signature", b"ab")),
        b"",
    )
    found = redacted(exchange(request=request), SIGNED_BY)
    assert found.request.headers == (
        (b"Content-Type", b"text/x"),
        (b"Cookie", b"xxxx"),
        (b"X-Webhook-Signature", b"ab"),
    )
    assert found.request.url == "http://a/b?token=xxxxx&msgId=7"
    assert found.masked == {Masked.CONTENT}


def test_what_was_signed_is_taken_out_too():
    signing = Signing(b"1", b'{"content": "hi"}')
    found = redacted(exchange(signing=signing), SIGNED_BY)
    assert found.signing == replace(signing, body=b'{"content": "xx"}')


def test_what_has_nothing_to_hide_stays_unmarked():
    request = Request("GET", "http://a/processed?msgId=7", ((b"User-Agent", b"Hookproof"),), b"")
    asked = exchange(request=request, answer=Answer(200, (), b'{"count": 1}'))
    assert redacted(asked, SIGNED_BY) is asked


@given(each=exchanges)
def test_taking_out_twice_is_taking_out_once(each):
    once = redacted(each, SIGNED_BY)
    assert redacted(once, SIGNED_BY) == once


@pytest.mark.parametrize(
    "said",
    ["content must be a string, not 'hello'", 'fromUser was "Ann", and arrived as "An"'],
)
def test_a_finding_quotes_nothing(said):
    rule = Rule("sender.wire.schema", Level.MUST, None, NO_TEXT, NO_TEXT, NO_TEXT)
    result = Result(rule, None, Level.MUST, Outcome.FAIL, Text(said, said), reproduce="curl …")
    found = redacted_result(result)
    assert not any(word in found.message.en + found.message.zh for word in ("hello", "An"))
    assert found.message.en.startswith(said[:7])
    assert found.reproduce is None


def test_a_trace_is_taken_out_whole():
    trace = Trace([exchange(answer=Answer(200, (), b"wxid_ann"))])
    found = trace.redacted()
    assert found[1].answer.body == b"xxxx_xxx"
    assert trace[1].answer.body == b"wxid_ann"


def test_a_url_without_a_query_stays():
    assert url("http://a/b/c#d") == "http://a/b/c#d"
