"""The suite tests itself: each rule catches a faulty peer, and none accuses a correct one."""

import asyncio
import io
import json
import re
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from urllib.parse import urlsplit

import pytest
from rich.console import Console

from conformance.gallery import matrix
from conformance.gallery.matrix import PEERS, Matrix, Row, as_row, chosen, judge_all, run_matrix
from conformance.gallery.receivers import program
from conformance.gallery.receivers.serve import two_processes
from conformance.model.errors import HarnessError, InputError
from conformance.reporting import languages
from conformance.reporting.selftest import show
from conformance.scenario.load import built_in
from tests.gallery.parts import check, judge_selected, one_for_each_rule, peers_of, rules_of

JUDGED_BY_LOAD = "receiver.load."
"""Rules that `hookproof load` judges; the tests of load show peers that break them."""

RULES = {
    scenario.rule.id
    for side in ("receiver", "sender")
    for scenario in built_in(side)
    if not scenario.rule.id.startswith(JUDGED_BY_LOAD)
}


@pytest.fixture(scope="module")
def rows(request):
    return judge_selected(request)


@pytest.mark.parametrize("peer", peers_of("receiver"))
def test_each_faulty_receiver_is_caught_by_its_rules(rows, peer):
    check(rows[peer.name])


@pytest.mark.parametrize("side", ["receiver", "sender"])
def test_the_tested_peers_cover_every_rule_that_any_peer_names(side):
    covered = {rule for peer in one_for_each_rule(side) for rule in rules_of(peer)}
    assert covered == {rule for peer in PEERS if peer.side == side for rule in rules_of(peer)}


def test_every_rule_has_a_peer_that_it_must_catch_and_peers_name_no_other():
    assert {rule for peer in PEERS for rule in rules_of(peer)} == RULES


def test_names_are_unique():
    names = [peer.name for peer in PEERS]
    assert sorted(set(names)) == sorted(names)


def test_a_faulty_peer_names_its_fault_and_the_rules_that_catch_it():
    assert all(bool(peer.fault) == bool(peer.caught_by) for peer in PEERS)


def test_the_gallery_has_correct_peers_in_several_stacks():
    correct = {peer.name for peer in PEERS if peer.fault is None}
    stacks = {"python-stdlib", "python-flask", "node-http", "node-express"}
    senders = {"reference-sender", "python-stdlib-threads", "kept-in-a-file"}
    assert correct == {"reference", "two-processes"} | stacks | senders


def test_globs_choose_peers_in_the_order_of_the_gallery():
    names = [peer.name for peer in chosen(["answers-20[14]", "reference"])]
    assert names == ["reference", "answers-201", "answers-204"]


@pytest.mark.parametrize(
    ("only", "runs"),
    [
        pytest.param([], False, id="all"),
        pytest.param(["full-set-*"], False, id="a glob"),
        pytest.param(["full-set-cleared"], True, id="its name"),
    ],
)
def test_a_peer_on_request_runs_only_where_it_is_named(only, runs):
    assert ("full-set-cleared" in {peer.name for peer in chosen(only)}) is runs


def test_a_glob_that_matches_no_peer_is_an_input_error_that_names_the_nearest():
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
def test_a_row_holds_if_the_suite_reported_what_it_must(row, holds):
    assert row.holds is holds


async def test_rows_of_two_processes_are_in_the_order_of_the_gallery():
    names = ["answers-201", "closed-enum-of-types", "trimmed-body"]
    matrix = await run_matrix(names)
    assert [row.peer for row in matrix.rows] == [peer.name for peer in chosen(names)]
    assert matrix.holds


async def test_a_child_process_that_fails_is_reported(monkeypatch):
    monkeypatch.setattr(matrix, "SHARE", "conformance.gallery.unknown")
    with pytest.raises(HarnessError, match="judged peers exited with 1"):
        await run_matrix(["answers-201"])


MISSING = replace(PEERS[0], missing=lambda: "needs node")


async def test_a_peer_that_cannot_run_is_skipped(monkeypatch):
    monkeypatch.delenv(matrix.NO_SKIPS, raising=False)
    (row,) = await judge_all([MISSING])
    assert row.skipped == "needs node"


async def test_a_peer_that_cannot_run_does_not_hold_if_nothing_may_be_skipped(monkeypatch):
    monkeypatch.setenv(matrix.NO_SKIPS, "1")
    (row,) = await judge_all([MISSING])
    assert row.skipped is None
    assert not row.holds
    assert row.errors == ("needs node (HOOKPROOF_NO_SKIPS=1: nothing may be skipped)",)


def test_a_row_survives_json():
    row = Row("p", "f", caught=("r",), errors=("e", "f"), seconds=1.5)
    assert as_row(json.loads(json.dumps(asdict(row)))) == row


def test_a_matrix_in_which_nothing_ran_does_not_hold():
    assert not Matrix((Row("p", None, skipped="needs node"),), 0.0).holds


BROKEN = Matrix(
    (
        Row("reference", None, accused=("receiver.http.method",)),
        Row("deaf", "answers nothing", caught=("r.a",), missed=("r.b",), errors=("r.c: dead\x1b",)),
        Row("late", "answers late", caught=("r.a",)),
        Row("node-http", None, skipped="needs node"),
    ),
    61.2,
)


def shown(language):
    out = io.StringIO()
    show(BROKEN, languages.load(language), Console(file=out, width=40))
    return re.sub(" +", " ", out.getvalue()).splitlines()


def test_the_matrix_is_shown_with_a_line_for_each_peer():
    assert shown("en") == [
        "FAIL reference - a correct receiver accused: receiver.http.method",
        r"FAIL deaf 1/2 answers nothing missed: r.b could not judge: r.c: dead\x1b",
        "ok late 1/1 answers late",
        "skip node-http - a correct receiver (needs node)",
        "caught 2 of 3, missed 1, accused 1 (4 peers, 1 skipped, 61 s)",
    ]


def test_the_matrix_is_shown_in_chinese():
    assert shown("zh-Hant")[-1] == "應抓 3，抓到 2，漏掉 1，誤判 1（4 個對端，略過 1 個，61 秒）"


def connected(url):
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


async def test_processes_end_with_their_run():
    async with two_processes(program.correct) as options:
        connected(options.url).close()
    with pytest.raises(ConnectionRefusedError):
        connected(options.url)


async def test_a_peer_that_does_not_start_to_serve_is_reported():
    async def serve():
        raise AssertionError("it has no such function")

    with pytest.raises(HarnessError, match=r"program serve .* did not start to serve"):
        async with two_processes(serve):
            pass


KILLED = """
import asyncio
from conformance.gallery.receivers import program
from conformance.gallery.receivers.serve import two_processes

async def main():
    async with two_processes(program.correct) as options:
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
