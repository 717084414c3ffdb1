"""A request that could not be parsed is shown as bytes, wherever exchanges are shown."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from conformance.checks.sender.wire import deliveries
from conformance.model.exchange import Answer, Exchange, Masked, Request, Role, Transport
from conformance.model.language import ENGLISH
from conformance.options.secrets import mask_of
from conformance.reporting import trace_view
from conformance.reporting.html.exchange import ExchangeRenderer
from conformance.reporting.notebook.displays import exchange_display
from conformance.scenario import dialects
from conformance.trace import Trace
from conformance.trace.export import as_json
from conformance.trace.har import entry
from conformance.wire.curl import curl
from tests.trace.parts import URL, exchange

RAW = b"POST /h\nContent-Length: 5\xff\n\ns3cret"
MALFORMED = exchange(
    role=Role.MALFORMED,
    msg_id=None,
    request=Request("", URL, (), b"", Transport.RAW),
    raw=RAW,
    answer=Answer(400, (), b"Bad"),
)


@pytest.mark.parametrize(
    "show",
    [
        pytest.param(lambda each: ExchangeRenderer([each]).render(each, 4096).request, id="html"),
        pytest.param(
            lambda each: "\n".join(trace_view.exchange(each, None, (), ENGLISH)), id="terminal"
        ),
        pytest.param(exchange_display, id="notebook"),
    ],
)
def test_its_bytes_are_shown_to_people(show: Callable[[Exchange], str]) -> None:
    shown = show(MALFORMED)
    assert "POST /h" in shown
    assert "s3cret" in shown


def test_its_bytes_are_exported() -> None:
    encoded = base64.b64encode(RAW).decode()
    assert (as_json(MALFORMED, None)["raw"], as_json(MALFORMED, None)["method"]) == (encoded, "")
    request = entry(MALFORMED, 0.0)["request"]
    assert (request["postData"]["text"], request["bodySize"]) == (encoded, len(RAW))
    with Trace([MALFORMED]).stored() as stored:
        assert list(stored) == [MALFORMED]
    assert Trace([MALFORMED]).frame(bodies=True)["raw"].to_list() == [RAW]


def test_its_bytes_are_masked_and_redacted() -> None:
    trace = Trace([MALFORMED])
    trace.mask(mask_of(b"s3cret"))
    assert trace[1].raw == RAW.replace(b"s3cret", b"(secret)")
    assert trace[1].masked == {Masked.SECRET}
    (redacted,) = Trace([MALFORMED]).redacted()
    assert redacted.masked == {Masked.CONTENT}
    assert b"s3cret" not in (redacted.raw or b"")
    assert len(redacted.raw or b"") == len(RAW)


def test_it_is_no_delivery_and_curl_cannot_send_it() -> None:
    assert deliveries([MALFORMED]) == []
    assert curl(MALFORMED, dialects.load("guide")) is None
