"""The suite proves its own power: each rule catches a faulty peer, and none accuses a correct one."""

import asyncio
import io
import re
import socket
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import cache
from urllib.parse import urlsplit

import pytest
from rich.console import Console

from conformance.errors import HarnessError, InputError
from conformance.gallery import matrix
from conformance.gallery.matrix import LOOKED_AT_AGAIN, PEERS, Matrix, Row, chosen, run_matrix
from conformance.gallery.process import PAIRS, Pair, pair
from conformance.render.matrix import show
from conformance.rules import Level
from conformance.scenario import built_in

BINDING = {each.rule.id for each in built_in("receiver") if each.rule.level is not Level.MAY}


@cache
def judged(side, names):
    """The rows of the matrix, by peer."""
    return {row.peer: row for row in asyncio.run(run_matrix(names)).rows}


@pytest.fixture
def row(request, peer):
    """The row of one peer; all that tests were selected for are run at once, side by side."""
    here = [each for each in request.session.items if each.path == request.path]
    items = [each for each in here if "row" in each.fixturenames and "peer" in each.callspec.params]
    peers = {item.callspec.params["peer"] for item in items}
    names = tuple(sorted(each.name for each in peers if each.side == peer.side))
    return judged(peer.side, names)[peer.name]


@pytest.mark.parametrize("peer", [pytest.param(peer, id=peer.name) for peer in PEERS])
def test_the_suite_says_of_each_peer_what_it_must(row):
    if row.skipped is not None:
        pytest.skip(row.skipped)
    if row.before:
        warnings.warn(f"{row.peer} was judged by a second look: {row.before}", stacklevel=1)
    assert row.missed == (), row.said
    assert row.accused == (), row.said
    assert row.holds, row.errors


@pytest.mark.parametrize("rule", sorted(BINDING))
def test_every_binding_rule_has_a_peer_that_it_must_catch(rule):
    assert [peer.name for peer in PEERS if rule in peer.caught_by]


def test_peers_name_rules_of_the_catalogue():
    known = {each.rule.id for side in ("receiver", "sender") for each in built_in(side)}
    named = {rule.partition("[")[0] for peer in PEERS for rule in peer.caught_by}
    assert named <= known


def test_names_are_unique():
    names = [peer.name for peer in PEERS]
    assert sorted(set(names)) == sorted(names)


def test_a_faulty_peer_says_what_it_does_and_who_must_catch_it():
    assert all(bool(peer.fault) == bool(peer.caught_by) for peer in PEERS)


def test_the_gallery_has_correct_peers_in_several_stacks():
    correct = {peer.name for peer in PEERS if peer.fault is None}
    stacks = {"python-stdlib", "python-flask", "node-http", "node-express"}
    senders = {"reference-sender", "python-stdlib-threads", "kept-in-a-file"}
    assert correct == {"reference", "two-processes"} | stacks | senders


def test_globs_choose_peers_in_the_order_of_the_gallery():
    names = [peer.name for peer in chosen(["answers-20[14]", "reference"])]
    assert names == ["reference", "answers-201", "answers-204"]


def test_a_glob_that_fits_no_peer_is_an_input_error_that_names_the_nearest():
    with pytest.raises(InputError, match=r"'refrence'; did you mean reference\?"):
        asyncio.run(run_matrix(["refrence"]))


@pytest.mark.parametrize(
    ("row", "holds"),
    [
        pytest.param(Row("p", "f", caught=("r",)), True, id="caught"),
        pytest.param(Row("p", None), True, id="correct"),
        pytest.param(Row("p", "f", missed=("r",)), False, id="missed"),
        pytest.param(Row("p", "f", caught=("r",), accused=("s",)), False, id="accused"),
        pytest.param(Row("p", "f", caught=("r",), errors=("e",)), False, id="not judged"),
        pytest.param(
            Row("p", "f", caught=("receiver.http.alive",), errors=("e",)), True, id="dead"
        ),
    ],
)
def test_a_row_holds_when_the_suite_said_what_it_must(row, holds):
    assert row.holds is holds


def looks(monkeypatch, *rows):
    """Has the gallery's first peers judged as `rows` say, one after the other; who was looked at."""
    left, looked_at = list(rows), []

    async def judge(peer):
        looked_at.append(peer.name)
        return left.pop(0)

    monkeypatch.setattr(matrix, "_judge", judge)
    return looked_at


async def test_a_peer_that_comes_out_wrong_beside_others_is_looked_at_by_itself(monkeypatch):
    wrong = Row("answers-201", "f", missed=("r",), said=("r: pass",), seconds=2)
    right = Row("answers-201", "f", caught=("r",), seconds=1)
    looked_at = looks(monkeypatch, Row("reference", None), wrong, right)
    seen = (await run_matrix(["reference", "answers-201"])).rows
    assert looked_at == ["reference", "answers-201", "answers-201"]
    assert seen == (Row("reference", None), replace(right, before=("r: pass",), seconds=3))


async def test_what_is_wrong_at_a_second_look_is_wrong(monkeypatch):
    wrong = Row("reference", None, accused=("r",), said=("r: fail",))
    looks(monkeypatch, wrong, wrong)
    assert not (await run_matrix(["reference"])).holds


async def test_where_many_peers_come_out_wrong_nothing_is_looked_at_again(monkeypatch):
    peers = [each.name for each in PEERS if each.side == "receiver"][: LOOKED_AT_AGAIN + 1]
    looked_at = looks(monkeypatch, *(Row(name, "f", missed=("r",)) for name in peers))
    assert not (await run_matrix(peers)).holds
    assert len(looked_at) == len(peers)


def test_a_matrix_of_which_nothing_was_run_does_not_hold():
    assert not Matrix((Row("p", None, skipped="needs node"),), 0.0).holds


BROKEN = Matrix(
    (
        Row("reference", None, accused=("receiver.http.method",)),
        Row("deaf", "hears nothing", caught=("r.a",), missed=("r.b",), errors=("r.c: dead\x1b",)),
        Row("sound", "does one thing", caught=("r.a",), before=("r.a: pass",)),
        Row("node-http", None, skipped="needs node"),
    ),
    61.2,
)


def shown(language):
    out = io.StringIO()
    show(BROKEN, language, Console(file=out, width=40))
    return re.sub(" +", " ", out.getvalue()).splitlines()


def test_the_matrix_is_shown_with_a_line_for_each_peer():
    assert shown("en") == [
        "FAIL reference - a correct receiver accused: receiver.http.method",
        r"FAIL deaf 1/2 hears nothing missed: r.b could not judge: r.c: dead\x1b",
        "ok sound 1/1 does one thing at a second look; before: r.a: pass",
        "skip node-http - a correct receiver (needs node)",
        "caught 2 of 3, missed 1, accused 1 (4 peers, 1 skipped, 61 s)",
    ]


def test_the_matrix_speaks_chinese():
    assert shown("zh-Hant")[-1] == "應抓 3，抓到 2，漏掉 1，誤判 1（4 個對象，略過 1 個，61 秒）"


def connected(url):
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


async def test_processes_end_with_their_run():
    async with pair(PAIRS[0]) as options:
        connected(options.url).close()
    with pytest.raises(ConnectionRefusedError):
        connected(options.url)


async def test_a_peer_that_does_not_come_to_serve_is_told_of():
    with pytest.raises(HarnessError, match=r"program unknown .* did not come to serve"):
        async with pair(Pair("unknown")):
            pass


KILLED = """
import asyncio
from conformance.gallery.process import PAIRS, pair

async def main():
    async with pair(PAIRS[0]) as options:
        print(options.url, options.also_url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_processes_do_not_outlive_a_run_that_is_killed():
    run = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    connections = [connected(url) for url in run.stdout.readline().split()]
    run.kill()
    run.communicate()
    assert [connection.recv(1) for connection in connections] == [b"", b""]
