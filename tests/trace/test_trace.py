"""The trace of a run in memory: the order of its exchanges, and the masking of secrets."""

import gzip
from dataclasses import replace

import pytest

from conformance.model.exchange import Answer, Fault, Leg, Masked, Request, Role
from conformance.options.secrets import mask_of
from conformance.reporting.notebook.displays import exchange_display, trace_display
from conformance.trace import Trace
from tests.trace.parts import exchange

KEY = b"k3y-k3y"


@pytest.fixture
def trace():
    trace = Trace()
    trace.add(exchange())
    trace.add(exchange(answer=None, fault=Fault.TIMEOUT, detail="late", rule=None))
    trace.add(exchange(role=Role.OBSERVE, msg_id=None))
    return trace


def test_exchanges_are_numbered_in_order_of_arrival(trace):
    assert [each.id for each in trace] == [1, 2, 3]
    assert trace[2].detail == "late"
    with pytest.raises(KeyError):
        trace[4]


def test_exchanges_can_be_renumbered_in_another_order(trace):
    assert trace.number([3, 1, 2]) == {3: 1, 1: 2, 2: 3}
    assert [each.id for each in trace] == [1, 2, 3]
    assert trace[1].role is Role.OBSERVE


def masked(*, own=KEY, **changed):
    trace = Trace([exchange(**changed)])
    trace.mask(mask_of(own, KEY))
    return trace[1]


def test_a_secret_in_an_answer_is_masked():
    result = masked(answer=Answer(200, ((b"X-Debug", KEY),), b"the k3y-k3y"))
    assert result.answer == Answer(200, ((b"X-Debug", b"(secret)"),), b"the (secret)")
    assert result.masked == {Masked.SECRET}


def test_a_secret_in_a_compressed_answer_is_masked():
    headers = ((b"Content-Encoding", b"gzip"),)
    result = masked(answer=Answer(200, headers, gzip.compress(b"the k3y-k3y")))
    assert result.answer.body == b"(secret)"
    assert result.masked == {Masked.SECRET}


def test_another_secret_is_masked_but_does_not_count_as_the_targets():
    result = masked(own=b"", answer=Answer(200, (), KEY))
    assert result.answer.body == b"(secret)"
    assert result.masked == {Masked.CREDENTIAL}


def test_an_exchange_without_a_secret_is_unchanged():
    assert masked() == exchange()


def test_secrets_that_overlap_are_masked_as_one():
    trace = Trace([exchange(answer=Answer(200, (), b"<k3y-k3y-longer>"))])
    trace.mask(mask_of(KEY, b"k3y-k3y-longer", b"longer>"))
    assert trace[1].answer.body == b"<(secret)"


@pytest.mark.parametrize("role", [Role.API, Role.EMIT, Role.ATTEMPT, Role.ELSEWHERE])
def test_requests_to_and_from_a_sender_are_masked_too(role):
    request = Request("POST", "http://a/Config?key=k3y-k3y", ((b"X-Key", KEY),), b"k3y-k3y")
    result = masked(role=role, request=request)
    assert result.request == Request("POST", "http://a/Config?key=(secret)",
                                    ((b"X-Key", b"(secret)"),), b"(secret)")  # fmt: skip


def test_of_a_request_that_the_suite_composed_only_the_body_is_masked():
    request = Request("POST", "http://a/456", ((b"X-456", b"456"),), b'{"msgId":"123456"}')
    trace = Trace([exchange(request=request, msg_id="123456", answer=None)])
    trace.mask(mask_of(b"456"))
    assert trace[1].request == replace(request, body=b'{"msgId":"123(secret)"}')
    assert trace[1].msg_id == "123456"
    assert trace[1].masked == {Masked.CREDENTIAL}


def test_the_users_url_is_not_masked():
    request = Request("GET", "http://hook/v1/hook/List?id=hook", (), b"")
    assert masked(own=b"hook", role=Role.API, request=request).request.url == (
        "http://hook/v1/hook/List?id=(secret)"
    )
    assert masked(own=b"hook", role=Role.ATTEMPT, request=request).request.url == (
        "http://hook/v1/(secret)/List?id=(secret)"
    )


def test_what_was_learnt_from_answers_is_masked():
    trace = Trace()
    inferred = [["body", "OK k3y-k3y", ["str", "DUP k3y-k3y"]]]
    profile = {"inferred": inferred, "blind": None, "url": "http://k3y-k3y"}
    trace.run = {"profile": profile, "side": "receiver", "seconds": 1.5}
    trace.mask(mask_of(KEY))
    masked = [["body", "OK (secret)", ["str", "DUP (secret)"]]]
    assert trace.run == {
        "profile": profile | {"inferred": masked},
        "side": "receiver",
        "seconds": 1.5,
    }


def test_a_trace_has_a_notebook_display(trace):
    page = trace_display(trace)
    assert "3 exchanges" in page
    assert "timeout: 1" in page
    assert repr(trace) == "<Trace of 3 exchanges>"


def test_the_display_of_an_exchange_is_escaped():
    evil = Answer(200, ((b"X-A", b"<script>"),), b"</pre><script>alert(1)</script>\x1b[2J")
    page = exchange_display(exchange(answer=evil, detail="<b>", fault=Fault.CLOSED))
    assert "<script" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_links_follow_the_new_numbers():
    trace = Trace(
        [exchange(id=1, leg=Leg.SENDER, link=2), exchange(id=2, leg=Leg.RECEIVER, link=1)]
    )
    trace.number([2, 1])
    assert [(each.id, each.leg, each.link) for each in trace] == [
        (1, Leg.RECEIVER, 2),
        (2, Leg.SENDER, 1),
    ]
