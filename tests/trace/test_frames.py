"""Traces as pandas frames: a row for each exchange, or a row for each delivery."""

import sys

import numpy as np
import pytest

from conformance.model.errors import InputError
from conformance.model.exchange import Answer, Fault, Request, Role
from conformance.model.result import Result
from conformance.model.rules import Level, Outcome, Rule
from conformance.model.sentence import Sentence
from conformance.model.text import Text
from conformance.trace import Trace
from tests.trace.parts import attempt, exchange

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

RULE = Rule("receiver.body.empty", Level.SHOULD, None, Text(""), Text(""), Text(""))


def result(outcome, *ids, rule=RULE, case=None):
    text = Sentence("answered 200; expected 4xx")
    return Result(rule, case, Level.SHOULD, outcome, text, exchanges=ids)


@pytest.fixture
def trace():
    trace = Trace(
        [
            exchange(id=1, sent=1.25),
            exchange(id=2, answer=None, fault=Fault.TIMEOUT, rule=None, msg_id=None),
            exchange(id=3, clock=1_700_000_000.5),
        ]
    )
    trace.run = {"epoch": 1_600_000_000.0}
    trace.results = (result(Outcome.WARN, 1),)
    return trace


def test_a_frame_has_a_row_for_each_exchange(trace):
    frame = trace.frame()
    assert list(frame["id"]) == [1, 2, 3]
    assert frame["status"].to_list() == [200, pd.NA, 200]
    assert frame["seconds"].to_list() == [0.75, 0.5, 0.5]
    assert frame["fault"].to_list() == [np.nan, "timeout", np.nan]
    assert frame["request_size"].to_list() == [256, 256, 256]
    assert list(frame["superseded"]) == [False, False, False]


def test_an_integer_column_with_gaps_stays_integer(trace):
    kinds = trace.frame().dtypes.astype(str)
    assert kinds["status"] == "Int16"
    assert kinds["attempt"] == "Int32"
    assert kinds["rule"] == "category"
    assert kinds["time"] == "datetime64[us, UTC]"


def test_a_frame_has_the_time_of_each_exchange(trace):
    times = trace.frame()["time"].astype("int64").to_list()
    assert times == [1_600_000_001_000_000, 1_600_000_001_000_000, 1_700_000_000_500_000]


def test_a_bare_trace_has_no_time_of_day():
    assert Trace([exchange()]).frame()["time"].isna().all()


def test_a_frame_has_the_outcome_of_each_case_and_the_finding(trace):
    frame = trace.frame()
    assert frame["outcome"].to_list() == ["warn", np.nan, "warn"]
    text = "warn receiver.body.empty: answered 200; expected 4xx"
    assert frame["finding"].to_list() == [text, np.nan, np.nan]


def test_bodies_are_included_on_request(trace):
    assert "request_body" not in trace.frame()
    frame = trace.frame(bodies=True)
    assert frame["request_body"][0] == bytes(range(256))
    assert frame["answer_body"][1] is None


def test_an_empty_trace_makes_an_empty_frame():
    frame = Trace().frame()
    assert len(frame) == 0
    assert list(frame.columns) == list(Trace([exchange()]).frame().columns)
    assert len(Trace().attempts()) == 0


def test_a_file_and_the_memory_make_the_same_frame(trace, tmp_path):
    trace.run = None
    trace.save(tmp_path / "run.db")
    with Trace.open(tmp_path / "run.db") as stored:
        pd.testing.assert_frame_equal(stored.frame(bodies=True), trace.frame(bodies=True))


def test_a_message_that_is_sent_again_is_one_delivery():
    sent = [
        attempt(1, status=500, begin=0.0, seconds=0.5),
        attempt(2, msg_id="8", begin=0.2),
        attempt(3, status=None, begin=1.5, seconds=2.0),
        attempt(4, begin=5.5, seconds=0.25),
    ]
    table = Trace(sent).attempts()
    assert table["msg_id"].to_list() == ["7", "8"]
    first = table.iloc[0]
    assert first["attempts"] == 3
    assert first["outcome"] == "delivered"
    assert first["statuses"] == [500, None, 200]
    assert first["starts"] == [0.0, 1.5, 5.5]
    assert first["waits"] == [1.0, 2.0]
    assert first["seconds"] == 5.75
    assert table["outcome"].to_list() == ["delivered", "delivered"]


def test_half_an_answer_delivers_nothing():
    broken = attempt(1, fault=Fault.CLOSED)
    assert Trace([broken]).attempts()["outcome"].to_list() == ["failed"]


def test_two_endpoints_are_two_deliveries():
    other = Request("POST", "http://127.0.0.1:1/h/b", (), b"{}")
    table = Trace([attempt(1), attempt(2, request=other)]).attempts()
    assert table["attempts"].to_list() == [1, 1]


def test_a_query_makes_no_other_endpoint():
    other = Request("POST", "http://127.0.0.1:1/h/a?try=2", (), b"{}")
    table = Trace([attempt(1), attempt(2, begin=1.0, request=other)]).attempts()
    assert table["endpoint"].to_list() == ["http://127.0.0.1:1/h/a"]
    assert table["attempts"].to_list() == [2]


def test_a_senders_deliveries_take_precedence_over_the_suites():
    sent = [exchange(id=1, role=Role.PROBE), attempt(2, msg_id="8")]
    assert Trace(sent).attempts()["msg_id"].to_list() == ["8"]
    assert Trace(sent[:1]).attempts()["msg_id"].to_list() == ["7"]


def test_another_accepted_status_delivers():
    trace = Trace([exchange(answer=Answer(202, (), b""))])
    assert trace.attempts()["outcome"].to_list() == ["failed"]
    trace.run = {"epoch": 0.0, "profile": {"accepted": [200, 202]}}
    assert trace.attempts()["outcome"].to_list() == ["delivered"]


def test_a_missing_library_is_named(trace, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.delitem(sys.modules, "conformance.trace.frames", raising=False)
    with pytest.raises(InputError, match=r"needs pandas: pip install 'hookproof\[notebook\]'"):
        trace.frame()


def test_a_large_trace_is_read_in_little_memory(tmp_path):
    """Bodies are not read: a frame is much smaller than the file."""
    body = b"x" * 20_000
    request = exchange().request.__class__("POST", "http://127.0.0.1/", (), body)
    path = tmp_path / "run.db"
    Trace([exchange(id=number, request=request) for number in range(1, 1001)]).save(path)
    with Trace.open(path) as stored:
        size = stored.frame().memory_usage(deep=True).sum()
    assert path.stat().st_size > 20_000_000
    assert size < 500_000
