"""The JUnit file: what CI systems make of each outcome, and that it parses whatever comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml

from conformance.model.report import Report, Result
from conformance.model.rules import Level, Outcome, Rule, Verdict
from conformance.model.sentence import Sentence, verbatim
from conformance.model.text import Text
from conformance.reporting import languages
from conformance.reporting.junit import junit
from conformance.trace import Trace

RULE = Rule(
    "receiver.signature.tampered-body",
    Level.MUST,
    "驗證簽名",
    Text("A changed body is refused", "改動過的內容會被拒絕"),
    Text("Anyone could forge it", "任何人都能偽造"),
    Text("Compare the signatures", "比較簽名"),
)


def result(outcome: Outcome = Outcome.FAIL, **changes: Any) -> Result:
    said = Sentence("answered {status}", status=200)
    code = None if outcome is Outcome.PASS else "unexpected-answer"
    line = "curl 'http://x'"
    made = Result(RULE, None, Level.MUST, outcome, said, 0.25, reproduce=line, code=code)
    return replace(made, **changes)


def report(*results: Result, **changes: Any) -> Report:
    made = Report(
        side="receiver",
        target="http://127.0.0.1:5000/hook",
        dialect="guide",
        spoken="guide",
        seed=7,
        verdict=Verdict.FAIL,
        started="2026-11-24T02:00:00Z",
        seconds=1.84,
        results=results or (result(),),
        trace=Trace(),
    )
    return replace(made, **changes)


def suite(made: Report) -> ElementTree.Element:
    (found,) = ElementTree.fromstring(junit(made))
    return found


def case(made: Result, language: str = "en") -> ElementTree.Element:
    (found,) = suite(report(made, language=languages.load(language))).findall("testcase")
    return found


@pytest.mark.parametrize(
    ("outcome", "children"),
    [
        (Outcome.PASS, []),
        (Outcome.FAIL, ["failure"]),
        (Outcome.WARN, ["system-out"]),
        (Outcome.NOTE, ["system-out"]),
        (Outcome.SKIP, ["skipped"]),
        (Outcome.ERROR, ["error"]),
    ],
)
def test_each_outcome_has_its_element(outcome: Outcome, children: list[str]):
    assert [child.tag for child in case(result(outcome))] == children


@pytest.mark.parametrize(
    ("rule", "name", "group", "test"),
    [
        ("receiver.signature.tampered-body", None, "receiver.signature", "tampered-body"),
        ("receiver.accepts.documented-type", "43", "receiver.accepts", "documented-type[43]"),
        ("receiver.own", None, "receiver", "own"),
    ],
)
def test_a_case_is_named_by_group_and_rest(rule: str, name: str | None, group: str, test: str):
    found = case(result(rule=replace(RULE, id=rule), case=name))
    assert (found.get("classname"), found.get("name")) == (group, test)


@pytest.mark.parametrize(("outcome", "tag"), [(Outcome.FAIL, "failure"), (Outcome.ERROR, "error")])
def test_a_failure_says_what_why_how_to_fix_it_and_how_to_reproduce_it(outcome: Outcome, tag: str):
    found = case(result(outcome)).find(tag)
    assert found is not None
    assert found.get("message") == "answered 200"
    for part in ("answered 200", "Anyone could forge it", "Compare the signatures", "驗證簽名"):
        assert part in (found.text or "")
    assert "curl 'http://x'" in (found.text or "")
    assert (found.text or "").endswith("unexpected-answer: status=200")


@pytest.mark.parametrize(
    ("outcome", "tag"),
    [(Outcome.FAIL, "failure"), (Outcome.ERROR, "error"), (Outcome.SKIP, "skipped")],
)
def test_the_type_is_the_code_of_the_finding(outcome, tag):
    found = case(result(outcome)).find(tag)
    assert found is not None
    assert found.get("type") == "unexpected-answer"


def test_a_skip_gives_its_reason():
    found = case(result(Outcome.SKIP, message=Sentence("needs --also-url"))).find("skipped")
    assert found is not None
    assert found.get("message") == "needs --also-url"


@pytest.mark.parametrize("outcome", [Outcome.WARN, Outcome.NOTE])
def test_a_remark_passes_and_says_what_was_seen_and_how_to_fix_it(outcome: Outcome):
    said = case(result(outcome)).findtext("system-out") or ""
    assert said.startswith(f"{outcome}: answered 200\n")
    assert "Compare the signatures" in said
    assert "curl 'http://x'" in said


def test_a_result_without_a_line_to_paste_has_none():
    assert "curl" not in (case(result(reproduce=None)).findtext("failure") or "")


def test_texts_are_in_the_language_of_the_report():
    said = case(result(), "zh-Hant").findtext("failure") or ""
    assert "比較簽名" in said
    assert "Compare" not in said


def test_the_suite_counts_its_cases_and_gives_the_wall_time():
    found = suite(report(*[result(outcome, case=str(outcome)) for outcome in Outcome]))
    counts = {name: found.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "1", "errors": "1", "skipped": "1"}
    assert found.get("time") == "1.84"
    assert case(result()).get("time") == "0.25"


def test_the_suite_is_named_after_the_side_and_says_what_was_judged():
    found = suite(report(cause=Sentence("turned off (--fuzz 0)")))
    properties = {each.get("name"): each.get("value") for each in found.iter("property")}
    assert found.get("name") == "hookproof receiver"
    assert found.get("timestamp") == "2026-11-24T02:00:00Z"
    assert properties["target"] == "http://127.0.0.1:5000/hook"
    assert properties["verdict"] == "fail"
    assert properties["cause"] == "turned off (--fuzz 0)"


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        pytest.param("<script>alert(1)</script>", "<script>alert(1)</script>", id="script"),
        pytest.param("]]>", "]]>", id="cdata-end"),
        pytest.param("\x1b[31m", r"\x1b[31m", id="escape-sequence"),
        pytest.param("\0", r"\x00", id="nul"),
        pytest.param("\r", r"\x0d", id="carriage-return"),
        pytest.param("\u202e", r"\u202e", id="bidi"),
        pytest.param("\ud83d", r"\ud83d", id="lone-surrogate"),
        pytest.param("\ufffe\uffff", r"\ufffe\uffff", id="no-characters"),
        pytest.param("&amp;\"'", "&amp;\"'", id="entities"),
    ],
)
def test_a_hostile_text_is_spelled_out_wherever_it_stands(hostile: str, shown: str):
    text = verbatim(f"a{hostile}b")
    evil = Rule(f"receiver.{hostile}.{hostile}", Level.MUST, hostile, text, text, text)
    made = result(rule=evil, case=hostile, message=text, reproduce=hostile)
    found = suite(report(made, target=hostile, cause=text))
    failure = found.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == f"a{shown}b"
    assert (failure.text or "").startswith(f"a{shown}b\n")


@given(st.text(st.characters()))
def test_the_file_parses_whatever_the_text(text: str):
    for outcome in Outcome:
        assert case(result(outcome, message=verbatim(text), case=text)).get("name")


def test_a_second_reader_finds_the_same_outcomes():
    read = JUnitXml.fromstring(junit(report(result(), result(Outcome.SKIP, case="a"))))
    assert [(each.is_failure, each.is_skipped) for each in next(iter(read))] == [
        (True, False),
        (False, True),
    ]
