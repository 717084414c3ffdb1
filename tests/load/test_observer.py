"""Asking the observer: everything once, what is missing again, and bad answers more than once."""

import json
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conformance.load import observer as observe
from conformance.load.ledger import ACKNOWLEDGED, FORGED, REPEATED, VALID, Ledger
from conformance.load.observer import Audit, Observer
from tests.patience import PATIENCE


@contextmanager
def observer(tell):
    """An observer whose answer about the nth asking for a msgId is `tell(msg_id, n)`: a count, or
    the whole body as bytes."""
    asked = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            msg_id = int(self.path.rpartition("=")[2])
            asked[msg_id] += 1
            told = tell(msg_id, asked[msg_id])
            body = told if isinstance(told, bytes) else json.dumps({"count": told}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Observer(f"http://127.0.0.1:{server.server_port}/processed?msgId={{msgId}}"), asked
        server.shutdown()


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(observe, "PATIENCE", PATIENCE)
    monkeypatch.setattr(observe, "PAUSE", 0.01)


def ledger(*states):
    made = Ledger(run=1, worker=0)
    for state in states:
        made.fresh(state)
    return made


GOOD, SILENT = VALID | ACKNOWLEDGED, VALID


def test_every_message_is_asked_about_once():
    made = ledger(*[GOOD] * 100, SILENT)
    with observer(lambda msg_id, n: 1) as (asking, asked):
        effects = Audit(asking, [made]).run()
    assert effects.whole
    assert (effects.lost, effects.doubled, effects.forged) == (set(), set(), set())
    assert set(asked.values()) == {1}
    assert len(asked) == 101


@pytest.mark.parametrize(
    ("state", "count", "found"),
    [
        pytest.param(GOOD, 0, "lost", id="acknowledged without effect"),
        pytest.param(GOOD, 2, "doubled", id="acknowledged, two effects"),
        pytest.param(SILENT, 2, "doubled", id="never acknowledged, two effects"),
        pytest.param(FORGED, 1, "forged", id="forged, one effect"),
        pytest.param(SILENT, 0, None, id="never acknowledged, no effect"),
        pytest.param(SILENT, 1, None, id="never acknowledged, one effect"),
        pytest.param(FORGED, 0, None, id="forged, no effect"),
    ],
)
def test_what_an_effect_means_follows_from_what_was_sent(state, count, found, monkeypatch):
    if count < 2:
        monkeypatch.setattr(observe, "PATIENCE", 0.3)  # nothing more comes
    made = ledger(state)
    with observer(lambda msg_id, n: count) as (asking, _):
        effects = Audit(asking, [made]).run()
    told = {name: getattr(effects, name) for name in ("lost", "doubled", "forged")}
    assert {name for name, ids in told.items() if ids} == ({found} if found else set())


def test_an_effect_that_comes_late_is_no_loss():
    with observer(lambda msg_id, n: int(n > 3)) as (asking, _):
        effects = Audit(asking, [ledger(GOOD, GOOD)]).run()
    assert effects.lost == set()
    assert effects.late == 2


def test_a_second_effect_that_comes_late_is_found():
    # The first message is behind at first; the second one's repeat is worked on after that.
    made = ledger(GOOD, GOOD | REPEATED)

    def tell(msg_id, n):
        return int(n > 2) if msg_id == made.msg_id(0) else n

    with observer(tell) as (asking, _):
        effects = Audit(asking, [made]).run()
    assert effects.doubled == {made.msg_id(1)}


def test_a_bad_answer_is_asked_for_again():
    with observer(lambda msg_id, n: b"busy" if n < 3 else 1) as (asking, _):
        assert Audit(asking, [ledger(GOOD)]).run().whole


@pytest.mark.parametrize("body", [b"", b"[]", b'{"count": "1"}', b'{"count": -1}', b'{"n": 1}'])
def test_an_answer_that_is_no_count_tells_nothing(body):
    with observer(lambda msg_id, n: body) as (asking, _):
        effects = Audit(asking, [ledger(GOOD)]).run()
    assert effects.unread == 1
    assert effects.lost == set()


def test_an_observer_that_tells_nothing_is_given_up():
    with observer(lambda msg_id, n: b"no") as (asking, _):
        effects = Audit(asking, [ledger(*[GOOD] * 1000)]).run()
    assert not effects.whole
    assert effects.asked < 200


def test_asking_can_be_stopped():
    with observer(lambda msg_id, n: 1) as (asking, _):
        effects = Audit(asking, [ledger(*[GOOD] * 1000)]).run(lambda asked, all_: asking.stop())
    assert 0 < effects.asked < 100
    assert not effects.whole
