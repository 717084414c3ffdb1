"""The trace file: SQLite returns what was on the wire, and no other file is overwritten."""

import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

from conformance.checks.messages import by_message
from conformance.model.errors import InputError
from conformance.model.exchange import Fault, Role
from conformance.trace import StoredTrace, Trace, check_place
from conformance.trace.store import write
from conformance.trace.tables import APPLICATION_ID, VERSION
from tests.places import ROOT
from tests.trace.parts import BYTES, attempt, exchange, exchanges


@pytest.fixture
def trace():
    return Trace([exchange(id=number) for number in range(1, 4)])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


@given(each=exchanges)
@settings(max_examples=200, deadline=None)
def test_an_exchange_is_read_back_unchanged(each):
    with StoredTrace.of([each], None, {}, ()) as stored:
        assert list(stored) == [each]


def test_a_lone_surrogate_is_escaped():
    odd = "\ud83d"
    with StoredTrace.of([exchange(msg_id=odd, detail=odd)], None, {}, ()) as stored:
        assert stored[1].msg_id == stored[1].detail == "\\ud83d"


def test_any_sqlite_tool_reads_the_file(trace, path):
    trace.save(path)
    query = "SELECT msg_id, status, request_body FROM whole WHERE id = 2"
    if shutil.which("sqlite3") is not None:
        ran = subprocess.run(
            ["sqlite3", path, query.replace("request_body", "hex(request_body)")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.strip() == f"7|200|{BYTES.hex().upper()}"
    with sqlite3.connect(path) as store:
        assert store.execute(query).fetchone() == ("7", 200, BYTES)
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_attempts_are_counted_by_endpoint_and_message():
    url = exchange().request.url
    sent = [
        exchange(id=1),
        exchange(id=2, msg_id="8"),
        exchange(id=3),
        exchange(id=4, role=Role.OBSERVE),
        exchange(id=5, request=exchange().request.__class__("POST", url + "?a=1", (), b"")),
        exchange(id=6, request=exchange().request.__class__("POST", "http://other/", (), b"")),
    ]
    with StoredTrace.of(sent, None, {}, ()) as stored:
        counted = [row[0] for row in stored.rows(columns=["attempt"])]
    assert counted == [1, 1, 2, None, 3, 1]


def test_a_trace_replaces_a_trace(trace, path):
    trace.save(path)
    trace.add(exchange())
    trace.save(path)
    with Trace.open(path) as stored:
        assert len(stored) == 4


def test_nothing_is_left_beside_the_file(trace, path):
    trace.save(path)
    assert [each.name for each in path.parent.iterdir()] == ["run.db"]


def test_a_link_stays_a_link(trace, path):
    there = path.with_name("elsewhere.db")
    path.symlink_to(there)
    trace.save(path)
    assert path.is_symlink()
    with Trace.open(there) as stored:
        assert len(stored) == 3


def foreign(path):
    with sqlite3.connect(path) as store:
        store.execute("CREATE TABLE thesis (page)")


def newer(path):
    Trace([exchange()]).save(path)
    with sqlite3.connect(path) as store:
        store.execute(f"PRAGMA user_version = {VERSION + 1}")


def older(path):
    Trace([exchange()]).save(path)
    with sqlite3.connect(path) as store:
        store.execute("PRAGMA user_version = 1")


def cut(path):
    Trace([exchange(id=number) for number in range(1, 100)]).save(path)
    path.write_bytes(path.read_bytes()[:-8192])


def garbled(path):
    Trace([exchange(id=number) for number in range(1, 100)]).save(path)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


def beheaded(path):
    with sqlite3.connect(path) as store:
        store.execute(f"PRAGMA user_version = {VERSION}")
        store.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        store.execute("CREATE TABLE exchanges (id)")


def reworded(path):
    Trace([exchange()]).save(path)
    with sqlite3.connect(path) as store:
        store.execute("UPDATE exchanges SET role = 'bystander'")


def read_all(path):
    with Trace.open(path) as stored:
        list(stored)
        stored.summary()


UNREADABLE = [
    pytest.param(lambda path: None, "cannot be read: No such file", id="missing"),
    pytest.param(lambda path: path.mkdir(), "cannot be read: Is a directory", id="a folder"),
    pytest.param(lambda path: path.touch(), "is not a trace", id="empty"),
    pytest.param(lambda path: path.write_text("my thesis"), "is not a trace", id="text"),
    pytest.param(lambda path: path.write_bytes(b"SQLite format 3\0" + b"\0" * 84),
                 "another program", id="a bare head"),
    pytest.param(foreign, "another program", id="another program's"),
    pytest.param(newer, "newer Hookproof .*pip install --upgrade", id="of a newer version"),
    pytest.param(older, "older Hookproof", id="of an older version"),
    pytest.param(cut, r"damaged: it has .* bytes of ", id="cut short"),
    pytest.param(garbled, "damaged", id="garbled"),
    pytest.param(beheaded, "damaged: it has no contents", id="without its tables"),
    pytest.param(reworded, "damaged: 'bystander' is not a valid Role", id="an unknown word"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), UNREADABLE)
def test_a_file_that_is_not_a_whole_trace_is_reported_in_one_line(path, make, message):
    make(path)
    with pytest.raises(InputError, match=message) as raised:
        read_all(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.write_text("my thesis"), id="text"),
        pytest.param(foreign, id="another program's"),
        pytest.param(newer, id="of a newer version"),
        pytest.param(cut, id="cut short"),
    ],
)
def test_a_file_that_is_not_a_whole_trace_is_never_overwritten(trace, path, make):
    make(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="choose another name"):
        check_place(path)
    with pytest.raises(InputError, match="choose another name"):
        trace.save(path)
    assert path.read_bytes() == before


def test_a_trace_cannot_be_saved_to_a_device(trace):
    with pytest.raises(InputError, match="not a regular file"):
        trace.save(Path("/dev/null"))
    assert not Path("/dev/null").is_file()


def test_an_interrupted_run_leaves_the_earlier_trace(trace, path):
    trace.save(path)
    before = path.read_bytes()

    def breaking():
        yield exchange()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, breaking())
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["run.db"]


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.trace.parts import exchange
from conformance.model.errors import InputError
from conformance.trace import Trace

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
try:
    Trace([exchange(id=number) for number in range(1, 2000)]).save(Path({path!r}))
except InputError as fault:
    print(fault)
"""


@pytest.mark.parametrize("room", [0, 4096, 100_000, 400_000])
def test_a_full_disk_is_reported_in_one_line_and_leaves_the_earlier_trace(trace, path, room):
    # The system refuses to write more, as it does when a disk is full.
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] in (resource.RLIM_INFINITY, -1)
    trace.save(path)
    before = path.read_bytes()
    code = FULL.format(root=str(ROOT), room=room, path=str(path))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot be written" in ran.stdout
    assert len(ran.stdout.splitlines()) == 1
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["run.db"]


def test_a_fault_that_is_discovered_late_is_reported_in_one_line(path):
    """The header is intact, and so are the first exchanges."""
    Trace([exchange(id=number) for number in range(1, 200)]).save(path)
    with sqlite3.connect(path) as store:
        store.execute("UPDATE contents SET request_headers = '[1' WHERE id = 150")
    with Trace.open(path) as stored:
        reader = iter(stored)
        assert next(reader).id == 1
        with pytest.raises(InputError, match="damaged"):
            list(reader)


def test_a_closed_trace_is_not_called_damaged(trace, path):
    trace.save(path)
    stored = Trace.open(path)
    stored.close()
    with pytest.raises(sqlite3.ProgrammingError):
        len(stored)


def test_the_summary_counts_the_replies():
    sent = [
        exchange(id=1, ended=1.6),
        exchange(id=2, ended=9.5),
        exchange(id=3, answer=None, fault=Fault.TIMEOUT),
        exchange(id=4, role=Role.OBSERVE, ended=99.0),
    ]
    with StoredTrace.of(sent, None, {}, ()) as stored:
        summary = stored.summary()
    assert (summary.exchanges, summary.messages) == (4, 1)
    assert summary.replies == {"observe": {"200": 1}, "probe": {"200": 2, "timeout": 1}}
    assert summary.times == pytest.approx((8.0, 8.0, 8.0, 8.0))
    assert summary.slowest == 2


def test_messages_are_read_one_at_a_time_as_they_are_from_memory():
    sent = [attempt(number, str(number % 7)) for number in range(1, 30)]
    sent += [exchange(id=30, role=Role.API, msg_id=None), attempt(31, None)]
    with StoredTrace.of(sent, None, {}, ()) as stored:
        groups = list(stored.messages())
    assert sorted(groups, key=str) == sorted(by_message(sent), key=str)
