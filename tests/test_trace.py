"""The trace file: what SQLite gives back is what was on the wire, and nothing else is overwritten."""

import base64
import json
import sqlite3

import pytest

from conformance.errors import InputError
from conformance.exchange import Answer, Exchange, Fault, Request, Role, Transport
from conformance.schema import problems
from conformance.trace import Trace, check_place

BYTES = bytes(range(256))


def exchange(**changed):
    fields = {
        "id": 0,
        "role": Role.PROBE,
        "rule": "receiver.body.empty",
        "case": None,
        "step": 0,
        "msg_id": "7",
        "request": Request("POST", "http://127.0.0.1/", ((b"X-Odd", b"\xff\x00"),), BYTES),
        "signing": None,
        "answer": Answer(200, ((b"X-A", b"\xe9"),), BYTES),
        "fault": None,
        "detail": "",
        "started": 1.0,
        "sent": 1.5,
        "ended": 2.0,
    }
    return Exchange(**(fields | changed))


@pytest.fixture
def trace():
    trace = Trace()
    trace.add(exchange())
    trace.add(exchange(answer=None, fault=Fault.TIMEOUT, detail="late", rule=None))
    trace.add(exchange(role=Role.OBSERVE, msg_id=None))
    return trace


def rows(path):
    store = sqlite3.connect(path)
    store.row_factory = sqlite3.Row
    return [dict(row) for row in store.execute("SELECT * FROM exchanges ORDER BY id")]


def as_json(row):
    for name in ("request_body", "answer_body"):
        row[name] = base64.b64encode(row[name]).decode() if row[name] is not None else None
    for name in ("request_headers", "answer_headers"):
        row[name] = json.loads(row[name]) if row[name] is not None else None
    return row


def test_every_row_fits_the_schema(trace, tmp_path):
    trace.save(tmp_path / "run.db", {})
    for row in rows(tmp_path / "run.db"):
        assert problems("trace", as_json(row)) == []


def test_the_schema_knows_every_word():
    from conformance.schema import validator

    known = validator("trace").schema["properties"]
    assert set(known["transport"]["enum"]) == set(Transport)
    assert set(known["role"]["enum"]) == set(Role)
    assert set(known["fault"]["enum"]) == {None, *Fault}


def test_bytes_come_back_as_they_were(trace, tmp_path):
    trace.save(tmp_path / "run.db", {})
    row = rows(tmp_path / "run.db")[0]
    assert row["request_body"] == row["answer_body"] == BYTES
    assert json.loads(row["request_headers"]) == [["X-Odd", "\xff\x00"]]


def test_a_trace_replaces_a_trace(trace, tmp_path):
    path = tmp_path / "run.db"
    trace.save(path, {})
    trace.add(exchange())
    trace.save(path, {"target": "http://127.0.0.1/"})
    assert len(rows(path)) == 4


@pytest.mark.parametrize("content", [b"my thesis", b"SQLite format 3\x00" + b"\x00" * 84])
def test_another_file_is_never_overwritten(trace, tmp_path, content):
    path = tmp_path / "thesis.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is no trace"):
        check_place(path)
    with pytest.raises(InputError, match="is no trace"):
        trace.save(path, {})
    assert path.read_bytes() == content


def test_exchanges_are_numbered_in_a_given_order(trace):
    assert trace.number([3, 1, 2]) == {3: 1, 1: 2, 2: 3}
    assert [each.id for each in trace] == [1, 2, 3]
    assert trace.exchanges[0].role is Role.OBSERVE


def test_a_secret_in_an_answer_is_masked():
    trace = Trace()
    trace.add(exchange(answer=Answer(200, ((b"X-Debug", b"k3y-k3y"),), b"the k3y-k3y")))
    trace.mask([b"k3y-k3y"])
    assert trace.exchanges[0].answer == Answer(200, ((b"X-Debug", b"(secret)"),), b"the (secret)")
