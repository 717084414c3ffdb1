"""Which exchanges the filters of a trace match."""

import pytest

from conformance.model.errors import InputError
from conformance.model.exchange import Answer, Fault
from conformance.trace import StoredTrace, TraceFilter
from tests.trace.parts import attempt, exchange

SENT = [
    exchange(id=1, rule="receiver.accepts.documented-type", case="43", msg_id="1", ended=1.6),
    exchange(id=2, rule="receiver.accepts.documented-type", case="47", msg_id="2"),
    exchange(id=3, rule="receiver.body.empty", msg_id="3", answer=Answer(404, (), b""), ended=2.5),
    exchange(id=4, rule="receiver.body.empty", msg_id="4", answer=None, fault=Fault.TIMEOUT),
    exchange(id=5, rule="sender.a[b]", msg_id="1", answer=Answer(200, (), b""), fault=Fault.CLOSED),
    attempt(6, msg_id="6", status=503, seconds=3.0),
]


@pytest.mark.parametrize(
    ("trace_filter", "ids"),
    [
        pytest.param(TraceFilter(), [1, 2, 3, 4, 5, 6], id="everything"),
        pytest.param(TraceFilter(rule="receiver.accepts.*"), [1, 2], id="a glob"),
        pytest.param(TraceFilter(rule="receiver.accepts.documented-type[43]"), [1], id="one case"),
        pytest.param(TraceFilter(rule="receiver.[!a]*"), [3, 4], id="a glob that excludes"),
        pytest.param(TraceFilter(rule="receiver.body"), [], id="no glob"),
        pytest.param(TraceFilter(msg_id="1"), [1, 5], id="a message"),
        pytest.param(TraceFilter(statuses=["404"]), [3], id="a status"),
        pytest.param(TraceFilter(statuses=["200"]), [1, 2], id="half an answer has no status"),
        pytest.param(TraceFilter(statuses=["4xx", "5xx"]), [3, 6], id="classes of statuses"),
        pytest.param(TraceFilter(statuses=["none"]), [4, 5], id="no whole answer"),
        pytest.param(TraceFilter(slow=0.4), [2, 3, 4, 5, 6], id="slow"),
        pytest.param(TraceFilter(slow=0.4, statuses=["200"], msg_id="2"), [2], id="all at once"),
    ],
)
def test_a_filter_selects_the_matching_exchanges(trace_filter, ids):
    with StoredTrace.of(SENT, None, {}, ()) as stored:
        assert [each.id for each in stored.find(trace_filter)] == ids
        assert stored.count(trace_filter) == len(ids)


def test_slow_exchanges_are_listed_slowest_first():
    with StoredTrace.of(SENT, None, {}, ()) as stored:
        ids = [each.id for each, _ in stored.find_with_attempts(TraceFilter(slow=0.4), 2)]
    assert ids == [6, 3]


@pytest.mark.parametrize("word", ["abc", "20", "0xx", "2xxx", "1; DROP TABLE exchanges"])
def test_a_word_that_is_not_a_status_is_reported(word):
    with pytest.raises(InputError, match="--status"):
        TraceFilter(statuses=[word])
