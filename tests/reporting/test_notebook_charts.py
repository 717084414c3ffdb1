"""The charts of notebooks: what is drawn is what the trace holds, and it can be drawn."""

import json

import pytest

from conformance.model.exchange import Fault, Role
from conformance.model.result import Result
from conformance.model.rules import Level, Outcome, Rule
from conformance.model.text import Text
from conformance.protocol.delivery import Backoff
from conformance.trace import Trace
from tests.trace.parts import attempt, exchange

pytest.importorskip("altair")
from conformance import charts

WAITS = Backoff(base=1.0, jitter=0.0)


def retried(msg_id, statuses, begin=0.0):
    """The attempts of one message, with exponential waits of 1, 2, 4… seconds."""
    sent, at = [], begin
    for number, status in enumerate(statuses, 1):
        sent.append(attempt(0, msg_id, status, at, seconds=0.5))
        at += 0.5 + WAITS.wait(number, 0.5)
    return sent


def trace(*exchanges, results=()):
    made = Trace()
    for each in exchanges:
        made.add(each)
    made.results = tuple(results)
    return made


def drawn(chart):
    """The chart as data, and the rows of each layer or panel in turn."""
    data = chart.to_dict()
    sets = data["datasets"]

    def rows(part):
        return sets[part["data"]["name"]] if "data" in part else []

    parts = data.get("layer") or data.get("vconcat") or [data]
    return data, [rows(part) or rows(data) for part in parts]


def drawable(chart):
    """The chart as SVG, by the engine that notebooks use."""
    engine = pytest.importorskip("vl_convert")
    return engine.vegalite_to_svg(chart.to_dict())


def test_attempts_are_drawn_with_the_band_that_they_should_fall_into():
    sent = retried("7", [500, 500, None, 200]) + retried("8", [200], begin=9.0)
    chart = charts.attempts_over_time(trace(*sent))
    _, (bands, _, _, points) = drawn(chart)
    assert [point["seconds"] for point in points if point["message"] == "7"] == [0.0, 1.5, 4.0, 8.5]
    assert [point["answer"] for point in points if point["message"] == "7"] == [
        "refused",
        "refused",
        "no answer",
        "accepted",
    ]
    assert [band["attempt"] for band in bands] == [2, 3, 4]
    for band, point in zip(bands, points[1:], strict=False):
        assert band["seconds"] < point["seconds"] < band["until"]
    assert "seconds since the first attempt" in drawable(chart)


def test_a_band_may_be_given():
    chart = charts.attempts_over_time(trace(*retried("7", [500, 200])), Backoff(base=3, jitter=0))
    _, (bands, *_) = drawn(chart)
    assert [(band["seconds"], band["until"]) for band in bands] == [(3.5, 3.5)]


def test_the_messages_with_the_most_attempts_are_drawn():
    sent = [each for number in range(50) for each in retried(str(number), [200], number)]
    sent += retried("the one", [500, 200], 99.0)
    _, (*_, points) = drawn(charts.attempts_over_time(trace(*sent), messages=5))
    assert len({point["message"] for point in points}) == 5
    assert "the one" in {point["message"] for point in points}


def test_answer_times_are_drawn_with_the_deadline():
    sent = [exchange(sent=1.0, ended=1.0 + seconds) for seconds in (0.01, 0.01, 2.0, 6.0)]
    sent.append(exchange(role=Role.OBSERVE, ended=99.0))
    sent.append(exchange(answer=None, fault=Fault.GIVEN_UP, ended=99.0))
    chart = charts.answer_times(trace(*sent))
    data, (bars, line, _) = drawn(chart)
    assert sum(bar["answers"] for bar in bars) == 4
    assert line == [{"seconds": 5.0, "label": "deadline 5 s"}]
    assert data["title"] == "4 deliveries, 1 of them longer than the deadline"
    assert "deadline 5 s" in drawable(chart)


def test_bars_stand_upon_each_other():
    ways = [{}, {}, {"answer": None, "fault": Fault.CLOSED}]
    sent = [exchange(sent=1.0, ended=1.01, **changed) for changed in ways]
    _, (bars, *_) = drawn(charts.answer_times(trace(*sent)))
    assert [(bar["answer"], bar["below"], bar["above"]) for bar in bars] == [
        ("accepted", 0, 2),
        ("no answer", 2, 3),
    ]


def test_the_deadline_is_that_of_the_run_unless_it_is_given():
    made = trace(exchange())
    made.run = {"epoch": 0.0, "profile": {"deadline": 3.0, "accepted": [200]}}
    assert drawn(charts.answer_times(made))[1][1][0]["seconds"] == 3.0
    assert drawn(charts.answer_times(made, deadline=1.5))[1][1][0]["seconds"] == 1.5


def test_rules_are_drawn_by_group_and_outcome():
    outcomes = [
        ("a.b.one", "pass"),
        ("a.b.two", "fail"),
        ("a.b.three", "pass"),
        ("a.c.one", "skip"),
    ]
    results = [
        Result(Rule(rule, Level.MUST, None, Text(""), Text(""), Text("")), None, Level.MUST,
               Outcome(outcome))
        for rule, outcome in outcomes
    ]  # fmt: skip
    chart = charts.rules_by_outcome(trace(exchange(), results=results))
    _, (rows,) = drawn(chart)
    assert {(row["group"], row["outcome"], row["cases"]) for row in rows} == {
        ("a.b", "pass", 2),
        ("a.b", "fail", 1),
        ("a.c", "skip", 1),
    }
    assert "a.b" in drawable(chart)


LOAD = {
    "load": {
        "timeline": [
            {"second": 0, "offered": 10, "right": 9, "wrong": 1, "p50": 0.01, "p99": 0.5},
            {"second": 1, "offered": 12, "right": 0, "wrong": 0, "p50": None, "p99": None},
        ]
    },
}


def test_a_load_run_is_drawn_second_by_second(tmp_path):
    path = tmp_path / "load.json"
    path.write_text(json.dumps(LOAD))
    chart = charts.load_over_time(path)
    _, (rates, times) = drawn(chart)
    assert {(row["second"], row["what"], row["value"]) for row in rates} >= {
        (0, "offered", 10),
        (0, "right", 9),
        (0, "wrong", 1),
        (1, "offered", 12),
    }
    assert [row["value"] for row in times] == [0.01, 0.5]
    assert "requests per second" in drawable(chart)
    assert charts.load_over_time(LOAD).to_dict()["datasets"] == chart.to_dict()["datasets"]


def test_a_trace_is_drawn_as_load():
    sent = [attempt(0, str(at), begin=at / 10) for at in range(20)]
    sent += [attempt(0, "x", status=500, begin=0.5)]
    _, (rates, _) = drawn(charts.load_over_time(trace(*sent)))
    seen = {(row["second"], row["what"]): row["value"] for row in rates}
    assert seen[0, "offered"] == 11
    assert seen[0, "wrong"] == 1
    assert seen[1, "right"] == 10


@pytest.mark.parametrize(
    "draw",
    [
        charts.attempts_over_time,
        charts.answer_times,
        charts.rules_by_outcome,
        charts.load_over_time,
    ],
)
def test_an_empty_trace_is_an_empty_chart(draw):
    drawable(draw(trace()))


def test_a_chart_of_a_large_trace_is_small():
    sent = [attempt(at, str(at), begin=at / 1000) for at in range(20_000)]
    made = trace(*sent)
    for draw in (charts.attempts_over_time, charts.answer_times, charts.load_over_time):
        assert len(json.dumps(draw(made).to_dict())) < 50_000
