"""Querying the observer: each message once, missing effects again, and bad answers again."""

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
def observer(answer):
    """An observer whose answer to the nth query for a msgId is `answer(msg_id, n)`: a count, or the
    whole body as bytes. Yields its client and the number of queries by msgId."""
    queries = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            msg_id = int(self.path.rpartition("=")[2])
            queries[msg_id] += 1
            content = answer(msg_id, queries[msg_id])
            body = (
                content if isinstance(content, bytes) else json.dumps({"count": content}).encode()
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Observer(f"http://127.0.0.1:{server.server_port}/processed?msgId={{msgId}}"), queries
        server.shutdown()


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(observe, "QUIET_PERIOD", PATIENCE)
    monkeypatch.setattr(observe, "PAUSE", 0.01)


def ledger(*states):
    made = Ledger(run=1, worker=0)
    for state in states:
        made.add_message(state)
    return made


GOOD, SILENT = VALID | ACKNOWLEDGED, VALID


def test_every_message_is_queried_once():
    made = ledger(*[GOOD] * 100, SILENT)
    with observer(lambda msg_id, n: 1) as (client, queries):
        effects = Audit(client, [made]).run()
    assert effects.complete
    assert (effects.lost, effects.doubled, effects.forged) == (set(), set(), set())
    assert set(queries.values()) == {1}
    assert len(queries) == 101


@pytest.mark.parametrize(
    ("state", "count", "category"),
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
def test_what_an_effect_means_follows_from_what_was_sent(state, count, category, monkeypatch):
    if count < 2:
        monkeypatch.setattr(observe, "QUIET_PERIOD", 0.3)  # no more effects come
    made = ledger(state)
    with observer(lambda msg_id, n: count) as (client, _):
        effects = Audit(client, [made]).run()
    categories = {name: getattr(effects, name) for name in ("lost", "doubled", "forged")}
    assert {name for name, ids in categories.items() if ids} == ({category} if category else set())


def test_a_late_effect_is_not_a_loss():
    with observer(lambda msg_id, n: int(n > 3)) as (client, _):
        effects = Audit(client, [ledger(GOOD, GOOD)]).run()
    assert effects.lost == set()
    assert effects.late == 2


def test_a_late_second_effect_is_found():
    # The first message takes effect late; the second one's repeat is processed after that.
    made = ledger(GOOD, GOOD | REPEATED)

    def answer(msg_id, n):
        return int(n > 2) if msg_id == made.msg_id(0) else n

    with observer(answer) as (client, _):
        effects = Audit(client, [made]).run()
    assert effects.doubled == {made.msg_id(1)}


def test_a_query_with_a_bad_answer_is_repeated():
    with observer(lambda msg_id, n: b"busy" if n < 3 else 1) as (client, _):
        assert Audit(client, [ledger(GOOD)]).run().complete


@pytest.mark.parametrize("body", [b"", b"[]", b'{"count": "1"}', b'{"count": -1}', b'{"n": 1}'])
def test_an_answer_without_a_count_leaves_the_message_unread(body):
    with observer(lambda msg_id, n: body) as (client, _):
        effects = Audit(client, [ledger(GOOD)]).run()
    assert effects.unread == 1
    assert effects.lost == set()


def test_an_observer_that_never_counts_is_abandoned():
    with observer(lambda msg_id, n: b"no") as (client, _):
        effects = Audit(client, [ledger(*[GOOD] * 1000)]).run()
    assert not effects.complete
    assert effects.queries < 200


def test_queries_can_be_stopped():
    with observer(lambda msg_id, n: 1) as (client, _):
        effects = Audit(client, [ledger(*[GOOD] * 1000)]).run(
            lambda queries, messages: client.stop()
        )
    assert 0 < effects.queries < 100
    assert not effects.complete
