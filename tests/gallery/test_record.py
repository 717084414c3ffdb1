"""Records of the gallery: reading, writing, comparing, and how often a peer is judged."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from conformance.cli.main import main
from conformance.gallery import record_run, workers
from conformance.gallery.matrix import PEERS, chosen
from conformance.gallery.peer import Peer
from conformance.gallery.record import (
    Difference,
    Look,
    Outcomes,
    Record,
    Row,
    as_text,
    differences,
    not_run,
    parse,
    row,
)
from conformance.gallery.record_run import LOOKED_AT_AGAIN, WORKERS, compare, read, take, write
from conformance.gallery.workers import judge, judge_in_workers
from conformance.model.errors import HarnessError, InputError
from conformance.protocol.validation import problems
from conformance.reporting import languages
from conformance.reporting.selftest import show_compared, show_recorded
from conformance.scenario.load import built_in, select

RULE, CASES = "receiver.body.empty", ("receiver.body.form[a]", "receiver.body.form[b]")
STATUS = "exit status"


def look(status: str = "0", **outcomes: str) -> Look:
    """A look at a receiver: `rule`, and the cases `a` and `b` of another."""
    names = dict(zip(("rule", "a", "b"), (RULE, *CASES), strict=True))
    return Look({STATUS: status} | {names[name]: value for name, value in outcomes.items()})


PASSED = look(rule="pass", a="pass", b="pass")
FAILED = look("1", rule="pass", a="fail", b="fail")
ONE_CASE = look("1", rule="pass", a="fail", b="pass")
UNJUDGED = look("3", rule="pass", a="error", b="pass")
A_CASE_LESS = look(rule="pass", a="pass")


def record_of(*looks: Look, peer: str = "reference") -> Record:
    return {"receiver": {peer: row(looks)}}


@pytest.mark.parametrize(
    ("looks", "line"),
    [
        pytest.param([PASSED], {}, id="usual"),
        pytest.param([FAILED], {STATUS: "1", "receiver.body.form[*]": "fail"}, id="every case"),
        pytest.param([ONE_CASE], {STATUS: "1", CASES[0]: "fail"}, id="one case"),
        pytest.param([A_CASE_LESS], {CASES[1]: "absent"}, id="a case less"),
        pytest.param(
            [PASSED, ONE_CASE], {STATUS: "0|1", CASES[0]: "fail|pass"}, id="not the same twice"
        ),
        pytest.param([not_run("needs node")], {STATUS: "none"}, id="not run"),
        pytest.param([not_run("no port"), PASSED], {}, id="run at one look"),
        pytest.param([UNJUDGED, UNJUDGED], {STATUS: "3", CASES[0]: "error"}, id="not judged"),
        pytest.param(
            [UNJUDGED, PASSED], {STATUS: "0|3", CASES[0]: "error|pass"}, id="judged at one look"
        ),
    ],
)
def test_a_record_holds_the_unusual_outcomes_of_a_peer(looks: list[Look], line: Outcomes) -> None:
    rows = {"one": row([PASSED]), "other": row([PASSED]), "peer": row(looks)}
    document = json.loads(as_text({"receiver": rows}))
    assert document["receiver"]["peers"]["peer"] == line
    assert problems("selftest", document) == []


def test_peers_have_one_line_each_and_are_sorted() -> None:
    text = as_text({"receiver": {"b": row([ONE_CASE]), "a": row([PASSED]), "c": row([PASSED])}})
    peers = text.split('"peers": {\n')[1].splitlines()[:3]
    assert [line.split('"')[1] for line in peers] == ["a", "b", "c"]


OUTCOMES = st.sampled_from(["pass", "fail", "skip"])
LOOKS = st.builds(
    lambda status, outcomes: Look({STATUS: status} | outcomes),
    st.sampled_from(["0", "1", "3"]),
    st.dictionaries(st.sampled_from([RULE, *CASES, "receiver.http.alive"]), OUTCOMES),
)
ROWS = st.lists(LOOKS | st.builds(not_run, st.just("no")), min_size=1, max_size=3).map(row)
SIDE = st.dictionaries(st.sampled_from("abcdef"), ROWS, min_size=1)


@given(st.dictionaries(st.sampled_from(["receiver", "sender"]), SIDE))
def test_a_record_survives_writing_and_reading(record: Record) -> None:
    absent = frozenset({"absent"})
    read_again = parse(as_text(record).encode())
    assert read_again == {
        side: {
            peer: {name: seen for name, seen in each.items() if seen != absent}
            for peer, each in peers.items()
        }
        for side, peers in record.items()
    }
    assert as_text(read_again) == as_text(record)


def change(name: str, before: str, after: str) -> Difference:
    return Difference("peer", name, frozenset({before}), frozenset({after}))


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param([PASSED], [], id="the same"),
        pytest.param([FAILED, PASSED], [], id="the same at one look"),
        pytest.param(
            [ONE_CASE], [change(STATUS, "0", "1"), change(CASES[0], "pass", "fail")], id="changed"
        ),
        pytest.param(
            [FAILED, ONE_CASE],
            [change(STATUS, "0", "1"), change(CASES[0], "pass", "fail")],
            id="only what differs at every look",
        ),
        pytest.param([A_CASE_LESS], [change(CASES[1], "pass", "absent")], id="gone"),
        pytest.param([not_run("no")], [change(STATUS, "0", "none")], id="not run: one line"),
        pytest.param([not_run("no"), PASSED], [], id="run at one look"),
    ],
)
def test_a_difference_is_what_no_look_saw_as_recorded(
    looks: list[Look], expected: list[Difference]
) -> None:
    assert differences("peer", row([PASSED]), looks) == expected


@pytest.mark.parametrize(
    ("alone", "expected"),
    [
        pytest.param(PASSED, row([PASSED]), id="all judged: it was the machine"),
        pytest.param(ONE_CASE, row([PASSED, ONE_CASE]), id="all judged, and otherwise"),
        pytest.param(UNJUDGED, row([UNJUDGED, PASSED]), id="it is the peer"),
    ],
)
def test_a_look_by_itself_says_whether_the_machine_left_something_unjudged(
    alone: Look, expected: Row
) -> None:
    assert row([UNJUDGED, PASSED], [alone]) == expected


def test_a_peer_that_leaves_now_this_and_now_that_unjudged_may_leave_anything() -> None:
    expected = row([UNJUDGED, PASSED])
    assert differences("peer", expected, [look("3", rule="error", a="pass", b="error")]) == []
    assert differences("peer", expected, [FAILED]) == [
        Difference("peer", STATUS, frozenset({"0", "3"}), frozenset({"1"})),
        Difference("peer", CASES[0], frozenset({"error", "pass"}), frozenset({"fail"})),
        change(CASES[1], "pass", "fail"),
    ]


def test_a_recorded_outcome_is_no_difference() -> None:
    assert differences("peer", row([PASSED, FAILED]), [ONE_CASE]) == []


def test_a_new_case_is_a_difference() -> None:
    difference = differences("peer", row([A_CASE_LESS]), [PASSED])
    assert difference == [change(CASES[1], "absent", "pass")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"{", "is not JSON", id="cut off"),
        pytest.param(b"\xff", "is not JSON", id="no text"),
        pytest.param(b"[" * 100_000, "is not JSON", id="nested"),
        pytest.param(b"[]", r"is not a record .* \(whole\) must be an object", id="an array"),
        pytest.param(b'{"results": []}', "results is not a known field", id="a report"),
        pytest.param(b'{"sender": {"usual": {}}}', "sender.peers is missing", id="half a side"),
        pytest.param(
            b'{"sender": {"usual": {}, "peers": {"a": {"r": "passed"}}}}',
            "sender.peers.a.r must be one or more outcomes",
            id="no outcome",
        ),
    ],
)
def test_a_file_that_is_not_a_record_is_an_input_error(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(data)


@pytest.mark.parametrize("option", ["--record", "--compare"])
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        pytest.param("record.json", "{", "is not JSON", id="no record"),
        pytest.param("nowhere/record.json", None, "No such file", id="no folder"),
        pytest.param(".", None, "folder|directory", id="a folder"),
    ],
)
def test_an_unusable_file_is_named_before_anything_runs(
    tmp_path: Path, option: str, file: str, content: str | None, message: str
) -> None:
    path = tmp_path / file
    if content is not None:
        path.write_text(content)
    done = CliRunner().invoke(main, ["selftest", option, str(path), "--only", "reference"])
    assert done.exit_code == 2
    assert done.output.startswith(f"hookproof: {option}: {path}")
    assert len(done.output.splitlines()) == 1
    assert any(part in done.output for part in message.split("|"))
    assert not path.is_file() or path.read_text() == content


def test_recording_and_comparing_exclude_each_other() -> None:
    done = CliRunner().invoke(main, ["selftest", "--record", "a", "--compare", "a"])
    assert (done.exit_code, done.output) == (
        2,
        "hookproof: --record and --compare: give one of them\n",
    )


class Stub:
    """Judges the reference receiver as the next of `looks`, and every other peer as passed. Records
    which peers were judged, and how many side by side."""

    def __init__(self, *looks: Look) -> None:
        self.looks = list(looks)
        self.calls: list[tuple[list[str], int]] = []

    async def __call__(
        self, peers: Sequence[str], workers: int, on_look: Callable[[], None]
    ) -> Mapping[str, Look]:
        self.calls.append((list(peers), workers))
        for _ in peers:
            on_look()
        return {peer: self.looks.pop(0) if peer == "reference" else PASSED for peer in peers}


ONLY = ["reference", "answers-201"]
BESIDE, ALONE = (ONLY, WORKERS), (["reference"], 1)


async def test_a_record_is_taken_by_two_looks_that_agree() -> None:
    stub = Stub(FAILED, FAILED)
    taken = await take(ONLY, judge=stub)
    assert stub.calls == [BESIDE, BESIDE, ([], 1)]
    assert taken.record == {"receiver": {"answers-201": row([PASSED]), "reference": row([FAILED])}}
    assert taken.unstable == ()


async def test_if_two_looks_do_not_agree_a_third_by_itself_is_recorded_too() -> None:
    stub = Stub(PASSED, ONE_CASE, FAILED)
    taken = await take(ONLY, judge=stub)
    assert stub.calls == [BESIDE, BESIDE, ALONE]
    assert taken.record["receiver"]["reference"] == row([PASSED, ONE_CASE], [FAILED])
    assert taken.unstable == ("reference",)


@pytest.mark.parametrize(
    ("looks", "calls", "differs"),
    [
        pytest.param([PASSED], [BESIDE], False, id="the same"),
        pytest.param([FAILED, PASSED], [BESIDE, ALONE], False, id="the same by itself"),
        pytest.param([FAILED, FAILED, PASSED], [BESIDE, ALONE, ALONE], False, id="at last"),
        pytest.param([FAILED, FAILED, FAILED], [BESIDE, ALONE, ALONE], True, id="never"),
    ],
)
async def test_a_peer_that_differs_is_judged_again_by_itself(
    looks: list[Look], calls: list[object], differs: bool
) -> None:
    stub = Stub(*looks)
    expected = {"receiver": {name: row([PASSED]) for name in ONLY}}
    result = await compare(expected, ONLY, judge=stub)
    assert [call for call in stub.calls if call[0]] == calls
    assert {each.peer for each in result.differences} == ({"reference"} if differs else set())
    assert result.again == (() if len(calls) == 1 else ("reference",))


async def test_a_build_in_which_many_peers_differ_is_judged_once() -> None:
    names = [peer.name for peer in PEERS if peer.name != "reference"][: LOOKED_AT_AGAIN + 1]
    stub = Stub()
    result = await compare({"receiver": {name: row([FAILED]) for name in names}}, names, judge=stub)
    assert len(stub.calls) == 1
    assert {each.peer for each in result.differences} == set(names)
    assert (result.again, result.confirmed) == ((), False)


async def test_peers_that_the_record_or_the_gallery_lacks_are_differences_and_are_not_judged() -> (
    None
):
    stub = Stub(PASSED)
    result = await compare(record_of(PASSED, peer="answers-200"), ["answers-20[01]"], judge=stub)
    assert stub.calls[0] == ([], WORKERS)
    assert result.differences == (
        Difference("answers-200", None, frozenset({STATUS}), frozenset()),
        Difference("answers-201", None, frozenset(), frozenset({STATUS})),
    )


async def test_peers_that_no_glob_matches_are_left_out() -> None:
    result = await compare(record_of(FAILED, peer="reference"), ["answers-201"], judge=Stub())
    assert [each.peer for each in result.differences] == ["answers-201"]


@pytest.mark.parametrize("run", [take, lambda only: compare({}, only)], ids=["record", "compare"])
async def test_a_glob_that_matches_no_peer_is_an_input_error(run: Any) -> None:
    with pytest.raises(InputError, match="refrence"):
        await run(["refrence"])


async def test_progress_is_reported_after_every_look() -> None:
    reports: list[tuple[int, int]] = []
    note = lambda done, planned: reports.append((done, planned))  # noqa: E731
    await compare(record_of(PASSED), ["reference"], note, Stub(FAILED, PASSED))
    assert reports == [(1, 1), (2, 2)]


def test_other_peers_of_the_file_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write(path, record_of(PASSED, peer="a"), record_of(FAILED, peer="a") | {"sender": {}})
    write(path, record_of(FAILED, peer="b"), read(path, "--record"))
    assert read(path, "") == {"receiver": {"a": row([PASSED]), "b": row([FAILED])}}
    assert [each.name for each in tmp_path.iterdir()] == ["record.json"]


def shown(show: Any, *arguments: Any) -> list[str]:
    out = io.StringIO()
    *values, language = arguments
    show(*values, languages.load(language), Console(file=out, width=40))
    return out.getvalue().splitlines()


COMPARED = record_run.Compared(
    4,
    {"node-http": "needs node\x1b"},
    (
        Difference("gone", None, frozenset({STATUS}), frozenset()),
        Difference("new", None, frozenset(), frozenset({STATUS})),
        Difference("peer", "r[a]", frozenset({"pass", "note"}), frozenset({"fail"})),
        change("r[b]", "absent", "pass"),
        change("r[c]", "warn", "absent"),
    ),
    ("peer",),
    True,
    61.2,
)
PLACE = Path("record.json")


def test_differences_are_shown_one_on_a_line() -> None:
    assert shown(show_compared, COMPARED, PLACE, "en") == [
        "gone  a peer of the record that no longer exists",
        "new  a new peer, not in the record",
        "peer  r[a]: was note|pass, now fail",
        "peer  r[b]: new: pass",
        "peer  r[c]: gone (was warn)",
        r"node-http  not run: needs node\x1b",
        "5 differences from record.json, in 3 peers  (4 peers, 61 s; judged again: peer)",
    ]


def test_differences_are_shown_in_chinese() -> None:
    assert shown(show_compared, COMPARED, PLACE, "zh-Hant")[2:] == [
        "peer  r[a]：原為 note|pass，現為 fail",
        "peer  r[b]：新增：pass",
        "peer  r[c]：已不存在（原為 warn）",
        r"node-http  未執行：needs node\x1b",
        "與 record.json 有 5 處不同，涉及 3 個對端（4 個對端，61 秒；再次判定：peer）",
    ]


def test_differences_that_rest_on_one_look_are_marked() -> None:
    result = replace(COMPARED, again=(), confirmed=False)
    assert shown(show_compared, result, PLACE, "en")[-1] == (
        "5 differences from record.json, in 3 peers  "
        "(4 peers, 61 s; too many to judge again: each was seen once)"
    )
    assert shown(show_compared, result, PLACE, "zh-Hant")[-1] == (
        "與 record.json 有 5 處不同，涉及 3 個對端"
        "（4 個對端，61 秒；為數過多，未再次判定：各只判定一次）"
    )


def test_no_difference_is_shown_as_one_line() -> None:
    result = record_run.Compared(2, {}, (), (), True, 9.9)
    assert shown(show_compared, result, PLACE, "en") == [
        "no difference from record.json  (2 peers, 10 s)"
    ]
    assert shown(show_compared, result, PLACE, "zh-Hant") == [
        "與 record.json 沒有不同（2 個對端，10 秒）"
    ]


def test_a_recording_is_shown_as_one_line() -> None:
    names = tuple(f"p{number}" for number in range(10))
    taken = record_run.Taken(record_of(PASSED), {}, names, 9.9)
    assert shown(show_recorded, taken, PLACE, "en") == [
        "recorded 1 peers in record.json (10 s; outcomes varied: p0, p1, p2, p3, p4, p5, p6, p7 +2)"
    ]
    assert shown(show_recorded, taken, PLACE, "zh-Hant") == [
        "已將 1 個對端記錄於 record.json（10 秒；每次判定不盡相同：p0, p1, p2, p3, p4, p5, p6, p7 +2）"
    ]


def broken_peer(serve: Callable[[], Any], obstacle: str | None = None) -> Peer:
    return Peer("receiver", "broken", serve, missing=lambda: obstacle)


def faulty() -> Any:
    raise ZeroDivisionError("nothing")


@pytest.mark.parametrize(
    ("peer", "obstacle"),
    [
        pytest.param(broken_peer(faulty, "needs node"), "needs node", id="missing"),
        pytest.param(broken_peer(faulty), "ZeroDivisionError: nothing", id="fault"),
    ],
)
async def test_a_peer_that_cannot_run_has_an_obstacle(peer: Peer, obstacle: str) -> None:
    assert await judge(peer) == not_run(obstacle)


async def test_a_worker_that_exits_is_a_harness_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers.sys, "executable", "/bin/false")
    with pytest.raises(HarnessError, match="judged reference exited with 1"):
        await judge_in_workers(["reference"], 2, lambda: None)


def test_a_peer_is_judged_by_every_rule_and_does_not_differ_from_its_own_record(
    tmp_path: Path,
) -> None:
    path = tmp_path / "record.json"
    (peer,) = chosen(["reference"])
    look = asyncio.run(judge(peer))
    cases = sum(len(each.cases) for each in select(built_in(peer.side), ()))
    assert len(look.outcomes) == cases + 1
    write(path, {peer.side: {peer.name: row([look])}}, {})
    arguments = [str(path), "--only", "reference"]
    done = CliRunner().invoke(main, ["selftest", "--compare", *arguments])
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"no difference from {path}")
