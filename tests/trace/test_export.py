"""Exports of a trace for other tools: JSON Lines, HAR, Parquet, another trace."""

import base64
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from jsonschema.validators import validator_for
from referencing import Registry, Resource

from conformance.model.errors import InputError
from conformance.model.exchange import Answer, Fault, Request, Role, Transport
from conformance.protocol.validation import problems, validator
from conformance.trace import StoredTrace, Trace, TraceFilter
from conformance.trace.export import as_json, export
from conformance.trace.har import entry, har
from tests.places import ROOT, TESTS
from tests.trace.parts import BYTES, attempt, exchange, exchanges

HAR = TESTS / "har"
"""Third-party JSON Schemas of the format (see the licence beside them)."""


@pytest.fixture
def stored():
    trace = Trace(
        [
            exchange(id=1),
            exchange(id=2, answer=None, fault=Fault.TIMEOUT, detail="late"),
            exchange(id=3, request=Request("POST", "http://a/?q=1", (), "文".encode())),
        ]
    )
    trace.run = {"epoch": 1_700_000_000.0}
    with trace.stored() as opened:
        yield opened


def har_validator():
    parts = [json.loads(path.read_text()) for path in sorted(HAR.glob("*.json"))]
    resources = [Resource.from_contents(part) for part in parts]
    registry = Registry().with_resources(
        [(part["$id"].rstrip("#"), each) for part, each in zip(parts, resources, strict=True)]
    )
    (whole,) = (part for part in parts if part["$id"].startswith("har.json"))
    kind = validator_for(whole)
    return kind(whole, registry=registry, format_checker=kind.FORMAT_CHECKER)


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_line_fits_the_schema(stored, tmp_path):
    assert export(stored, "jsonl", tmp_path / "run.jsonl", TraceFilter()) == 3
    lines = read(tmp_path / "run.jsonl")
    for line in lines:
        assert problems("trace", line) == []
    assert lines[0]["time"] == "2023-11-14T22:13:21+00:00"


def test_a_body_is_exported_as_text_if_it_is_text(stored, tmp_path):
    export(stored, "jsonl", tmp_path / "run.jsonl", TraceFilter())
    binary, _, text = read(tmp_path / "run.jsonl")
    assert base64.b64decode(binary["request_body"]) == BYTES
    assert binary["request_body_encoding"] == "base64"
    assert text["request_body"] == "文"
    assert "request_body_encoding" not in text


@given(each=exchanges)
@settings(max_examples=100, deadline=None)
def test_any_exchange_fits_the_schema(each):
    assert problems("trace", json.loads(json.dumps(as_json(each, 0.0)))) == []


def test_the_schema_knows_every_word():
    properties = validator("trace").schema["properties"]
    assert set(properties["transport"]["enum"]) == set(Transport)
    assert set(properties["role"]["enum"]) == set(Role)
    assert set(properties["fault"]["enum"]) == {None, *Fault}


def test_an_archive_fits_a_third_party_schema(stored, tmp_path):
    export(stored, "har", tmp_path / "run.har", TraceFilter())
    archive = json.loads((tmp_path / "run.har").read_text(encoding="utf-8"))
    assert list(har_validator().iter_errors(archive)) == []
    assert len(archive["log"]["entries"]) == 3


def test_the_third_party_schema_can_refuse():
    broken = json.loads("".join(har([exchange()], 0.0)))
    del broken["log"]["entries"][0]["response"]["status"]
    assert [each.message for each in har_validator().iter_errors(broken)] == [
        "'status' is a required property"
    ]


@given(each=exchanges)
@settings(max_examples=100, deadline=None)
def test_any_exchange_fits_an_archive(each):
    written = "".join(har([each, each], 1_700_000_000.0))
    assert list(har_validator().iter_errors(json.loads(written))) == []


def test_an_archive_of_nothing_is_an_archive():
    assert list(har_validator().iter_errors(json.loads("".join(har([], 0.0))))) == []


def test_an_entry_holds_what_was_on_the_wire():
    sent = exchange(
        request=Request("POST", "http://a/b?q=1&r=", ((b"Content-Type", b"text/x"),), b"hi"),
        answer=Answer(302, ((b"Location", b"/c"), (b"content-type", b"text/html")), b"\xff"),
        peer="127.0.0.1",
    )
    fields = entry(sent, 1_700_000_000.0)
    assert fields["startedDateTime"] == "2023-11-14T22:13:21.000000+00:00"
    assert (fields["time"], fields["timings"]) == (1000, {"send": 500, "wait": 500, "receive": 0})
    assert fields["request"]["queryString"] == [
        {"name": "q", "value": "1"},
        {"name": "r", "value": ""},
    ]
    assert fields["request"]["postData"] == {"mimeType": "text/x", "text": "hi"}
    assert fields["response"]["redirectURL"] == "/c"
    assert fields["response"]["content"]["encoding"] == "base64"
    assert fields["serverIPAddress"] == "127.0.0.1"
    assert fields["comment"] == "probe receiver.body.empty"


def test_an_exchange_without_an_answer_has_status_0():
    fields = entry(attempt(1, status=None, peer="10.0.0.1"), 0.0)
    assert fields["response"]["status"] == 0
    assert fields["_error"] == "timeout"
    assert "serverIPAddress" not in fields


def test_parquet_holds_the_same_as_the_frame(stored, tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = tmp_path / "run.parquet"
    export(stored, "parquet", path, TraceFilter())
    table = pd.read_parquet(path)
    frame = stored.frame(bodies=True)
    assert list(table.columns) == list(frame.columns)
    assert table["request_body"].to_list() == frame["request_body"].to_list()
    assert table["status"].fillna(0).to_list() == [200, 0, 200]


def test_a_trace_is_copied(stored, tmp_path):
    export(stored, "trace", tmp_path / "again.db", TraceFilter())
    with Trace.open(tmp_path / "again.db") as copy:
        assert list(copy) == list(stored)
        assert copy.run == stored.run


def test_a_part_of_a_trace_cannot_be_exported_as_a_trace(stored, tmp_path):
    with pytest.raises(InputError, match="leave out the filters"):
        export(stored, "trace", tmp_path / "again.db", TraceFilter(msg_id="7"))


@pytest.mark.parametrize("kind", ["jsonl", "har", "parquet"])
def test_only_matching_exchanges_are_exported(stored, tmp_path, kind):
    assert export(stored, kind, tmp_path / "some", TraceFilter(statuses=["none"])) == 1


@pytest.mark.parametrize("kind", ["jsonl", "har", "parquet", "trace"])
def test_an_existing_file_is_left_as_it_is(stored, tmp_path, kind):
    place = tmp_path / "thesis"
    place.write_text("my thesis")
    with pytest.raises(InputError, match="choose another name"):
        export(stored, kind, place, TraceFilter())
    assert place.read_text() == "my thesis"


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.trace.parts import exchange
from conformance.model.errors import InputError
from conformance.trace import StoredTrace, TraceFilter
from conformance.trace.export import export

with StoredTrace.of((exchange(id=number) for number in range(1, 3000)), None, {{}}, ()) as stored:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
    try:
        export(stored, {kind!r}, Path({path!r}), TraceFilter())
    except InputError as fault:
        print(fault)
"""


@pytest.mark.parametrize(
    ("kind", "room"), [("jsonl", 50_000), ("har", 50_000), ("parquet", 2_000), ("trace", 50_000)]
)
def test_a_full_disk_is_reported_in_one_line_and_leaves_nothing(tmp_path, kind, room):
    path = tmp_path / "run.out"
    code = FULL.format(root=str(ROOT), kind=kind, room=room, path=str(path))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot be written" in ran.stdout, ran.stderr
    assert len(ran.stdout.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named(stored, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("conformance.trace.frames", "pyarrow.parquet"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(InputError, match="needs pyarrow"):
        export(stored, "parquet", tmp_path / "run.parquet", TraceFilter())
    assert list(tmp_path.iterdir()) == []


def test_a_stored_trace_is_exported_lazily():
    def endless():
        for number in range(1, 10**6):
            if number > 5000:
                raise AssertionError("read to the end")
            yield exchange(id=number)

    pieces = har(endless(), 0.0)
    assert next(pieces).startswith('{"log"')
    assert "request" in next(pieces)


def test_a_copy_is_independent_of_its_source(tmp_path):
    Trace([exchange()]).save(tmp_path / "run.db")
    with StoredTrace.open(tmp_path / "run.db") as opened, opened.redacted() as copy:
        assert len(copy) == len(opened) == 1
