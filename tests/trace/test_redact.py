"""A redacted trace: it keeps sizes and structure, and nothing of the content."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from conformance.model.exchange import Answer, Masked, Request, Signing
from conformance.model.result import Result
from conformance.model.rules import Level, Outcome, Rule
from conformance.model.sentence import Sentence
from conformance.model.text import Text
from conformance.protocol.message import build
from conformance.trace import Trace
from conformance.trace.redact import (
    KEPT_FIELDS,
    redact_body,
    redact_exchange,
    redact_result,
    redact_url,
)
from tests.trace.parts import exchange, exchanges

SIGNED_BY = frozenset({b"x-webhook-signature"})
PERSONAL = ("Hookproof", "wxid_hookproof", "測試")


def test_a_message_keeps_its_size_its_structure_and_its_id():
    sent = build("text", "7019125948144648390", 1_700_000_000).fields()
    content = json.dumps(sent, ensure_ascii=False).encode()
    redacted = json.loads(redact_body(content))
    assert len(redact_body(content)) == len(content)
    assert list(redacted) == list(sent)
    harmless = {name: sent[name] for name in ("msgId", "msgType", "timestamp", "isSelfMsg")}
    assert {name: redacted[name] for name in harmless} == harmless
    assert not any(word in json.dumps(redacted, ensure_ascii=False) for word in PERSONAL)


def test_nested_values_are_redacted_at_any_depth():
    content = (
        b'{"content": {"title": "a b", "phone": 13800138000, "msgId": "secret", "n": [-1.5e3]}}'
    )
    redacted = (
        b'{"content": {"title": "xxx", "phone": 11111111111, "msgId": "xxxxxx", "n": [-1.1e1]}}'
    )
    assert redact_body(content) == redacted


def test_a_body_that_is_not_json_is_redacted_entirely():
    assert redact_body(b"name=Ann&text=\xe4\xb8\xad <b>!") == b"xxxx=xxx&xxxx=xxx <x>!"


def test_an_observer_s_count_stays_readable():
    assert redact_body(b'{"count": 3}') == b'{"count": 3}'


@given(content=st.binary(max_size=80))
def test_a_body_keeps_its_size(content):
    assert len(redact_body(content)) == len(content)


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
def test_json_stays_json_of_the_same_shape_without_content(value, ascii_only):
    content = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    result = redact_body(content)
    assert len(result) == len(content)
    kept_names = {name.decode() for name in KEPT_FIELDS}
    pairs = zip(leaves(value), leaves(json.loads(result)), strict=True)
    for (path, original), (redacted_path, redacted) in pairs:
        assert redacted_path == path
        if isinstance(original, str) and not (len(path) == 1 and path[0] in kept_names):
            assert set(redacted) <= {"x"}


def test_headers_are_redacted_unless_they_are_harmless():
    request = Request(
        "POST",
        "http://a/b?token=t0ken&msgId=7",
        ((b"Content-Type", b"text/x"), (b"Cookie", b"id=1"), (b"X-Webhook-Signature", b"ab")),
        b"",
    )
    redacted = redact_exchange(exchange(request=request), SIGNED_BY)
    assert redacted.request.headers == (
        (b"Content-Type", b"text/x"),
        (b"Cookie", b"xxxx"),
        (b"X-Webhook-Signature", b"ab"),
    )
    assert redacted.request.url == "http://a/b?token=xxxxx&msgId=7"
    assert redacted.masked == {Masked.CONTENT}


def test_the_signed_body_is_redacted_too():
    signing = Signing(b"1", b'{"content": "hi"}')
    redacted = redact_exchange(exchange(signing=signing), SIGNED_BY)
    assert redacted.signing == replace(signing, body=b'{"content": "xx"}')


def test_an_exchange_without_content_stays_unmarked():
    request = Request("GET", "http://a/processed?msgId=7", ((b"User-Agent", b"Hookproof"),), b"")
    query = exchange(request=request, answer=Answer(200, (), b'{"count": 1}'))
    assert redact_exchange(query, SIGNED_BY) is query


@given(each=exchanges)
def test_redacting_is_idempotent(each):
    once = redact_exchange(each, SIGNED_BY)
    assert redact_exchange(once, SIGNED_BY) == once


def test_a_finding_quotes_nothing():
    rule = Rule("sender.wire.schema", Level.MUST, None, Text(""), Text(""), Text(""))
    quotation = Sentence("must be {expected}, not {actual}", expected="a string", actual="'hello'")
    message = Sentence("{count} of {total} deliveries: ", count=1, total=2) + quotation
    result = Result(rule, None, Level.MUST, Outcome.FAIL, message, reproduce="curl …")
    redacted = redact_result(result)
    assert str(redacted.message) == "1 of 2 deliveries: must be …, not …"
    assert redacted.reproduce is None


def test_a_whole_trace_is_redacted():
    trace = Trace([exchange(answer=Answer(200, (), b"wxid_ann"))])
    redacted = trace.redacted()
    assert redacted[1].answer.body == b"xxxx_xxx"
    assert trace[1].answer.body == b"wxid_ann"


def test_a_url_without_a_query_stays():
    assert redact_url("http://a/b/c#d") == "http://a/b/c#d"
